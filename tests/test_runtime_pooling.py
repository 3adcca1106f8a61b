"""Pooling the steps of a clip, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import plain_card

from speechcmd.runtime.pooling import limit_labels, pick_label, pool_posteriors, pooled_steps

pytestmark = pytest.mark.runtime

LABELS = ("_silence_", "_unknown_", "yes", "no")


def table(*rows: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


SPANS = (2.0, 4.5)  # two steps make a word, four (4.5 rounds to even) the stretch of silence


def geometric(*values: float) -> float:
    """Geometric mean with the floor of 0.01 that keeps one step from a veto."""
    return float(np.prod([value + 0.01 for value in values]) ** (1 / len(values))) - 0.01


def test_a_word_scores_its_best_two_steps_and_silence_its_worst_stretch() -> None:
    posteriors = table(
        [1, 0, 0, 0], [0.1, 0.2, 0.6, 0.1], [0, 0, 0.9, 0.1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]
    )
    scores = pool_posteriors(posteriors, LABELS, *SPANS)
    silence = geometric(1, 0.1, 0, 1)  # the steps 0 to 3, or 1 to 4
    expected = [silence, geometric(0, 0.2), geometric(0.6, 0.9), geometric(0.1, 0.1)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_steps_that_contradict_each_other_lose_to_steps_that_agree() -> None:
    posteriors = table([0, 0, 1.0, 0], [0, 0.45, 0.1, 0.45], [0, 0.1, 0.45, 0.45])
    assert pick_label(pool_posteriors(posteriors, LABELS, *SPANS), LABELS) == "no"


def test_a_short_word_in_a_long_quiet_recording_is_not_silence() -> None:
    quiet = [[1.0, 0.0, 0.0, 0.0]]
    posteriors = table(*quiet * 300, *[[0.0, 0.0, 1.0, 0.0]] * 3, *quiet * 300)
    assert pick_label(pool_posteriors(posteriors, LABELS, *SPANS), LABELS) == "yes"


@pytest.mark.parametrize("n_steps", [1, 2])
def test_clips_of_one_or_two_steps_are_averaged_whole(n_steps: int) -> None:
    posteriors = table([0, 0, 1, 0], [0, 0, 0.5, 0.5])[:n_steps]
    expected = [geometric(*column) for column in posteriors.T]
    np.testing.assert_allclose(pool_posteriors(posteriors, LABELS, *SPANS), expected, atol=1e-5)


def test_a_model_without_silence_pools_words_only() -> None:
    np.testing.assert_allclose(
        pool_posteriors(table([0.2, 0.8]), ("yes", "no"), *SPANS), [0.2, 0.8], atol=1e-5
    )


def test_scores_stay_between_zero_and_one() -> None:
    scores = pool_posteriors(table([1, 0, 0, 0], [1, 0, 0, 0]), LABELS, *SPANS)
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
    assert pooled_steps(card) == pytest.approx((word_steps, silence_steps))
