"""Pooling the steps of a clip, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from speechcmd.runtime.pooling import limit_labels, pick_label, pool_posteriors

pytestmark = pytest.mark.runtime

LABELS = ("_silence_", "_unknown_", "yes", "no")


def table(*rows: list[float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, dtype=np.float32)


def test_words_score_their_best_three_steps_and_silence_its_mean() -> None:
    posteriors = table([1, 0, 0, 0], [0, 0.3, 0.6, 0.1], [0, 0, 0.9, 0.1], [0, 0, 0.9, 0.1], [1, 0, 0, 0])
    scores = pool_posteriors(posteriors, LABELS)
    np.testing.assert_allclose(scores, [0.4, 0.1, 0.8, 0.1], atol=1e-6)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_clips_of_one_or_two_steps_score_their_mean(n_steps: int) -> None:
    posteriors = table([0, 0, 1, 0], [0, 0, 0.5, 0.5])[:n_steps]
    np.testing.assert_allclose(pool_posteriors(posteriors, LABELS), posteriors.mean(axis=0), atol=1e-6)


def test_a_model_without_silence_pools_words_only() -> None:
    np.testing.assert_allclose(pool_posteriors(table([0.2, 0.8]), ("yes", "no")), [0.2, 0.8])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.8, 0.5, 0.1], "yes"),  # a word that scores enough beats all else
        ([0.9, 0.8, 0.5, 0.6], "no"),
        ([0.9, 0.6, 0.4, 0.1], "_unknown_"),
        ([0.9, 0.4, 0.4, 0.1], "_silence_"),
        ([0.1, 0.2, 0.4, 0.3], "yes"),  # nothing scores enough: the highest
    ],
)
def test_the_choice(scores: list[float], expected: str) -> None:
    assert pick_label(np.array(scores, dtype=np.float32), LABELS) == expected


def test_a_model_of_words_only_always_answers_a_word() -> None:
    assert pick_label(np.array([0.4, 0.3], dtype=np.float32), ("yes", "no")) == "yes"


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
