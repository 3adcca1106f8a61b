"""Rates of an outcome: false rejects, false accepts per hour, delays, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray, IntArray
from speechcmd.evaluation.intervals import percentile_interval, poisson_interval, wilson_interval
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import FalseAccept, Fate, Outcome
from speechcmd.evaluation.streams.stream_result import Delay, Rates

ALL = "all"
_N_DRAWS = 500
_LEAST_UNITS = 10  # of fewer, drawing again gives too narrow an interval
_SEED = 0
_MS = 1_000.0


def count_rates(
    audio: HeardSet,
    outcome: Outcome,
    label: str | None = None,
    *,
    among: BoolArray | None = None,
    false_accepts: Sequence[FalseAccept] | None = None,
    hours: float | None = None,
) -> Rates:
    """Rates of a label, or of all labels together.

    Parameters
    ----------
    among
        Words to count; None for all. Shape: (n_words,).
    false_accepts
        Those to count instead of all of the outcome's.
    hours
        In which they fell; None for all hours outside words.
    """
    mask = np.ones(len(audio.words), dtype=bool) if among is None else among.copy()
    if label is not None:
        mask &= audio.word_labels == audio.card.words.index(label)
    counted = outcome.false_accepts if false_accepts is None else false_accepts
    n_false = sum(label in (None, one.label) for one in counted)
    all_hours = sum(audio.hours().values()) if hours is None else hours
    n_words, n_found = int(mask.sum()), int((outcome.fates[mask] == Fate.FOUND).sum())
    low, high = _reject_interval(audio, outcome, mask)
    fa_low, fa_high = poisson_interval(n_false, all_hours)
    return Rates(
        label=label or ALL,
        n_words=n_words,
        n_found=n_found,
        false_reject_rate=1 - n_found / n_words if n_words else None,
        low=low if n_words else None,
        high=high if n_words else None,
        n_substituted=int((outcome.fates[mask] == Fate.SUBSTITUTED).sum()),
        n_duplicates=sum(label in (None, one) for one in outcome.duplicates),
        n_false=n_false,
        hours=all_hours,
        false_accepts_per_hour=n_false / all_hours if all_hours else None,
        fa_low=fa_low if all_hours else None,
        fa_high=fa_high if all_hours else None,
        delay_ms=_delay(audio, outcome, mask),
    )


def false_reject_rate(audio: HeardSet, outcome: Outcome) -> float:
    """Mean over the labels that are said of the share of words that were not found; nan without words."""
    rates = [
        1 - float((outcome.fates[audio.word_labels == number] == Fate.FOUND).mean())
        for number in np.unique(audio.word_labels)
    ]
    return float(np.mean(rates)) if rates else math.nan


def _reject_interval(audio: HeardSet, outcome: Outcome, mask: BoolArray) -> tuple[float, float]:
    """Bootstrap by recording (minute of a longer one); where it has no width, Wilson's."""
    n_words, n_missed = int(mask.sum()), int((outcome.fates[mask] != Fate.FOUND).sum())
    units = _draw_units(audio.word_units[mask])
    if units is not None and 0 < n_missed < n_words:
        numbers = np.unique(audio.word_units[mask], return_inverse=True)[1]
        words = np.bincount(numbers)
        missed = np.bincount(numbers, weights=outcome.fates[mask] != Fate.FOUND, minlength=len(words))
        rates = missed[units].sum(axis=1) / words[units].sum(axis=1)
        return percentile_interval(rates.tolist())
    return wilson_interval(n_missed, n_words)


def _draw_units(units: IntArray) -> IntArray | None:
    """Units drawn again with replacement, a row a draw; None if there are too few to say anything."""
    n_units = len(np.unique(units))
    if n_units < _LEAST_UNITS:
        return None
    rng = np.random.Generator(np.random.PCG64(_SEED))
    return rng.integers(0, n_units, (_N_DRAWS, n_units))


def _delay(audio: HeardSet, outcome: Outcome, mask: BoolArray) -> Delay | None:
    found = mask & (outcome.fates == Fate.FOUND)
    if not found.any():
        return None
    delays: DoubleArray = outcome.delays_s[found] * _MS
    median, p95 = np.percentile(delays, [50, 95])
    draws = _draw_units(audio.word_units[found])
    if draws is not None:
        low, high = percentile_interval(_medians(delays, audio.word_units[found], draws).tolist())
    else:
        low, high = float(delays.min()), float(delays.max())
    return Delay(float(median), float(p95), low, high)


def _medians(delays: DoubleArray, units: IntArray, draws: IntArray) -> DoubleArray:
    """Median of the delays of each draw of units, a delay counted as often as its unit was drawn."""
    order = np.argsort(delays)
    numbers = np.unique(units, return_inverse=True)[1][order]
    n_units = draws.shape[1]
    times_drawn = np.stack([np.bincount(draw, minlength=n_units) for draw in draws])
    weights = np.cumsum(times_drawn[:, numbers], axis=1)
    middle = (weights >= weights[:, -1:] / 2).argmax(axis=1)
    medians: DoubleArray = delays[order][middle]
    return medians
