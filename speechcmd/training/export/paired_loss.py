"""Two networks on the same clips and the same clock: what one loses against the other."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from speechcmd.arrays import IntArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.progress import Progress
from speechcmd.runtime.model.session import Session

"""Told how many clips of how many are done."""

_ROUNDS = 15
_LONG_S = 4
_Z_95 = 1.959964


@dataclass(frozen=True)
class PairedLoss:
    """Clips that two networks answered: both right, or right by the first or second alone."""

    n_clips: int
    both: int
    first_only: int
    second_only: int

    @property
    def first_accuracy(self) -> float:
        """In percent."""
        return 100 * (self.both + self.first_only) / self.n_clips

    @property
    def second_accuracy(self) -> float:
        """In percent."""
        return 100 * (self.both + self.second_only) / self.n_clips

    @property
    def points(self) -> float:
        """Accuracy that the second network loses, in points."""
        return 100 * (self.first_only - self.second_only) / self.n_clips

    @property
    def interval_points(self) -> tuple[float, float]:
        """95 % interval of `points`: Wald's for pairs with half a clip added to each kind.

        Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
        """
        n, first, second = self.n_clips + 2, self.first_only + 0.5, self.second_only + 0.5
        loss = (first - second) / n
        half = _Z_95 * math.sqrt((first + second) / n - loss**2) / math.sqrt(n)
        return 100 * (loss - half), 100 * (loss + half)


@dataclass(frozen=True)
class StepTime:
    """Milliseconds for a single window, and for a second of a long signal beyond its first window."""

    window_ms: float
    second_ms: float


def compare_answers(
    first: Session,
    second: Session,
    clips: Iterable[tuple[Waveform, IntArray]],
    n_clips: int,
    on_clips: Progress | None = None,
) -> PairedLoss:
    """Let two networks name the same clips, batches of one window each with their labels."""
    done = both = first_only = second_only = 0
    for waveforms, labels in clips:
        first_right, second_right = (
            session.run(waveforms)[:, 0].argmax(axis=1) == labels for session in (first, second)
        )
        both += int((first_right & second_right).sum())
        first_only += int((first_right & ~second_right).sum())
        second_only += int((~first_right & second_right).sum())
        done += len(labels)
        if on_clips is not None:
            on_clips(done, n_clips)
    return PairedLoss(done, both, first_only, second_only)


def time_steps(sessions: tuple[Session, Session], window_samples: int) -> tuple[StepTime, StepTime]:
    """Medians of interleaved repeats, one thread each: what slows the machine slows both."""
    rng = np.random.default_rng(0)
    long = (0.05 * rng.standard_normal((1, window_samples + _LONG_S * SAMPLE_RATE))).astype(np.float32)
    window = long[:, :window_samples]
    window_ms: tuple[list[float], list[float]] = ([], [])
    long_ms: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for number, session in enumerate(sessions):
            window_ms[number].append(_time_ms(session, window))
            long_ms[number].append(_time_ms(session, long))
    first, second = (
        StepTime(median(one), (median(whole) - median(one)) / _LONG_S)
        for one, whole in zip(window_ms, long_ms, strict=True)
    )
    return first, second


def _time_ms(session: Session, waveforms: Waveform) -> float:
    session.run(waveforms)  # another network was in the cache
    begin = time.perf_counter()
    session.run(waveforms)
    return 1000 * (time.perf_counter() - begin)
