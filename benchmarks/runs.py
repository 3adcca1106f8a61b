"""What benchmarks that train have in common: one recipe on the shared data, and accuracy on real audio."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore
from data_prep.store import Store
from data_prep.task import TaskConfig, draw_evaluation, make_split_task
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint
from speechcmd.training.loop.trained_network import load_network
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.settings.config import AugmentConfig, TrainConfig
from speechcmd.training.settings.recipe import apply_settings, read_recipe

RECIPE_FILE = Path(__file__).resolve().parents[1] / "recipes" / "architectures.toml"
RECIPE = apply_settings(TrainConfig(device="cpu", n_threads=1), read_recipe(RECIPE_FILE))


class Answers(NamedTuple):
    """Labels of clips and what a network said: (n_clips,) each."""

    labels: np.ndarray
    given: np.ndarray

    def accuracy(self, label: int | None = None) -> float:
        """In percent, of all clips or those of one label."""
        chosen = slice(None) if label is None else self.labels == label
        return 100 * float(np.mean((self.labels == self.given)[chosen]))


def open_stores(audio: Path, images: Path) -> list[AnyStore]:
    """A store of audio and one of log-mel images."""
    return [Store.open(audio), FeatureStore.open(images)]


def train_whole(stores: Sequence[AnyStore], config: TrainConfig, folder: Path) -> Path:
    """Train, or go on, or leave it if it is finished."""
    begun = (folder / LAST).exists()
    if begun and load_checkpoint(folder / LAST)["epoch"] >= config.epochs:
        return folder

    def report(seen: BatchReport | EpochMetrics) -> None:
        if isinstance(seen, EpochMetrics):
            print(
                f"{folder.name}: epoch {seen.epoch + 1}/{config.epochs}  train {seen.train_accuracy:.1f} %  "
                f"validation {seen.validation_accuracy:.2f} %  {seen.clips_per_s:,.0f} clips/s",
                file=sys.stderr,
                flush=True,
            )

    Trainer(stores, config, folder, resume=begun).fit(report)
    return folder


@torch.no_grad()
def answer_clips(run: Path, audio: Store, split: str, augment: AugmentConfig | None = None) -> Answers:
    """The best network of a run on real audio by the official rule: words, `_unknown_`, `_silence_`."""
    state = load_checkpoint(run / BEST)
    config = TrainConfig.from_json(state["config"])
    network = load_network(state)
    task_config = TaskConfig(config.words, seed=0)
    task = make_split_task(audio, task_config, split)
    dataset = ClipDataset(audio, task, network.window_samples, augment or AugmentConfig.off())
    labels, given = [], []
    for batch in make_loader(dataset, FixedSampler(draw_evaluation(task, task_config), 250)):
        logits = network.classify(log_mel_of(network, batch))[:, 0]
        labels.append(batch.labels.numpy())
        given.append(logits.argmax(dim=1).numpy())
    return Answers(np.concatenate(labels), np.concatenate(given))


def with_changes(
    config: TrainConfig, augment: dict[str, object] | None = None, **changes: object
) -> TrainConfig:
    """A configuration with some settings changed."""
    return replace(config, **changes, augment=replace(config.augment, **(augment or {})))  # type: ignore[arg-type]
