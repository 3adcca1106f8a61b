"""Pooling the steps of a clip, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import plain_card

from speechcmd.runtime.recognition.pooling import PoolingSpans, limit_labels, pick_label, pool_posteriors

pytestmark = pytest.mark.runtime

LABELS = ("_silence_", "_unknown_", "yes", "no")


def table(*rows: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


# two steps make a word, four (4.5 rounds to even) the stretch of silence; a window is three hops, a step one
SPANS = PoolingSpans(2.0, 4.5, window_hops=3, step_hops=1)


def pool(
    posteriors: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    labels: tuple[str, ...] = LABELS,
    levels: list[float] | None = None,
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Pooled scores, of a clip that is equally loud everywhere unless `levels` (of n_steps + 2 hops) are given."""
    loud = np.array(levels or [-20.0] * (len(posteriors) + 2), dtype=np.float32)
    return pool_posteriors(posteriors, loud, labels, SPANS)


def geometric(*values: float) -> float:
    """Geometric mean with the floor of 0.01 that keeps one step from a veto."""
    return float(np.prod([value + 0.01 for value in values]) ** (1 / len(values))) - 0.01


def test_a_word_scores_its_best_two_steps_and_silence_its_worst_stretch() -> None:
    posteriors = table(
        [1, 0, 0, 0], [0.1, 0.2, 0.6, 0.1], [0, 0, 0.9, 0.1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]
    )
    scores = pool(posteriors)
    silence = geometric(1, 0.1, 0, 1)  # the steps 0 to 3, or 1 to 4
    expected = [silence, geometric(0, 0.2), geometric(0.6, 0.9), geometric(0.1, 0.1)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_steps_that_contradict_each_other_lose_to_steps_that_agree() -> None:
    posteriors = table([0, 0, 1.0, 0], [0, 0.45, 0.1, 0.45], [0, 0.1, 0.45, 0.45])
    assert pick_label(pool(posteriors), LABELS) == "no"


def test_a_short_word_in_a_long_quiet_recording_is_not_silence() -> None:
    quiet = [[1.0, 0.0, 0.0, 0.0]]
    posteriors = table(*quiet * 300, *[[0.0, 0.0, 1.0, 0.0]] * 3, *quiet * 300)
    assert pick_label(pool(posteriors), LABELS) == "yes"


@pytest.mark.parametrize("n_steps", [1, 2])
def test_clips_of_one_or_two_steps_are_averaged_whole(n_steps: int) -> None:
    posteriors = table([0, 0, 1, 0], [0, 0, 0.5, 0.5])[:n_steps]
    expected = [geometric(*column) for column in posteriors.T]
    np.testing.assert_allclose(pool(posteriors), expected, atol=1e-5)


def test_a_model_without_silence_pools_words_only() -> None:
    np.testing.assert_allclose(pool(table([0.2, 0.8]), ("yes", "no")), [0.2, 0.8], atol=1e-5)


QUIET, EDGE, WORD = [0, 0.95, 0.05, 0], [0, 0.4, 0.6, 0], [0, 0.3, 0.7, 0]
AROUND_A_WORD = table(*[QUIET] * 10, EDGE, WORD, WORD, EDGE, *[QUIET] * 10)


def levels_of(word_db: float, other_db: float = -60.0) -> list[float]:
    """Quiet, but for the word in the middle (three quarters of a window see it) and, at the end, something else."""
    return [-60.0] * 12 + [word_db] * 2 + [-60.0] * 7 + [other_db] * 5


def test_the_quiet_round_a_word_is_no_other_word() -> None:
    scores = pool(AROUND_A_WORD, levels=levels_of(-20.0))
    assert pick_label(scores, LABELS) == "yes"
    np.testing.assert_allclose(scores[1:3], [geometric(0.4, 0.3), geometric(0.7, 0.7)], atol=1e-5)


def test_what_is_as_loud_as_the_word_may_be_another_word() -> None:
    three_quarters_db = 10 * np.log10(0.75)  # what a window has of this short word
    for below_db, expected in ((2.9, "_unknown_"), (3.1, "yes")):
        other_db = -20.0 + three_quarters_db - below_db
        assert pick_label(pool(AROUND_A_WORD, levels=levels_of(-20.0, other_db)), LABELS) == expected
    assert pick_label(pool(AROUND_A_WORD, levels=levels_of(-20.0, 0.0)), LABELS) == "_unknown_"
    assert pick_label(pool(AROUND_A_WORD), LABELS) == "_unknown_"


def test_a_gain_changes_nothing() -> None:
    softer = [level - 30.0 for level in levels_of(-20.0, -22.5)]
    np.testing.assert_array_equal(
        pool(AROUND_A_WORD, levels=softer), pool(AROUND_A_WORD, levels=levels_of(-20.0, -22.5))
    )


def test_half_of_a_word_in_view_is_quieter_than_all_of_it() -> None:
    """A window of which a word fills the last third counts as quiet: its middle is."""
    spans = PoolingSpans(1.0, 4.5, window_hops=9, step_hops=1)
    other, half, whole = [0, 0.9, 0.1, 0], [0, 0.4, 0.6, 0], [0, 0.3, 0.7, 0]
    posteriors = table(*[other] * 4, half, half, whole, half, half, *[other] * 4)
    levels = np.array(
        [-60.0] * 9 + [-20.0] * 3 + [-60.0] * 9, dtype=np.float32
    )  # in view of the steps 3 to 9
    assert pick_label(pool_posteriors(posteriors, levels, LABELS, spans), LABELS) == "yes"


def test_scores_stay_between_zero_and_one() -> None:
    scores = pool(table([1, 0, 0, 0], [1, 0, 0, 0]))
    np.testing.assert_allclose(scores, [1, 0, 0, 0], atol=1e-5)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_words_not_asked_for_count_as_unknown() -> None:
    posteriors = table([0.1, 0.2, 0.3, 0.4])
    limited, labels = limit_labels(posteriors, LABELS, ["yes"])
    assert labels == ("_silence_", "_unknown_", "yes")
    np.testing.assert_allclose(limited, [[0.1, 0.6, 0.3]], atol=1e-6)
    np.testing.assert_allclose(posteriors, [[0.1, 0.2, 0.3, 0.4]])  # the caller's table is as it was


def test_words_not_asked_for_vanish_where_there_is_no_unknown() -> None:
    limited, labels = limit_labels(table([0.3, 0.7]), ("yes", "no"), ["no"])
    assert labels == ("no",)
    np.testing.assert_allclose(limited, [[0.7]])


@pytest.mark.parametrize(
    ("window_samples", "word_steps", "silence_steps"),
    [(15_840, 16.5, 37.125), (24_160, 16.5, 56.625), (8_000, 25 / 3, 18.75)],
)
def test_a_word_is_no_longer_in_longer_windows(
    window_samples: int, word_steps: float, silence_steps: float
) -> None:
    card = plain_card(window_samples=window_samples, step_samples=640)
    spans = PoolingSpans.of_card(card)
    assert (spans.word_steps, spans.silence_steps) == pytest.approx((word_steps, silence_steps))
    assert (spans.window_hops, spans.step_hops) == (window_samples // 160, 4)
