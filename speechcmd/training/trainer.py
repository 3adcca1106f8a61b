"""The training loop: epochs, validation, early stopping, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from data_prep.store import Store
from data_prep.task import SplitTask, TaskConfig, draw_evaluation, make_split_task
from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.errors import TrainingError
from speechcmd.training.augment import AugmentConfig
from speechcmd.training.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from speechcmd.training.config import TrainConfig
from speechcmd.training.dataset import Batch, ClipDataset, EpochSampler, FixedSampler, make_loader
from speechcmd.training.run_folder import RunFolder
from speechcmd.training.step import TrainingStep


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch brought. Accuracies in percent."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    clips_per_s: float
    seconds: float


@dataclass(frozen=True)
class StepReport:
    """Where the training stands within an epoch."""

    epoch: int
    batch: int
    n_batches: int
    loss: float
    accuracy: float
    clips_per_s: float


Report = Callable[[StepReport | EpochMetrics], None]
NORMALISATION_BATCHES = 16


class Trainer:
    """Trains one network on one store into one run folder.

    Raises
    ------
    StoreError, ModelError
        If the store and the settings do not fit together.
    TrainingError
        If the run folder holds another training, the loss diverges or a checkpoint cannot be written.
    """

    def __init__(self, store: Store, config: TrainConfig, folder: Path, resume: bool = False) -> None:
        self.config = config
        self.fabric = _make_fabric(config)
        self.task_config = TaskConfig(config.words, config.unknown, config.speech_percent, config.seed)
        self.training = make_split_task(store, self.task_config, "training")
        self.validation = make_split_task(store, self.task_config, "validation")
        torch.manual_seed(config.seed)
        network = create_model(
            config.architecture,
            len(self.task_config.labels),
            store.length_samples(config.length),
            **config.model,
        )
        self.network = network
        if config.initial and not resume:
            self._take_weights(Path(config.initial))
        self._make_loaders(store, network)
        step = TrainingStep(network, config.augment, config.label_smoothing, config.seed)
        self.step = self.fabric.setup_module(step)
        optimizer = torch.optim.AdamW(
            _parameter_groups(network, config.weight_decay), lr=config.learning_rate, foreach=True
        )
        self.optimizer: Any = self.fabric.setup_optimizers(optimizer)
        self.epoch = 0
        self.best_accuracy = -1.0
        self.epochs_since_best = 0
        self.run = RunFolder(folder)
        if resume:
            self._resume(store)
        else:
            self.run.begin(store, config, self.task_config, self._drawn())

    def fit(self, report: Report) -> None:
        """Train until the last epoch or until validation has stopped getting better."""
        if self.epoch == 0 and not self.config.initial:
            self._learn_normalisation()
        while self.epoch < self.config.epochs and self.epochs_since_best < self.config.patience:
            metrics = self._run_epoch(report)
            # before the checkpoint: a resumed run drops a line too many, it could not make up a lost one
            self.run.append_metrics(asdict(metrics))
            self.epoch += 1
            is_best = metrics.validation_accuracy > self.best_accuracy
            self.best_accuracy = max(self.best_accuracy, metrics.validation_accuracy)
            self.epochs_since_best = 0 if is_best else self.epochs_since_best + 1
            self._save(is_best)
            report(metrics)
        self.run.draw_curves()

    def _take_weights(self, run: Path) -> None:
        """Begin with the best weights of another run, its normalisation included."""
        state = load_checkpoint(run / BEST)
        begun = TrainConfig.from_json(state["config"])
        asked = TrainConfig.from_json(self.config.to_json())  # lists where JSON has lists
        same = (begun.architecture, begun.model) == (asked.architecture, asked.model)
        labels, n_samples = list(self.task_config.labels), self.network.window_samples
        if not same or (state["labels"], state["n_samples"]) != (labels, n_samples):
            raise TrainingError(
                f"{run}: expected a run of the same network, labels and window to begin with, got "
                f"{begun.architecture} for {', '.join(state['labels'])} with windows of {state['n_samples']} "
                "samples; train without --initial"
            )
        self.network.load_state_dict(state["network"])

    def _make_loaders(self, store: Store, network: KeywordNetwork) -> None:
        config, device = self.config, self.fabric.device
        n_samples = network.window_samples
        on_device = device if device.type == "cuda" else None
        dataset = ClipDataset(store, self.training, n_samples, config.augment, config.seed, on_device)
        plain = ClipDataset(store, self.training, n_samples, AugmentConfig.off(), config.seed, on_device)
        held_out = ClipDataset(store, self.validation, n_samples, AugmentConfig.off(), config.seed, on_device)
        n_workers = 0 if on_device else config.n_workers
        self.sampler = EpochSampler(self.training, self.task_config, config.batch_size, config.seed)
        self.train_batches = make_loader(dataset, self.sampler, n_workers)
        self.plain_batches = make_loader(plain, self.sampler)
        drawn = draw_evaluation(self.validation, self.task_config)
        if len(drawn) == 0:
            raise TrainingError(
                f"{store.path}: no validation clip of {', '.join(config.words)}; expected some of "
                "other speakers than the training clips', prepare the store from more speakers"
            )
        self.validation_batches = make_loader(held_out, FixedSampler(drawn, 2 * config.batch_size))

    def _drawn(self) -> dict[str, SplitTask]:
        return {"training": self.training, "validation": self.validation}

    @torch.no_grad()
    def _learn_normalisation(self) -> None:
        """Mean and deviation of each band over clips of the first epoch as they are."""
        frames = []
        for number, batch in enumerate(self.plain_batches):
            if number == NORMALISATION_BATCHES:
                break
            frames.append(self.network.features(batch.waveform.to(self.fabric.device)).flatten(0, 1))
        log_mel = torch.cat(frames).double()
        self.network.set_normalisation(log_mel.mean(dim=0).float(), log_mel.std(dim=0).float())

    def _run_epoch(self, report: Report) -> EpochMetrics:
        self.sampler.epoch = self.epoch
        n_batches, began = len(self.sampler), time.perf_counter()
        self.step.train()
        loss_sum, n_right, n_clips = 0.0, 0, 0
        for number, batch in enumerate(self.train_batches):
            self._set_learning_rate(self.epoch + number / n_batches)
            loss, right = self._train_batch(batch)
            if not math.isfinite(loss):
                raise TrainingError(self._why_diverged(f"batch {number + 1}"))
            loss_sum += loss * len(batch.labels)
            n_right += right
            n_clips += len(batch.labels)
            speed = n_clips / (time.perf_counter() - began)
            report(
                StepReport(
                    self.epoch, number + 1, n_batches, loss_sum / n_clips, 100 * n_right / n_clips, speed
                )
            )
        seconds = time.perf_counter() - began
        validation_loss, validation_accuracy = self.evaluate(self.validation_batches)
        if not math.isfinite(validation_loss):  # the last step may have spoilt the weights
            raise TrainingError(self._why_diverged("validation"))
        return EpochMetrics(
            self.epoch, loss_sum / n_clips, 100 * n_right / n_clips, validation_loss, validation_accuracy,
            self._learning_rate(float(self.epoch)), n_clips / seconds, seconds,
        )  # fmt: skip

    def _train_batch(self, batch: Batch) -> tuple[float, int]:
        device = self.fabric.device
        self.optimizer.zero_grad(set_to_none=True)
        loss, right = self.step(batch.waveform.to(device), batch.labels.to(device), batch.epoch, batch.number)
        self.fabric.backward(loss)
        self.optimizer.step()
        return float(loss.detach()), int(right)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Mean loss and accuracy in percent over a fixed set; every clip counts."""
        self.step.eval()
        loss_sum, n_right, n_clips = 0.0, 0, 0
        for batch in batches:
            labels = batch.labels.to(self.fabric.device)
            logits: Tensor = self.network(batch.waveform.to(self.fabric.device))[:, 0]
            loss_sum += float(functional.cross_entropy(logits, labels, reduction="sum"))
            n_right += int((logits.argmax(dim=1) == labels).sum())
            n_clips += len(labels)
        return loss_sum / n_clips, 100 * n_right / n_clips

    def _learning_rate(self, epoch: float) -> float:
        """Linear warm-up, then half a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
        done = epoch / self.config.epochs
        warm = self.config.warmup_percent / 100
        if done < warm:
            return self.config.learning_rate * (done / warm * 0.99 + 0.01)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))

    def _set_learning_rate(self, epoch: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(epoch)

    def _why_diverged(self, where: str) -> str:
        kept = (
            f"the checkpoint of epoch {self.epoch} is kept" if self.epoch else "no checkpoint was written yet"
        )
        return (
            f"{self.run.path}: the loss is no longer a number (epoch {self.epoch + 1}, {where}); "
            f"{kept}; try a smaller --learning-rate than {self.config.learning_rate:g}"
        )

    def _save(self, is_best: bool) -> None:
        state = {
            "config": self.config.to_json(),
            "labels": list(self.task_config.labels),
            "n_samples": self.network.window_samples,
            "epoch": self.epoch,
            "best_accuracy": self.best_accuracy,
            "epochs_since_best": self.epochs_since_best,
            "n_threads": torch.get_num_threads(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        if is_best:
            save_checkpoint(self.run.path / BEST, {k: v for k, v in state.items() if k != "optimizer"})
        # last: a kill between the two leaves a best that the repeated epoch writes again
        save_checkpoint(self.run.path / LAST, state)

    def _resume(self, store: Store) -> None:
        state = load_checkpoint(self.run.path / LAST)
        _check_same_training(state, self.config, self.run.path)
        self.run.check_same_data(store)
        if self.fabric.device.type == "cpu":
            torch.set_num_threads(state["n_threads"])  # another number would round differently
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.best_accuracy = state["best_accuracy"]
        self.epochs_since_best = state["epochs_since_best"]
        self.run.cut_metrics(self.epoch)


def _check_same_training(state: dict[str, Any], config: TrainConfig, path: Path) -> None:
    begun, asked = json.loads(state["config"]), json.loads(config.to_json())
    for name in ("device", "n_workers"):  # where it runs may change; what it computes may not
        begun.pop(name), asked.pop(name)
    different = sorted(name for name in begun if begun[name] != asked[name])
    if different:
        name = different[0]
        raise TrainingError(
            f"{path}: the run was begun with {name} = {begun[name]}, now it is {asked[name]}; "
            "resume with the same settings or choose another --run"
        )


def _parameter_groups(network: KeywordNetwork, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales of norms do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _make_fabric(config: TrainConfig) -> Fabric:
    accelerator = (
        config.device if config.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    )
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device: expected a CUDA GPU for --device cuda, found none; use --device cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if accelerator == "cuda" else "32-true"
    if config.n_threads:
        torch.set_num_threads(config.n_threads)
    if config.deterministic:
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # torch asks for it, before the first kernel
    torch.use_deterministic_algorithms(config.deterministic)
    return Fabric(accelerator=accelerator, devices=1, precision=precision)  # type: ignore[arg-type]
