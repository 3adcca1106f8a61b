"""The data of one training: what is trained on and what validates, in which batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader

from data_prep.row_source import AnyStore, JoinedStores, RowSource
from data_prep.task import SplitTask, draw_epoch, draw_evaluation, draw_unknown, make_split_task
from data_prep.voices import note_voices
from models.network import KeywordNetwork
from speechcmd.arrays import IntArray
from speechcmd.errors import TrainingError
from speechcmd.labels import UNKNOWN, name_labels
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import Batch
from speechcmd.training.counter_random import generator_for
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.folds import split_by_fold
from speechcmd.training.data.sampler import EpochSampler, FixedSampler
from speechcmd.training.data.store_checks import check_front_end, check_together
from speechcmd.training.data.windows import release_stores
from speechcmd.training.settings.config import AugmentConfig, TrainConfig
from speechcmd.training.settings.duration import fill_duration


class TrainingData:
    """Tasks and loaders of one training, and its settings, with those that follow the number of clips.

    Raises
    ------
    StoreError, TrainingError
        If the stores do not fit together, the network or what is asked for.
    """

    def __init__(self, stores: Sequence[AnyStore], config: TrainConfig, device: torch.device) -> None:
        self.source = JoinedStores(split_by_fold(stores, config.fold))
        check_together(self.source.stores)
        self._task = task = config.task
        self.training = take_share(make_split_task(self.source, task, "training"), config)
        labels = self.training.examples.labels[self.training.words]
        missing = [word for number, word in enumerate(config.words) if number not in labels]
        if missing:
            raise TrainingError(
                f"clips_percent = {config.clips_percent:g} leaves no training clip of {name_labels(missing)}",
                path=self.source.path,
                advice="take a larger share, add clips, or leave what is rare out of --words",
            )
        self.validation = make_split_task(self.source, task, "validation")
        self.notes = tuple(_notes_on(self.source, config.words))
        """What a person may not expect of the stores, a line each."""
        if config.hard_percent:
            self._check_speech(self.training, "train", f"hard_percent = {config.hard_percent:g}")
        if config.select == "stream":
            self._check_speech(self.validation, "calibrate", "select = stream")
        self._device = device if device.type == "cuda" else None
        n_hard = math.ceil(len(self.training.words) * config.hard_percent / 100)
        n_drawn = len(draw_epoch(self.training, task, generator_for("epoch", config.seed, 0)))
        self.config = fill_duration(config, n_drawn + n_hard)
        self.sampler = EpochSampler(self.training, task, self.config.batch_size, config.seed, n_hard)

    def _check_speech(self, task: SplitTask, role: str, setting: str) -> None:
        if not (task.examples.end - task.examples.first)[task.speech].any():
            raise TrainingError(
                f"expected running speech of role {role} for {setting}, found none",
                path=self.source.path,
                advice="prepare a store with --speech and --roles, or leave the setting out",
            )

    def make_loaders(
        self, network: KeywordNetwork, window_frames: int, upper: UpperBands | None = None
    ) -> None:
        """Loaders for a network; batches of training have windows of `window_frames` frames.

        What reaches beyond the network's own window is for a teacher: the middle is what it would be. `upper`
        estimates bands that some store does not have.
        """
        release_stores()
        for store in self.source.stores:
            check_front_end(store, network.frontend.config)
        self._network, self._upper = network, upper
        n_samples = network.frontend.config.n_samples(window_frames)
        self.trained = self._dataset(self.training, n_samples, self.config.augment)
        self.train_batches = make_loader(
            self.trained, self.sampler, 0 if self._device else self.config.n_workers
        )
        self._known = self._dataset(self.training, network.window_samples, AugmentConfig.off())
        self.plain_batches = make_loader(self._known, self.sampler)
        self.validation_clips = draw_evaluation(self.validation, self._task)
        if len(self.validation_clips) == 0:
            raise TrainingError(
                f"no validation clip of {name_labels(self.config.words)}; expected some of other "
                "speakers than the training clips', prepare the store from more speakers",
                path=self.source.path,
            )
        self.validation_batches = self.load_validation(self.validation_clips, network.window_samples)

    def load_validation(
        self,
        clips: IntArray,
        n_samples: int,
        augment: AugmentConfig | None = None,
        batch_size: int | None = None,
    ) -> DataLoader[Batch]:
        """Validation clips in windows of `n_samples`, the same each time, changed as `augment` says."""
        dataset = self._dataset(self.validation, n_samples, augment or AugmentConfig.off())
        return make_loader(dataset, FixedSampler(clips, batch_size or 2 * self.config.batch_size))

    def _dataset(self, task: SplitTask, n_samples: int, augment: AugmentConfig) -> ClipDataset:
        network = self._network
        return ClipDataset(
            self.source, task, n_samples, augment, self.config.seed, self._device, network.frontend.config,
            network.window_samples, self._upper,
        )  # fmt: skip

    def train_on(self, task: SplitTask, hard: IntArray) -> None:
        """Let the epochs to come draw from `task`; its examples `hard` are windows of running speech."""
        self.sampler.hard = hard
        self.trained.use_task(task)

    def known_batches(self, n_clips: int) -> tuple[DataLoader[Batch], int]:
        """Up to `n_clips` clips that are trained on, as they are, by the rule of validation; and how many."""
        known = draw_evaluation(self.training, self._task)
        n_taken = min(n_clips, len(known))
        taken = known[np.arange(n_taken) * len(known) // n_taken]
        return make_loader(self._known, FixedSampler(taken, 2 * self.config.batch_size)), n_taken

    def count_training_clips(self) -> int:
        """Clips of words and of other words that are trained on, however often."""
        is_official = self._task.unknown in ("auto", "official")
        unknown = draw_unknown(self.training, self._task) if is_official else self.training.unknown
        return len(self.training.words) + len(unknown)

    def count_labels(self) -> IntArray:
        """Clips of each label in an epoch. Shape: (n_labels,)."""
        drawn = draw_epoch(self.training, self._task, generator_for("epoch", self.config.seed, 0))
        labels = self.training.examples.labels[drawn]
        counts = np.bincount(labels, minlength=len(self._task.labels))
        counts[self._task.labels.index(UNKNOWN)] += self.sampler.n_hard
        return counts


def note_heard_voices(source: RowSource, words: Sequence[str]) -> str:
    """What figures of these words do not say, where a voice both trains and validates; else ""."""
    return note_voices(row for row in source.rows if row.word in words and row.split != "testing")


def _notes_on(source: RowSource, words: Sequence[str]) -> Iterator[str]:
    if voices := note_heard_voices(source, words):
        yield voices
    validated = {row.word for row in source.select("word", "validation")}
    if missing := [word for word in words if word not in validated]:
        named = name_labels(missing)
        yield f"no validation clip of {named}: how well it is learnt is not measured; add clips"


def take_share(task: SplitTask, config: TrainConfig) -> SplitTask:
    """The task with a share of its words and unknown words; a smaller share is part of a larger one."""
    if config.clips_percent >= 100:
        return task
    drawn = generator_for("share", config.seed, 0).uniform(0, 100, size=len(task.examples))
    is_kept = drawn < config.clips_percent
    return replace(task, words=task.words[is_kept[task.words]], unknown=task.unknown[is_kept[task.unknown]])
