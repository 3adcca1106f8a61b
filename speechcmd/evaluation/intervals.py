"""Intervals of proportions, rates and counts, and what a promise needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binom, binomtest, gamma

from speechcmd.arrays import IntArray

CONFIDENCE = 0.95
_BOOTSTRAP_DRAWS = 1_000


def wilson_interval(n_right: int, n_all: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927, JASA 22:209), as fractions; (0, 1) if `n_all` is 0."""
    if n_all == 0:
        return 0.0, 1.0
    found = binomtest(n_right, n_all).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def poisson_interval(n_events: int, hours: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a rate per hour (Garwood 1936, Biometrika 28:437)."""
    if hours <= 0:
        return 0.0, math.inf
    tail = (1 - confidence) / 2
    low = float(gamma.ppf(tail, n_events)) if n_events else 0.0
    return low / hours, float(gamma.ppf(1 - tail, n_events + 1)) / hours


def rate_upper_bound(n_events: int, hours: float, confidence: float) -> float:
    """Rate per hour that is not exceeded with a confidence (one-sided): -ln(1 - C) / hours for none."""
    return math.inf if hours <= 0 else float(gamma.ppf(confidence, n_events + 1)) / hours


def most_events(rate: float, hours: float, confidence: float | None) -> int:
    """Largest number of events in so many hours that keeps a rate; -1 if not even none does.

    Without a confidence the point estimate must keep it, with one the upper bound.
    """
    if confidence is None:
        return math.floor(rate * hours + 1e-9)
    return _last(lambda count: rate_upper_bound(count, hours, confidence) <= rate)


def _last(holds: Callable[[int], bool]) -> int:
    """Largest count for which something holds that holds up to some count and no further; -1 for none."""
    if not holds(0):
        return -1
    high = 1
    while holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def hours_needed(rate: float, confidence: float) -> float:
    """Hours without a single event that prove "at most `rate` per hour": -ln(1 - C) / R."""
    return -math.log(1 - confidence) / rate


def predictive_interval(
    n_events: int, hours: float, future_hours: float, confidence: float = CONFIDENCE
) -> tuple[int, int]:
    """Counts to expect in other hours at the same unknown rate, after `n_events` in `hours`.

    All counts y that the exact conditional test does not reject: given n + y events, y is binomial with the
    share of the hours (Nelson 1970, Technometrics 12:401; Krishnamoorthy and Peng 2011, CSDA 55:1539).
    """
    share, tail = future_hours / (hours + future_hours), (1 - confidence) / 2

    def is_too_few(count: int) -> bool:
        return bool(binom.cdf(count, n_events + count, share) <= tail)

    def is_too_many(count: int) -> bool:
        return bool(binom.sf(count - 1, n_events + count, share) <= tail)

    return _last(is_too_few) + 1, _last(lambda count: not is_too_many(count))


def bootstrap_interval(
    statistic: Callable[[IntArray], float],
    n_units: int,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    n_draws: int = _BOOTSTRAP_DRAWS,
) -> tuple[float, float]:
    """Percentile interval over units drawn again with replacement (Efron 1979); nan draws are left out.

    Parameters
    ----------
    statistic
        From the numbers of the drawn units, shape (n_units,), to a figure; nan if it has none.
    n_units
        Recordings, speakers: what was drawn independently.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    values = [statistic(rng.integers(0, n_units, n_units)) for _ in range(n_draws)]
    return percentile_interval(values, confidence)


def percentile_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle share of some values, without those that are not a number; (nan, nan) if none is."""
    finite = np.array([value for value in values if not math.isnan(value)])
    if len(finite) == 0:
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
