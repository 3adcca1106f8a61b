"""The largest gap between groups, and how often chance alone makes one as large."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from speechcmd.arrays import BoolArray, DoubleArray, IntArray
from speechcmd.evaluation.clips.clip_result import Gap
from speechcmd.evaluation.clips.share_interval import LEAST_UNITS
from speechcmd.evaluation.intervals import bootstrap_interval

LEAST_CLIPS = 20  # a smaller group says nothing about the largest gap
N_SHUFFLES = 1_000
TOO_FEW_CLIPS = f"fewer than two groups of {LEAST_CLIPS} clips, no gap is reported"
TOO_FEW_SPEAKERS = "too few speakers to tell it from chance"

_TINY = 1e-9  # shares that are equal may differ in the last bit


def measure_gap(
    values: Sequence[str], among: Sequence[str], is_right: BoolArray, units: IntArray, seed: int = 0
) -> Gap:
    """Gap of accuracy between the best and the worst group, with its chance and, of two groups, its interval.

    Best and worst are picked from the very figures that are compared, so of several groups that are alike
    two always seem to differ. "chance" is how often they do so as much: the share of shuffles of the groups
    among the units (speakers) that give at least this gap. The interval, from drawing units anew, is given
    for two groups only, where nothing is picked; one that reaches below 0 shows no gap.

    Parameters
    ----------
    values
        Group of each clip.
    among
        Groups that may be compared; those of fewer than `LEAST_CLIPS` clips are left out.
    units
        Number of each clip's speaker. Shape: (n_clips,).
    """
    index_of = {value: index for index, value in enumerate(among)}
    codes = np.array([index_of.get(value, -1) for value in values], dtype=np.int64)
    large = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(among)) >= LEAST_CLIPS)
    if len(large) < 2:
        return Gap(note=TOO_FEW_CLIPS)
    inside = np.isin(codes, large)
    codes, is_right, units = np.searchsorted(large, codes[inside]), is_right[inside], units[inside]
    shares = _shares_of(codes, np.ones(len(codes)), is_right, len(large))
    best, worst = int(shares.argmax()), int(shares.argmin())
    gap = float(shares[best] - shares[worst])
    if min(len(np.unique(units[codes == group])) for group in (best, worst)) < LEAST_UNITS:
        return Gap(largest_gap=gap, note=TOO_FEW_SPEAKERS)
    low = high = None
    if len(large) == 2 and best != worst:
        low, high = _gap_interval(codes == best, codes == worst, is_right, units, seed)
    chance = _chance_of(gap, codes, is_right, units, seed)
    return Gap(largest_gap=gap, gap_low=low, gap_high=high, chance=chance)


def _shares_of(codes: IntArray, n_clips: npt.ArrayLike, n_right: npt.ArrayLike, n_groups: int) -> DoubleArray:
    shares: DoubleArray = np.bincount(codes, n_right, n_groups) / np.bincount(codes, n_clips, n_groups)
    return shares


def _chance_of(gap: float, codes: IntArray, is_right: BoolArray, units: IntArray, seed: int) -> float:
    """Share of shuffles with at least this gap; the data count as one of them (Phipson and Smyth 2010)."""
    n_groups = int(codes.max()) + 1
    # a speaker's clips stay together; one heard in several groups is a unit in each of them
    cells, cell_of = np.unique(units * n_groups + codes, return_inverse=True)
    n_clips, n_right = np.bincount(cell_of), np.bincount(cell_of, weights=is_right)
    group_of, rng = cells % n_groups, np.random.Generator(np.random.PCG64(seed))
    n_as_large = 1
    for _ in range(N_SHUFFLES):
        shares = _shares_of(rng.permutation(group_of), n_clips, n_right, n_groups)
        n_as_large += int(shares.max() - shares.min() >= gap - _TINY)
    return n_as_large / (N_SHUFFLES + 1)


def _gap_interval(
    best: BoolArray, worst: BoolArray, is_right: BoolArray, units: IntArray, seed: int
) -> tuple[float | None, float | None]:
    n_units = int(units.max()) + 1
    n_best, n_worst = (np.bincount(units[group], minlength=n_units) for group in (best, worst))
    right_best, right_worst = (
        np.bincount(units[group & is_right], minlength=n_units) for group in (best, worst)
    )

    def gap_of(drawn: IntArray) -> float:
        all_best, all_worst = n_best[drawn].sum(), n_worst[drawn].sum()
        if not all_best or not all_worst:
            return math.nan
        return float(right_best[drawn].sum() / all_best - right_worst[drawn].sum() / all_worst)

    low, high = bootstrap_interval(gap_of, n_units, seed=seed)
    # of groups in which everything is right no draw differs: that is no certainty
    return (None, None) if math.isnan(low) or low == high else (low, high)
