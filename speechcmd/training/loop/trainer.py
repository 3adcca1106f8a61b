"""The training loop: epochs, validation, early stopping, checkpoints, exact resume."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor
from torch.nn import functional

from data_prep.row_source import AnyStore
from models.network import KeywordNetwork
from models.registry import check_settings, create_model
from speechcmd.errors import TrainingError
from speechcmd.progress import Progress
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import Batch, answer_batches, log_mel_of
from speechcmd.training.data.feature_cache import take_cached
from speechcmd.training.data.loader_process import until_lost
from speechcmd.training.data.missing_bands import learn_upper_bands
from speechcmd.training.data.shipped_negatives import add_negatives
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.loop.batch_loss import BatchLoss
from speechcmd.training.loop.best_epoch import Choice
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from speechcmd.training.loop.loss import class_weights
from speechcmd.training.loop.optimisation import learning_rate, make_optimizer
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.teacher import load_teacher
from speechcmd.training.loop.trained_network import digest_weights, fill_network, take_weights
from speechcmd.training.loop.weight_average import make_average
from speechcmd.training.loop.whole_clip import WholeClips, answer_whole_clips, load_whole_clips
from speechcmd.training.mining.hard_windows import HardWindows
from speechcmd.training.mining.speech_scan import MinedWindows
from speechcmd.training.mining.stream_recall import load_heard_clips, measure_stream_recall
from speechcmd.training.settings.config import TrainConfig, check_same_training
from speechcmd.training.settings.duration import take_duration
from speechcmd.training.settings.limits import check_limits


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch brought. Accuracies in percent; `stream_recall` where epochs are chosen by it.

    `clip_loss` and `clip_accuracy` are of validation clips heard whole, with the quiet round the word.
    `score` is what the best epoch is chosen by, `score_loss` what decides between equal ones.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    clips_per_s: float
    seconds: float
    clip_loss: float
    clip_accuracy: float
    score: float
    score_loss: float
    stream_recall: float | None = None


@dataclass(frozen=True)
class BatchReport:
    """Where the training stands within an epoch."""

    epoch: int
    batch: int
    n_batches: int
    loss: float
    accuracy: float
    clips_per_s: float


Report = Callable[[BatchReport | EpochMetrics], None]
NORMALISATION_BATCHES = 16
GPU_REPORT_BATCHES = 20  # reading a number waits for the GPU


class Trainer:
    """Trains one network on one or more stores into one run folder.

    Raises
    ------
    StoreError, ModelError
        If the stores and the settings do not fit together.
    TrainingError
        If a setting makes no sense, the run folder holds another training, the loss diverges or a
        checkpoint cannot be written.
    """

    def __init__(
        self,
        stores: AnyStore | Sequence[AnyStore],
        config: TrainConfig,
        folder: Path,
        resume: bool = False,
        on_progress: Progress | None = None,
    ) -> None:
        check_limits(config)
        if resume:
            begun = TrainConfig.from_json(load_checkpoint(folder / LAST)["config"])
            config = take_duration(config, begun)
        self.fabric = _make_fabric(config)
        own = stores if isinstance(stores, Sequence) else [stores]
        given = add_negatives(own, config)
        self.stores = given
        self.labels = config.task.labels
        self.data = TrainingData(given, config, self.fabric.device)
        self.config = config = self.data.config
        torch.manual_seed(config.seed)
        n_samples = self.data.source.length_samples(config.length)
        check_settings(config.architecture, config.model)
        network = create_model(
            config.architecture, len(self.labels), n_samples, config.frontend, **config.model
        )
        # the layout in which two-dimensional convolutions train fastest: docs/measurements/speed.md
        self.network: KeywordNetwork = network.to(memory_format=torch.channels_last)
        if config.initial and not resume:
            take_weights(self.network, config, self.labels)
        upper = learn_upper_bands(self.data.source, self.data.training, self.network)
        self.loss = self._make_loss(upper)
        if config.feature_cache:
            frontend, frames = self.network.frontend.config, self.loss.window_frames
            cached = take_cached(given, frontend, frames, Path(config.feature_cache), on_progress)
            self.data = TrainingData(cached, config, self.fabric.device)
        self.data.make_loaders(self.network, self.loss.window_frames, upper)
        self.hard = HardWindows(self.data, self.fabric.device)
        self.whole_clips, self.n_whole_clips = load_whole_clips(self.data, self.network)
        self._heard_clips = load_heard_clips(self.data, self.network)
        self.loss = self.fabric.setup_module(self.loss)
        self.optimizer: Any = self.fabric.setup_optimizers(make_optimizer(self.network, config))
        self.average = make_average(self.network, config.ema)
        self.epoch = 0
        self.best = Choice.nothing()
        self.best_accuracy = -1.0
        self.least_loss = math.inf
        self.epochs_since_best = 0
        self.run = RunFolder(folder)
        if resume:
            self._resume(given)
        else:
            self.run.begin(given, config, self.data)

    def _make_loss(self, upper: UpperBands | None) -> Any:
        config = self.config
        teacher = load_teacher(Path(config.teacher), self.labels, config.fold) if config.teacher else None
        self._teacher_digest = digest_weights(teacher.network) if teacher else ""
        weights = self._class_weights() if config.class_balance else None
        if teacher and teacher.network.frontend.config.n_mels > config.n_mels:
            raise TrainingError(
                f"expected a teacher of n_mels = {config.n_mels} or less, got one of "
                f"{teacher.network.frontend.config.n_mels}",
                path=config.teacher,
                advice="train with as many",
            )
        return BatchLoss(self.network, config, weights, teacher, upper)

    def fit(self, report: Report, on_scan: Progress | None = None) -> None:
        """Train until the last epoch or until validation has stopped getting better.

        `on_scan(done, total)` counts what is heard of the running speech, between the epochs.
        """
        if self.epoch == 0 and not self.config.initial:
            self._learn_normalisation()
        while self.epoch < self.config.epochs and self.epochs_since_best < self.config.patience:
            self._find_hard(on_scan)
            metrics = self._run_epoch(report, on_scan)
            # before the checkpoint: a resumed run drops a line too many, it could not make up a lost one
            self.run.append_metrics({k: v for k, v in asdict(metrics).items() if v is not None})
            self.epoch += 1
            self._save(self._note_choice(metrics))
            report(metrics)
        self.run.draw_curves()

    def _note_choice(self, metrics: EpochMetrics) -> bool:
        """Whether this epoch is the best so far; patience is not lost while the loss falls."""
        choice = Choice(metrics.score, metrics.score_loss)
        is_best, is_falling = choice.is_better(self.best), choice.loss < self.least_loss
        if is_best:
            self.best, self.best_accuracy = choice, metrics.validation_accuracy
        self.least_loss = min(self.least_loss, choice.loss)
        self.epochs_since_best = 0 if is_best or is_falling else self.epochs_since_best + 1
        return is_best

    @property
    def answering(self) -> KeywordNetwork:
        """The network that is validated and exported: the average where there is one."""
        return self.network if self.average is None else cast(KeywordNetwork, self.average.module)

    @torch.no_grad()
    def _learn_normalisation(self) -> None:
        """Mean and deviation of each band over clips of the first epoch as they are."""
        frames = []
        for number, batch in enumerate(self.data.plain_batches):
            if number == NORMALISATION_BATCHES:
                break
            frames.append(log_mel_of(self.network, batch.to(self.fabric.device)).flatten(0, 1))
        log_mel = torch.cat(frames).double()
        self.network.set_normalisation(log_mel.mean(dim=0).float(), log_mel.std(dim=0).float())

    def _run_epoch(self, report: Report, on_scan: Progress | None) -> EpochMetrics:
        self.data.sampler.epoch = self.epoch
        n_batches, began = len(self.data.sampler), time.perf_counter()
        every = GPU_REPORT_BATCHES if self.fabric.device.type == "cuda" else 1
        self.loss.train()
        # stay on the device: each number that is read waits for it
        sums = torch.zeros(2, dtype=torch.float64, device=self.fabric.device)
        n_clips = 0
        for number, batch in enumerate(until_lost(self.data.train_batches), start=1):
            self._set_learning_rate(self.epoch + (number - 1) / n_batches)
            sums += self._train_batch(batch)
            n_clips += len(batch.labels)
            if number % every and number != n_batches:
                continue
            loss, right = (sums / n_clips).tolist()
            if not math.isfinite(loss):
                raise self._diverged(f"batch {number}")
            speed = n_clips / (time.perf_counter() - began)
            report(BatchReport(self.epoch, number, n_batches, loss, 100 * right, speed))
        seconds = time.perf_counter() - began
        validation_loss, validation_accuracy = self.evaluate(self.data.validation_batches)
        if not math.isfinite(validation_loss):  # the last step may have spoilt the weights
            raise self._diverged("validation")
        whole = self.hear_whole_clips()
        recall = self.stream_recall(on_scan) if self.config.select == "stream" else None
        # windows and whole clips together: each clip of them counts alike
        share = self.n_whole_clips / (len(self.data.validation_clips) + self.n_whole_clips)
        right_of_both = (1 - share) * validation_accuracy + share * whole.accuracy
        return EpochMetrics(
            self.epoch, loss, 100 * right, validation_loss, validation_accuracy,
            learning_rate(self.config, float(self.epoch)), n_clips / seconds, seconds,
            whole.loss, whole.accuracy, right_of_both if recall is None else recall,
            (1 - share) * validation_loss + share * whole.loss, recall,
        )  # fmt: skip

    def _find_hard(self, on_scan: Progress | None = None) -> None:
        """Before an epoch; an untrained network mistakes nothing in particular."""
        is_trained = self.epoch > 0 or bool(self.config.initial)
        if self.config.hard_percent and is_trained and self.epoch % self.config.hard_every == 0:
            self.hard.find(self.answering, on_scan)

    def _train_batch(self, batch: Batch) -> Tensor:
        """Train on one batch. Its loss times its clips, and its right answers: (2,)."""
        self.optimizer.zero_grad(set_to_none=True)
        loss, right = self.loss(batch.to(self.fabric.device))
        self.fabric.backward(loss)
        if self.config.gradient_clip:
            # of a loss that is no number too: it is said where the loss is read
            self.fabric.clip_gradients(
                self.loss, self.optimizer, max_norm=self.config.gradient_clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return torch.stack([loss.detach().double() * len(batch.labels), right.double()])

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Mean loss and accuracy in percent over a fixed set; every clip counts."""
        network = self.answering.eval()
        loss_sum, n_right, n_clips = 0.0, 0, 0
        for answers, labels in answer_batches(network, batches, self.fabric.device):
            logits = answers[:, 0]
            loss_sum += float(functional.cross_entropy(logits, labels, reduction="sum"))
            n_right += int((logits.argmax(dim=1) == labels).sum())
            n_clips += len(labels)
        return loss_sum / n_clips, 100 * n_right / n_clips

    def hear_whole_clips(self) -> WholeClips:
        """What validation clips are answered as a user feeds them."""
        return answer_whole_clips(self.answering, self.whole_clips, self.labels, self.fabric.device)

    def stream_recall(self, on_scan: Progress | None = None) -> float:
        """Validation words in percent that are found at few false accepts in speech and other words."""
        data, device = self.data, self.fabric.device
        return measure_stream_recall(
            self.answering, data.source.stores, data.validation, self._heard_clips, device, on_scan
        )

    def _class_weights(self) -> Tensor:
        """Weight of the clips of each label. Shape: (n_labels,)."""
        return torch.from_numpy(class_weights(self.data.count_labels(), self.config.class_balance))

    def _set_learning_rate(self, epoch: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, epoch)

    def _diverged(self, where: str) -> TrainingError:
        kept = (
            f"the checkpoint of epoch {self.epoch} is kept" if self.epoch else "no checkpoint was written yet"
        )
        return TrainingError(
            f"the loss is no longer a number (epoch {self.epoch + 1}, {where}); {kept}",
            path=self.run.path,
            advice=f"try a smaller --learning-rate than {self.config.learning_rate:g}",
        )

    def _save(self, is_best: bool) -> None:
        state = {
            "config": self.config.to_json(),
            "labels": list(self.labels),
            "n_samples": self.network.window_samples,
            "epoch": self.epoch,
            "best_score": self.best.score,
            "best_loss": self.best.loss,
            "least_loss": self.least_loss,
            "best_accuracy": self.best_accuracy,
            "epochs_since_best": self.epochs_since_best,
            "n_threads": torch.get_num_threads(),
        }
        if is_best:
            save_checkpoint(self.run.path / BEST, {**state, "network": self.answering.state_dict()})
        state |= {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        state["teacher_digest"] = self._teacher_digest
        state["hard"] = self.hard.mined.to_tensors()
        if self.average is not None:
            state["average"] = self.average.state_dict()
        # last: a kill between the two leaves a best that the repeated epoch writes again
        save_checkpoint(self.run.path / LAST, state)

    def _resume(self, stores: Sequence[AnyStore]) -> None:
        state = load_checkpoint(self.run.path / LAST)
        check_same_training(state["config"], self.config, self.run.path)
        self.run.check_same_data(stores)
        if state.get("teacher_digest", "") != self._teacher_digest:
            raise TrainingError(
                f"the best network of {self.config.teacher} is another than when the run was begun",
                path=self.run.path,
                advice="resume with the same teacher or choose another --run",
            )
        if self.fabric.device.type == "cpu":
            torch.set_num_threads(state["n_threads"])  # another number would round differently
        fill_network(self.network, state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if "hard" in state:  # an older run had none
            self.hard.use(MinedWindows.from_tensors(state["hard"]), self.network.window_samples)
        self.epoch = state["epoch"]
        self.best_accuracy = state["best_accuracy"]
        # an older run was chosen by accuracy alone
        self.best = Choice(state.get("best_score", self.best_accuracy), state.get("best_loss", math.inf))
        self.least_loss = state.get("least_loss", math.inf)
        self.epochs_since_best = state["epochs_since_best"]
        self.run.cut_metrics(self.epoch)


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
    if precision == "32-true":
        return Fabric(accelerator=accelerator, devices=1, precision="32-true")
    return Fabric(accelerator=accelerator, devices=1, plugins=_Mixed("bf16-mixed", accelerator))


class _Mixed(MixedPrecision):
    """The network alone computes in bfloat16: a log-mel that is rounded to 8 bits on its way in has lost its
    quiet frames before they are augmented.
    """

    def convert_input(self, data: Any) -> Any:
        return data
