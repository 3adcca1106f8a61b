"""What is missed at a rate, and how far that can be chance: by hand on a few units."""

from __future__ import annotations

import numpy as np
import pytest
from compare_models import Heard, compare, curve_of, draw_units, missed_at, only

# two minutes of words (two SNRs, two labels), thresholds from low to high
SAID = np.array([[[4.0, 2.0], [2.0, 2.0]], [[0.0, 2.0], [2.0, 2.0]]])
FOUND = np.stack([SAID, SAID / 2, SAID / 4])
HOURS = {"speech": np.array([0.5, 1.5]), "others": np.array([1.0])}
N_FALSE = {
    "speech": np.array([[4.0, 4.0], [1.0, 1.0], [0.0, 0.0]]),
    "others": np.array([[12.0], [4.0], [0.0]]),
}
HEARD = Heard((20.0, 0.0), SAID, FOUND, N_FALSE, HOURS)


def test_rates_and_shares_over_thresholds() -> None:
    once = draw_units(HEARD, None)
    rate, found = curve_of(HEARD, once, with_others=False)
    assert rate.tolist() == [4.0, 1.0, 0.0]
    assert found.tolist() == [[1.0] * 3, [0.5] * 3, [0.25] * 3]
    rate, _ = curve_of(HEARD, once, with_others=True)  # (4 + 12 / 3) / (4 / 3), ...
    assert rate.tolist() == pytest.approx([6.0, 1.75, 0.0])


@pytest.mark.parametrize(
    ("wanted", "missed"), [(9.0, 0.0), (4.0, 0.0), (2.5, 25.0), (1.0, 50.0), (0.0, 75.0)]
)
def test_missed_between_two_thresholds(wanted: float, missed: float) -> None:
    rate, found = curve_of(HEARD, draw_units(HEARD, None), with_others=False)
    assert missed_at(rate, found, wanted).tolist() == pytest.approx([missed] * 3)


def test_all_is_missed_where_no_threshold_keeps_the_rate() -> None:
    assert missed_at(np.array([3.0, 2.0]), np.ones((2, 1)), 1.0).tolist() == [100.0]


def test_the_same_model_twice_does_not_differ_in_any_draw() -> None:
    rows = compare({"a": HEARD, "b": HEARD}, [1.0])
    assert {row["change"] for row in rows} == {0.0}
    assert all(row["change_interval"] == [0.0, 0.0] for row in rows)
    whole = next(row for row in rows if row["model"] == "b" and row["snr"] == "all")
    assert whole["missed"] == pytest.approx(50.0)
    assert whole["interval"][0] < whole["interval"][1]


def test_misses_of_some_words_alone() -> None:
    found = FOUND.copy()
    found[:, :, :, 1] = 0  # "no" is never heard
    some = only(Heard((20.0, 0.0), SAID, found, N_FALSE, HOURS), "yes")
    rate, shares = curve_of(some, draw_units(some, None), with_others=False)
    assert shares.tolist() == [[1.0] * 3, [0.5] * 3, [0.25] * 3]
    assert rate.tolist() == [4.0, 1.0, 0.0]
