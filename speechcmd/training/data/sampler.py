"""Which examples come in which batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from data_prep.task import SplitTask, TaskConfig, draw_epoch, draw_recordings
from speechcmd.arrays import IntArray
from speechcmd.training.counter_random import generator_for


class ItemKey(NamedTuple):
    """One example of one batch; all randomness of the batch follows from its seed, epoch and number."""

    epoch: int
    batch: int
    example: int


class EpochSampler(Sampler[list[ItemKey]]):
    """Batches of one training epoch after another, each in a new order; the last short batch is left out.

    To each epoch come `n_hard` windows of speech: the examples `hard`, and others where those are fewer.
    """

    def __init__(
        self, task: SplitTask, config: TaskConfig, batch_size: int, seed: int, n_hard: int = 0
    ) -> None:
        self._task, self._config, self._seed = task, config, seed
        self._batch_size = batch_size
        self.n_hard = n_hard
        self.hard: IntArray = np.zeros(0, np.int64)
        self.epoch = 0

    def __len__(self) -> int:
        drawn = draw_epoch(self._task, self._config, generator_for("epoch", self._seed, 0))
        return max(1, (len(drawn) + self.n_hard) // self._batch_size)

    def _draw(self) -> IntArray:
        drawn = draw_epoch(self._task, self._config, generator_for("epoch", self._seed, self.epoch))
        if not self.n_hard:
            return drawn
        rng = generator_for("hard", self._seed, self.epoch)
        # until some are found, and where there is too little speech: speech as it comes
        others = draw_recordings(self._task, self._task.speech, self.n_hard - len(self.hard), rng)
        return rng.permutation(np.concatenate([drawn, self.hard, others]))

    def __iter__(self) -> Iterator[list[ItemKey]]:
        drawn = self._draw()
        for number in range(max(1, len(drawn) // self._batch_size)):
            chosen = drawn[number * self._batch_size : (number + 1) * self._batch_size]
            yield [ItemKey(self.epoch, number, example) for example in chosen.tolist()]


class FixedSampler(Sampler[list[ItemKey]]):
    """The same indices in the same order each time; every one counts."""

    def __init__(self, indices: IntArray, batch_size: int) -> None:
        self._indices, self._batch_size = indices, batch_size

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def __iter__(self) -> Iterator[list[ItemKey]]:
        for number in range(len(self)):
            chosen = self._indices[number * self._batch_size : (number + 1) * self._batch_size]
            yield [ItemKey(0, number, example) for example in chosen.tolist()]
