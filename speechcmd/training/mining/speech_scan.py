"""Running speech through a network: where it hears words that nobody said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from data_prep.row_source import AnyStore
from data_prep.task import NO_WORDS, SplitTask
from models.network import KeywordNetwork
from speechcmd.arrays import FloatArray, IntArray
from speechcmd.progress import Progress
from speechcmd.training.data.windows import StoreWindows

SMOOTHED_STEPS = 5  # answers that are averaged, about as the decoder does
_CENTRE = SMOOTHED_STEPS // 2  # the window of this one stands for them
_GROUPED_STEPS = 12  # of them the worst counts: about as long as a detection keeps others away
_GROUPS = 8  # in one window that is read
_READ_STEPS = _GROUPS * _GROUPED_STEPS + SMOOTHED_STEPS - 1
_BATCH = 32
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class MinedWindows:
    """Half seconds of recordings and the highest score that a word has in each.

    `example` of a task and `start`, the sample where the window of that score begins, counted from the
    recording's first; `score` from 0 to 1. Shape: (n,) each.
    """

    example: IntArray
    start: IntArray
    score: FloatArray

    @classmethod
    def nothing(cls) -> MinedWindows:
        """Nothing found."""
        return cls(_NOTHING, _NOTHING, _NOTHING.astype(np.float32))

    def to_tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {name: torch.from_numpy(values) for name, values in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> MinedWindows:
        """What `to_tensors` gave."""
        return cls(**{name: values.numpy() for name, values in tensors.items()})

    def hardest(self, n: int) -> MinedWindows:
        """The `n` of them with the highest scores, in the order of the recordings."""
        # stable, so that the same network finds the same ones
        chosen = np.sort(np.argsort(-self.score, kind="stable")[:n])
        return MinedWindows(self.example[chosen], self.start[chosen], self.score[chosen])


@torch.inference_mode()
def scan_speech(
    network: KeywordNetwork,
    stores: Sequence[AnyStore],
    task: SplitTask,
    device: torch.device,
    on_scan: Progress | None = None,
) -> MinedWindows:
    """Hear all running speech of a split. The network is left in evaluation mode.

    `on_scan(done, total)` counts batches of it.
    """
    network.eval()
    reader, step = _Reader(network, stores, task, device), network.step_samples
    n_window = network.window_samples
    nothing = MinedWindows.nothing()
    parts = [(nothing.example, nothing.start, nothing.score)]
    plan = list(_plan(task, len(stores), step))
    for number, (example, start) in enumerate(plan, start=1):
        smoothed = smoothed_scores(network.classify(reader.read(example, start))).amax(dim=2)
        begin = start[:, None] + (np.arange(smoothed.shape[1]) + _CENTRE) * step
        n_samples = (task.examples.end - task.examples.first)[example]
        last = np.maximum(n_samples - n_window, _CENTRE * step)  # of a short one the first window
        scores = np.where(begin <= last[:, None], smoothed.cpu().numpy(), np.float32(-1))
        parts.append(_best_of_groups(example, begin, scores))
        if on_scan:
            on_scan(number, len(plan))
    return MinedWindows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best_of_groups(
    example: IntArray, begin: IntArray, scores: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Recording, place and score of the best answer of each group; a score below 0 is none."""
    grouped = scores.reshape(-1, _GROUPED_STEPS)
    best = np.arange(len(grouped)), grouped.argmax(axis=1)
    there = grouped[best] >= 0
    owner = np.repeat(example, _GROUPS)
    return owner[there], begin.reshape(grouped.shape)[best][there], grouped[best][there]


def smoothed_scores(logits: Tensor) -> Tensor:
    """Mean scores of the words over neighbouring answers, `_unknown_` and `_silence_` left out.

    Shape: (batch, n_steps, n_labels) -> (batch, n_steps - SMOOTHED_STEPS + 1, n_words).
    """
    scores = logits.float().softmax(dim=2)[..., : -len(NO_WORDS)]
    return functional.avg_pool1d(scores.transpose(1, 2), SMOOTHED_STEPS, stride=1).transpose(1, 2)


def _plan(task: SplitTask, n_stores: int, step_samples: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Batches of recordings of one store each, and of the samples where to begin to read in them."""
    examples, hop = task.examples, _GROUPS * _GROUPED_STEPS * step_samples
    for number in range(n_stores):
        own = task.speech[examples.source[task.speech] == number]
        n_reads = -(-(examples.end - examples.first)[own] // hop)
        owner = np.repeat(own, n_reads)
        start = np.concatenate([_NOTHING, *(np.arange(n) * hop for n in n_reads.tolist())])
        for first in range(0, len(owner), _BATCH):
            yield owner[first : first + _BATCH], start[first : first + _BATCH]


class _Reader:
    """Log-mel of long windows of recordings, each batch from one store."""

    def __init__(
        self, network: KeywordNetwork, stores: Sequence[AnyStore], task: SplitTask, device: torch.device
    ) -> None:
        frontend = network.frontend.config
        self._network, self._task = network, task
        self._n_frames = network.window_frames + (_READ_STEPS - 1) * network.step_frames
        self._n_samples = frontend.n_samples(self._n_frames)
        self._windows = StoreWindows(tuple(stores), task, device, frontend)

    def read(self, example: IntArray, start: IntArray) -> Tensor:
        """Shape: (batch,) twice -> (batch, n_frames, n_mels)."""
        starts = self._task.examples.first[example] + start
        rng = np.random.Generator(np.random.PCG64(0))  # of what lies behind a recording's end
        if self._windows.has_frames[example[0]]:
            return self._windows.cut_frames(example, starts, self._n_frames, rng)
        gain = np.ones(len(example), np.float32)
        return self._network.features(self._windows.cut_audio(example, starts, self._n_samples, gain, rng))
