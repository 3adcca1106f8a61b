"""The raw posteriors of the last steps, and their averages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechcmd.arrays import DoubleArray


class PosteriorHistory:
    """Posteriors as the network gave them, never gated: an average over them is a true one.

    Parameters
    ----------
    n_words
        Columns.
    span_steps
        Steps that an average reaches back.
    memory_steps
        Steps before the newest that a question may reach.
    """

    def __init__(self, n_words: int, span_steps: int, memory_steps: int) -> None:
        self._n_words = n_words
        self._span = span_steps
        self._kept_steps = memory_steps + span_steps
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next row is step 0."""
        self._rows: DoubleArray = np.zeros((0, self._n_words))
        self._first_step = 0

    @property
    def n_steps(self) -> int:
        """Steps since the last reset."""
        return self._first_step + len(self._rows)

    def append(self, rows: DoubleArray) -> DoubleArray:
        """Add the next steps and return their averages over the last steps, over fewer at the start.

        Slices are added in one fixed order, so that the result does not depend on the division into calls.
        Shape: (n_new, n_words) -> the same.
        """
        n_before = len(self._rows)
        self._rows = np.concatenate([self._rows, rows])
        joined = self._rows[max(0, n_before - self._span + 1) :]
        if n_before < self._span - 1:
            padding = np.zeros((self._span - 1 - n_before, self._n_words))
            joined = np.concatenate([padding, joined])
        total = joined[: len(rows)].copy()
        for shift in range(1, self._span):
            total += joined[shift : shift + len(rows)]
        n_first = self.n_steps - len(rows) + 1
        if n_first >= self._span:
            total /= self._span
        else:
            total /= np.minimum(np.arange(n_first, self.n_steps + 1), self._span)[:, None]
        return total

    def trim(self) -> None:
        """Drop what no question can reach any more, now and then: it is asked after each update."""
        surplus = len(self._rows) - self._kept_steps
        if surplus >= self._kept_steps:
            self._rows = self._rows[surplus:].copy()
            self._first_step += surplus

    def mean(self, word: int, first_step: int, last_step: int) -> float:
        """Mean of one word over some steps, both included."""
        column = self._column(word, first_step, last_step)
        return float(np.add.reduce(column) / len(column))  # what `mean` does, without its checks

    def rise(self, word: int, first_step: int, last_step: int, level: float) -> int:
        """First step of the last stretch, within some steps, in which a word is at or above a level."""
        is_low = self._column(word, first_step, last_step) < level
        return first_step + int(np.flatnonzero(is_low).max(initial=-1)) + 1

    def _column(self, word: int, first_step: int, last_step: int) -> DoubleArray:
        return self._rows[first_step - self._first_step : last_step - self._first_step + 1, word]


def find_crossings(rows: DoubleArray, levels: Sequence[float]) -> dict[int, list[int]]:
    """Words that are at or above their own level, by row; rows without one are left out.

    Shape: (n_rows, n_words) and (n_words,).
    """
    crossings: dict[int, list[int]] = {}
    for index in np.flatnonzero(rows >= levels).tolist():
        row, word = divmod(index, len(levels))
        crossings.setdefault(row, []).append(word)
    return crossings
