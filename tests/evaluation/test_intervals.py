"""Intervals against hand values, other libraries, exact coverage and simulation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from speechcmd.evaluation.intervals import (
    bootstrap_interval,
    hours_needed,
    most_events,
    percentile_interval,
    poisson_interval,
    predictive_interval,
    rate_upper_bound,
    wilson_interval,
)

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("n_all", [1, 2, 5, 20, 137, 4_890])
def test_wilson_is_scipy_s(n_all: int) -> None:
    for n_right in {0, 1, n_all // 3, n_all // 2, n_all - 1, n_all}:
        for confidence in (0.8, 0.95, 0.99):
            expected = stats.binomtest(n_right, n_all).proportion_ci(confidence, method="wilson")
            assert wilson_interval(n_right, n_all, confidence) == pytest.approx(
                (expected.low, expected.high), abs=1e-12
            )


def test_wilson_at_its_ends() -> None:
    # z = 1.959964: none of ten is below z^2 / (n + z^2) = 3.841459 / 13.841459
    assert wilson_interval(0, 10) == (0.0, pytest.approx(0.277533, abs=1e-6))
    assert wilson_interval(10, 10) == (pytest.approx(0.722467, abs=1e-6), 1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_poisson_by_the_published_table() -> None:
    # Garwood 1936: 95 % limits of the mean for 0, 1, 5 and 10 events
    table = {0: (0.0, 3.689), 1: (0.0253, 5.572), 5: (1.623, 11.668), 10: (4.795, 18.390)}
    for n_events, limits in table.items():
        assert poisson_interval(n_events, 1.0) == pytest.approx(limits, abs=5e-4)
        assert poisson_interval(n_events, 4.0) == pytest.approx([limit / 4 for limit in limits], abs=5e-4)
    assert poisson_interval(3, 0.0) == (0.0, math.inf)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_poisson_covers_every_mean_at_least_as_often_as_it_says(confidence: float) -> None:
    counts = np.arange(120)
    limits = np.array([poisson_interval(int(count), 1.0, confidence) for count in counts])
    for mean in np.linspace(0.05, 40, 200):
        inside = (limits[:, 0] <= mean) & (mean <= limits[:, 1])
        assert stats.poisson.pmf(counts, mean)[inside].sum() >= confidence - 1e-9
    # its limits are where the tails hold exactly half of the rest
    low, high = limits[7]
    assert stats.poisson.sf(6, low) == pytest.approx((1 - confidence) / 2)
    assert stats.poisson.cdf(7, high) == pytest.approx((1 - confidence) / 2)


def test_hours_without_an_event_prove_a_rate() -> None:
    assert hours_needed(1.0, 0.95) == pytest.approx(2.995732, abs=1e-6)
    assert hours_needed(0.1, 0.9) == pytest.approx(23.02585, abs=1e-5)
    for rate, confidence in ((1.0, 0.95), (0.3, 0.8)):
        assert rate_upper_bound(0, hours_needed(rate, confidence), confidence) == pytest.approx(rate)
    # so many or fewer are as likely as the confidence leaves
    bound = rate_upper_bound(4, 2.0, 0.9)
    assert stats.poisson.cdf(4, 2.0 * bound) == pytest.approx(0.1)
    assert rate_upper_bound(0, 0.0, 0.95) == math.inf


@pytest.mark.parametrize(
    ("rate", "hours", "confidence", "expected"),
    [
        (1.0, 3.5, None, 3),
        (0.1, 30.0, None, 3),  # 0.1 * 30 is a little more than 3 in floating point, and less is possible
        (0.7, 10.0, None, 7),
        (1.0, 2.9, 0.95, -1),  # 2.9957 hours would be needed
        (1.0, 3.0, 0.95, 0),
        (1.0, 4.74, 0.95, 0),  # one event needs 4.7439 hours
        (1.0, 4.75, 0.95, 1),
    ],
)
def test_the_most_events_that_keep_a_rate(
    rate: float, hours: float, confidence: float | None, expected: int
) -> None:
    assert most_events(rate, hours, confidence) == expected


def conditional_limits(n_events: int, share: float, tail: float) -> tuple[int, int]:
    """The definition by brute force: all counts whose two tails of the binomial both exceed `tail`."""
    kept = []
    for count in range(400):
        trials = n_events + count
        mass = np.array(
            [math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)]
        )
        if mass[: count + 1].sum() > tail and mass[count:].sum() > tail:
            kept.append(count)
        elif kept:
            break
    return kept[0], kept[-1]


@pytest.mark.parametrize(
    ("n_events", "hours", "future_hours"), [(0, 3, 3), (1, 5, 2), (7, 2, 4), (25, 10, 1)]
)
def test_the_predictive_interval_is_its_definition(n_events: int, hours: float, future_hours: float) -> None:
    expected = conditional_limits(n_events, future_hours / (hours + future_hours), 0.025)
    assert predictive_interval(n_events, hours, future_hours) == expected


@pytest.mark.parametrize(
    ("rate", "hours", "future_hours"), [(0.5, 3, 3), (2, 5, 2), (4, 2, 6), (0.1, 10, 10)]
)
def test_the_predictive_interval_holds_as_often_as_it_says(
    rate: float, hours: float, future_hours: float
) -> None:
    n_draws = 20_000
    rng = np.random.default_rng(0)
    seen, future = rng.poisson(rate * hours, n_draws), rng.poisson(rate * future_hours, n_draws)
    limits = {count: predictive_interval(int(count), hours, future_hours) for count in np.unique(seen)}
    low, high = np.array([limits[count] for count in seen]).T
    share = np.mean((low <= future) & (future <= high))
    noise = 3 * math.sqrt(0.95 * 0.05 / n_draws)
    assert share >= 0.95 - noise  # exact in truth: counts are whole, so rather more


def test_more_events_predict_more() -> None:
    limits = [predictive_interval(count, 2.0, 3.0) for count in range(12)]
    assert limits[0][0] == 0
    assert all(one[0] <= other[0] and one[1] < other[1] for one, other in pairwise(limits))


def test_the_bootstrap_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(
        lambda drawn: float(values[drawn].mean()), len(values), seed=5, n_draws=4_000
    )
    error = values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.02
    )
    again = bootstrap_interval(lambda drawn: float(values[drawn].mean()), len(values), seed=5, n_draws=4_000)
    assert again == (low, high)
    narrow = bootstrap_interval(lambda drawn: float(values[drawn].mean()), len(values), confidence=0.5)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 0.6745 * error, rel=0.15)


def test_draws_without_a_figure_are_left_out() -> None:
    assert bootstrap_interval(lambda drawn: 1.0 if 0 in drawn else math.nan, 3) == (1.0, 1.0)
    low, high = bootstrap_interval(lambda _: math.nan, 3, n_draws=10)
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_middle_share_of_values() -> None:
    assert percentile_interval([*range(101), math.nan], 0.9) == pytest.approx((5.0, 95.0))
    assert percentile_interval([2.0]) == (2.0, 2.0)


def test_large_counts_are_found_by_halving() -> None:
    """A model file may promise anything: the answer must not be counted up to."""
    low, high = predictive_interval(1_000_000, 10.0, 10.0)
    assert low == pytest.approx(1_000_000 - 1.96 * 1_414, rel=1e-4)
    assert high == pytest.approx(1_000_000 + 1.96 * 1_414, rel=1e-4)
    n_events = most_events(10_000.0, 100.0, 0.95)
    assert rate_upper_bound(n_events, 100.0, 0.95) <= 10_000.0 < rate_upper_bound(n_events + 1, 100.0, 0.95)
