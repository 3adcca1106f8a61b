"""Intervals of shares of clips: clips of one speaker stand and fall together, so speakers are drawn anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray, IntArray
from speechcmd.evaluation.intervals import percentile_interval, wilson_interval
from speechcmd.evaluation.wording import NOTHING

BY_SPEAKER = "bootstrap by speaker"
WILSON = "Wilson"
LEAST_UNITS = 5  # fewer speakers do not tell how much speakers differ
_MOST_NAMED = 5

_N_DRAWS = 1_000
_MOST_DRAWN = 2**20  # numbers in memory at a time


@dataclass(frozen=True, slots=True)
class ShareInterval:
    """A 95 % interval of a share, and how it was found: `BY_SPEAKER` or `WILSON`."""

    low: float
    high: float
    name: str


def number_units(speakers: Sequence[str]) -> IntArray:
    """What is drawn anew: the number of each clip's speaker, or one of its own. Shape: (n_clips,)."""
    numbers: dict[str | int, int] = {}
    units = [numbers.setdefault(speaker or index, len(numbers)) for index, speaker in enumerate(speakers)]
    return np.array(units, dtype=np.int64)


def share_interval(is_right: BoolArray, speakers: Sequence[str], seed: int = 0) -> ShareInterval:
    """Interval of the share of right clips, from drawing speakers anew (clips, where there is no speaker).

    Wilson's, for which all clips are independent, where everything or nothing is right, there are fewer
    than `LEAST_UNITS` speakers, or all of them are alike. Shape: (n_clips,).
    """
    n_right, n_all = int(is_right.sum()), len(is_right)
    if 0 < n_right < n_all and len(set(speakers) - {""}) >= LEAST_UNITS:
        units = number_units(speakers)
        low, high = percentile_interval(_draw_shares(is_right, units, seed).tolist())
        if low < high:
            return ShareInterval(low, high, BY_SPEAKER)
    return ShareInterval(*wilson_interval(n_right, n_all), WILSON)


def _draw_shares(is_right: BoolArray, units: IntArray, seed: int) -> DoubleArray:
    """Share of right clips in each draw of units with replacement. Shape: (n_draws,)."""
    n_of, right_of = np.bincount(units), np.bincount(units, weights=is_right)
    rng = np.random.Generator(np.random.PCG64(seed))
    at_once = max(1, _MOST_DRAWN // len(n_of))
    shares = []
    for first in range(0, _N_DRAWS, at_once):
        drawn = rng.integers(0, len(n_of), (min(at_once, _N_DRAWS - first), len(n_of)))
        shares.append(right_of[drawn].sum(axis=1) / n_of[drawn].sum(axis=1))
    return np.concatenate(shares)


def name_ways(found: Iterable[tuple[str, str | None]]) -> str:
    """How some intervals were found, in words.

    Parameters
    ----------
    found
        What each is the interval of, and how it was found; None where there is none.
    """
    given = [(name, way) for name, way in found if way]
    ways = list(dict.fromkeys(way for _, way in given))
    if len(ways) < 2:
        return "".join(ways) or NOTHING
    others = [name for name, way in given if way == WILSON]
    more = len(others) - _MOST_NAMED
    named = ", ".join(others[:_MOST_NAMED]) + (f" and {more} others" if more > 0 else "")
    return f"{BY_SPEAKER}; {WILSON} for {named}"
