"""Figures of clips: by hand, and against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from evaluation_results import plain
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.arrays import BoolArray, DoubleArray
from speechcmd.evaluation.clips.answers import Answers
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.clips.metrics import (
    N_BINS,
    count_confusions,
    list_pairs,
    measure_accuracy,
    measure_calibration,
    measure_clips,
    measure_labels,
    measure_speakers,
    worst_mistakes,
)
from speechcmd.evaluation.intervals import wilson_interval

metrics = pytest.importorskip("sklearn.metrics")
calibration = pytest.importorskip("sklearn.calibration")

LABELS = ("yes", "no", "_unknown_", "_silence_")


def example(number: int, label: str, speaker: str = "", word: str = "") -> LabelledClip:
    def read() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        raise NotImplementedError

    return LabelledClip(f"{label}/{number}.wav", word or label, label, speaker, read)


def examples_of(labels: Sequence[str]) -> list[LabelledClip]:
    return [example(number, label) for number, label in enumerate(labels)]


def answers_of(labels: Sequence[str], scores: Sequence[float] | None = None) -> Answers:
    given = np.array(scores if scores is not None else [0.5] * len(labels), dtype=np.float64)
    return Answers(list(labels), given, np.zeros((len(labels), len(LABELS))))


def drawn(
    n_clips: int, seed: int
) -> tuple[list[str], list[str], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Truths, answers (right more often than not) and scores."""
    rng = np.random.default_rng(seed)
    truths = [str(label) for label in rng.choice(LABELS, n_clips, p=[0.4, 0.3, 0.2, 0.1])]
    other = [str(label) for label in rng.choice(LABELS, n_clips)]
    answers = [truth if rng.random() < 0.7 else instead for truth, instead in zip(truths, other, strict=True)]
    return truths, answers, rng.random(n_clips)


def plain_measures(
    examples: Sequence[LabelledClip], answers: Answers, labels: Sequence[str]
) -> dict[str, Any]:
    """The figures as `clips.json` holds them."""
    figures: dict[str, Any] = plain(measure_clips(examples, answers, labels))
    return figures


def plain_accuracy(is_right: BoolArray, speakers: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = plain(measure_accuracy(is_right, speakers))
    return found


def plain_calibration(scores: DoubleArray, is_right: BoolArray, n_bins: int = N_BINS) -> dict[str, Any]:
    found: dict[str, Any] = plain(measure_calibration(scores, is_right, n_bins))
    return found


def plain_speakers(speakers: Sequence[str], is_right: BoolArray) -> dict[str, Any]:
    found: dict[str, Any] = plain(measure_speakers(speakers, is_right))
    return found


def test_three_of_four_by_hand() -> None:
    examples = [
        example(0, "yes", "ann"),
        example(1, "yes", "ann"),
        example(2, "no", "bob"),
        example(3, "_unknown_", "bob", word="bed"),
    ]
    answers = answers_of(["yes", "no", "no", "_unknown_"], [0.95, 0.9, 0.8, 0.7])
    figures = plain_measures(examples, answers, LABELS)
    assert figures["labels"] == list(LABELS)
    assert figures["accuracy"] == {
        "value": 0.75,
        "n": 4,
        "n_right": 3,
        "low": pytest.approx(0.300642, abs=1e-6),  # Wilson 1927, worked with z = 1.959964
        "high": pytest.approx(0.954413, abs=1e-6),
        "interval": "Wilson",  # of two speakers, too few to draw anew
    }
    assert figures["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    yes, no, unknown, silence = figures["by_label"]
    assert (yes["n"], yes["precision"], yes["recall"]) == (2, 1.0, 0.5)
    assert yes["f1"] == pytest.approx(2 / 3)
    assert (no["n"], no["precision"], no["recall"]) == (1, 0.5, 1.0)
    assert no["f1"] == pytest.approx(2 / 3)
    assert unknown["f1"] == 1.0
    # no clip of it and never the answer
    assert silence == {
        "label": "_silence_",
        "n": 0,
        "precision": 0.0,
        "recall": None,
        "recall_low": None,
        "recall_high": None,
        "interval": None,
        "f1": None,
    }
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert figures["pairs"] == [
        {"truth": "yes", "answer": "no", "n": 1, "clips": [{"path": "yes/1.wav", "score": 0.9}]}
    ]
    assert figures["by_speaker"]["n_speakers"] == 2
    assert figures["by_speaker"]["mean"] == 0.75
    assert figures["by_speaker"]["worst"][0] == {"speaker": "ann", "n": 2, "accuracy": 0.5}
    assert figures["unknown_by_word"] == {"mean": 1.0, "words": [{"word": "bed", "n": 1, "accuracy": 1.0}]}


def test_an_answer_beyond_the_task_is_a_column_of_its_own() -> None:
    figures = plain_measures(examples_of(["yes", "no"]), answers_of(["yes", "_silence_"]), ("yes", "no"))
    assert figures["labels"] == ["yes", "no", "_silence_"]
    assert figures["confusion"] == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert figures["accuracy"]["value"] == 0.5
    assert figures["macro_f1"] == 0.5
    assert figures["unknown_by_word"] is None


def test_no_clips_at_all_divide_nothing() -> None:
    figures = plain_measures([], answers_of([]), LABELS)
    assert figures["accuracy"] == {
        "value": None, "low": 0.0, "high": 1.0, "interval": "Wilson", "n": 0, "n_right": 0,
    }  # fmt: skip
    assert figures["macro_f1"] is None
    assert figures["calibration"]["ece"] is None
    assert figures["by_speaker"] == {
        "n_speakers": 0,
        "mean": None,
        "sd": None,
        "worst_tenth": None,
        "histogram": [{"low": k / 10, "high": (k + 1) / 10, "n": 0} for k in range(10)],
        "worst": [],
    }


@given(st.integers(0, 10_000), st.integers(1, 80))
@settings(max_examples=15, deadline=None)
def test_as_scikit_learn_counts(seed: int, n_clips: int) -> None:
    truths, answers, _ = drawn(n_clips, seed)
    confusion = count_confusions(truths, answers, LABELS)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(truths, answers, labels=LABELS))
    accuracy = plain_accuracy(np.array(truths) == np.array(answers), [""] * n_clips)
    assert accuracy["value"] == pytest.approx(metrics.accuracy_score(truths, answers))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truths, answers, labels=LABELS, zero_division=0
    )
    rows = plain(measure_labels(confusion, LABELS))
    assert [row["n"] for row in rows] == support.tolist()
    assert [row["precision"] for row in rows] == pytest.approx(precision)
    assert [row["recall"] or 0.0 for row in rows] == pytest.approx(recall)
    assert [row["f1"] or 0.0 for row in rows] == pytest.approx(f1)
    figures = plain_measures(examples_of(truths), answers_of(answers), LABELS)
    for row in figures["by_label"]:
        if row["n"] and row["label"] in LABELS:
            assert row["interval"] == "Wilson"  # nobody knows the speakers
            interval = wilson_interval(round(row["recall"] * row["n"]), row["n"])
            assert (row["recall_low"], row["recall_high"]) == interval
    present = [row["label"] for row in rows if row["n"]]
    macro = metrics.f1_score(truths, answers, labels=present, average="macro", zero_division=0)
    assert figures["macro_f1"] == pytest.approx(macro)


@pytest.mark.parametrize("n_clips", [1, 7, 500])
def test_the_reliability_curve_is_scikit_learn_s(n_clips: int) -> None:
    truths, answers, scores = drawn(n_clips, seed=n_clips)
    scores[: n_clips // 10] = 1.0
    is_right = np.array(truths) == np.array(answers)
    found = plain_calibration(scores, is_right)
    assert len(found["bins"]) == 15
    filled = [one for one in found["bins"] if one["n"]]
    share_right, mean_score = calibration.calibration_curve(is_right, scores, n_bins=15, strategy="uniform")
    assert [one["accuracy"] for one in filled] == pytest.approx(share_right)
    assert [one["confidence"] for one in filled] == pytest.approx(mean_score)
    weights = np.array([one["n"] for one in filled]) / n_clips
    assert found["ece"] == pytest.approx(float(weights @ abs(share_right - mean_score)))


def test_the_calibration_error_by_hand() -> None:
    # 0.9 of three of which two are right, 0.3 of one that is right: 3/4 * |2/3 - 0.9| + 1/4 * |1 - 0.3|
    found = plain_calibration(np.array([0.9, 0.9, 0.9, 0.3]), np.array([True, True, False, True]))
    assert found["ece"] == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.7)
    assert sum(one["n"] for one in found["bins"]) == 4
    edges = [one["low"] for one in found["bins"]] + [1.0]
    np.testing.assert_allclose(edges, np.arange(16) / 15)
    boundaries = plain_calibration(np.array([0.0, 1 / 3, 2 / 3, 1.0]), np.ones(4, dtype=bool), n_bins=3)
    assert [one["n"] for one in boundaries["bins"]] == [2, 1, 1]


def test_the_most_frequent_pair_first_its_surest_clip_first() -> None:
    truths = ["yes"] * 7 + ["no"] * 3
    answers = ["no"] * 7 + ["yes"] * 2 + ["no"]
    scores = [0.1, 0.7, 0.3, 0.6, 0.2, 0.5, 0.4, 0.8, 0.9, 1.0]
    first, second = plain(list_pairs(examples_of(truths), answers_of(answers, scores)))
    assert (first["truth"], first["answer"], first["n"]) == ("yes", "no", 7)
    assert [clip["score"] for clip in first["clips"]] == [0.7, 0.6, 0.5, 0.4, 0.3]
    assert first["clips"][0]["path"] == "yes/1.wav"
    assert (second["n"], [clip["path"] for clip in second["clips"]]) == (2, ["no/8.wav", "no/7.wav"])
    many = [f"w{number}" for number in range(30)]
    assert len(list_pairs(examples_of(many), answers_of(["yes"] * 30))) == 10


def test_the_worst_mistakes_are_of_different_pairs() -> None:
    truths = ["yes"] * 4 + ["no"] * 2
    answers = ["no"] * 4 + ["yes", "no"]
    chosen = worst_mistakes(examples_of(truths), answers_of(answers, [0.6, 0.9, 0.8, 0.7, 0.5, 1.0]), 12, 2)
    assert chosen == [1, 2, 4]
    assert worst_mistakes(examples_of(truths), answers_of(answers), 1, 2) == [0]


def test_speakers_count_once_each() -> None:
    speakers = ["ann"] * 8 + ["bob"] * 2 + ["", ""]
    is_right = np.array([True] * 8 + [False, True] + [False, False])
    figures = plain_speakers(speakers, is_right)
    assert (figures["n_speakers"], figures["mean"], figures["worst_tenth"]) == (2, 0.75, 0.5)
    assert figures["sd"] == pytest.approx(math.sqrt(2 * 0.25**2))
    assert [bar["n"] for bar in figures["histogram"]] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]  # 0.5 and 1.0
    alone = plain_speakers(["ann"], np.array([True]))
    assert (alone["mean"], alone["sd"], alone["worst_tenth"]) == (1.0, None, 1.0)
    crowd = [f"s{number:02d}" for number in range(21)]
    some = plain_speakers(crowd, np.array([number >= 2 for number in range(21)]))
    assert some["worst_tenth"] == pytest.approx(1 / 3)  # the worst three of 21
    assert len(some["worst"]) == 10
    assert [row["speaker"] for row in some["worst"][:3]] == ["s00", "s01", "s02"]


def test_the_mean_over_the_words_of_unknown_weighs_each_word_alike() -> None:
    examples = [example(number, "_unknown_", word="bed") for number in range(9)]
    examples += [example(9, "_unknown_", word="wow"), example(10, "yes")]
    figures = plain_measures(examples, answers_of(["_unknown_"] * 9 + ["yes", "yes"]), LABELS)
    assert figures["by_label"][2]["recall"] == 0.9
    assert figures["unknown_by_word"]["mean"] == 0.5
    assert [row["word"] for row in figures["unknown_by_word"]["words"]] == ["wow", "bed"]


def test_whole_tenths_fall_into_the_tenth_that_they_begin() -> None:
    """3 of 10 is 0.3, the lower boundary of its tenth: in floats 0.3, 0.6 and 0.7 came out a tenth too low."""
    for n_right in range(11):
        is_right = np.arange(10) < n_right
        bars = [bar["n"] for bar in plain_speakers(["ann"] * 10, is_right)["histogram"]]
        assert bars.index(1) == min(9, n_right)
        assert sum(bars) == 1


def spoken(
    n_speakers: int, n_clips: int, seed: int
) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Speakers of whom each is understood well or badly."""
    rng = np.random.default_rng(seed)
    share = np.repeat(rng.choice([0.5, 0.95], n_speakers), n_clips)
    speakers = [f"s{number}" for number in range(n_speakers) for _ in range(n_clips)]
    return speakers, rng.random(n_speakers * n_clips) < share


def test_the_interval_of_accuracy_is_by_speaker() -> None:
    speakers, is_right = spoken(30, 40, seed=1)
    found = plain_accuracy(is_right, speakers)
    assert found["interval"] == "bootstrap by speaker"
    assert found["low"] < found["value"] < found["high"]
    low, high = wilson_interval(int(is_right.sum()), len(is_right))
    width = found["high"] - found["low"]
    assert width > 2 * (high - low)
    # speakers of equal weight: the spread of their means
    means = is_right.reshape(30, 40).mean(axis=1)
    assert width == pytest.approx(2 * 1.96 * means.std() / math.sqrt(30), rel=0.1)
    assert plain_accuracy(is_right, speakers) == found  # seeded
    alone = plain_accuracy(is_right, [f"{index}" for index in range(len(is_right))])
    assert alone["high"] - alone["low"] == pytest.approx(high - low, rel=0.1)


def test_the_interval_of_accuracy_covers_as_often_as_it_says() -> None:
    """The truth is 0.725 over all speakers; Wilson's interval holds it in less than half of such samples."""
    drawn = [spoken(60, 20, seed) for seed in range(100)]
    found = [plain_accuracy(is_right, speakers) for speakers, is_right in drawn]
    assert 88 <= sum(one["low"] <= 0.725 <= one["high"] for one in found) <= 99
    bounds = [wilson_interval(one["n_right"], one["n"]) for one in found]
    assert sum(low <= 0.725 <= high for low, high in bounds) < 70


@pytest.mark.parametrize(
    ("speakers", "is_right"),
    [
        (["a", "b", "c", "d"] * 3, [True, False] * 6),  # four speakers
        ([""] * 12, [True, False] * 6),  # nobody known
        (list("abcdef") * 2, [True] * 12),  # all right
        (list("abcdef") * 2, [False] * 12),
        (list("abcdef") * 2, [True] * 6 + [False] * 6),  # all speakers alike: no width
    ],
)
def test_where_speakers_tell_nothing_the_interval_is_wilson_s(
    speakers: list[str], is_right: list[bool]
) -> None:
    found = plain_accuracy(np.array(is_right), speakers)
    assert found["interval"] == "Wilson"
    assert (found["low"], found["high"]) == wilson_interval(sum(is_right), 12)


def test_clips_without_a_speaker_stand_for_themselves() -> None:
    speakers, is_right = spoken(10, 20, seed=3)
    silent = np.random.default_rng(3).random(400) < 0.9
    found = plain_accuracy(np.concatenate([is_right, silent]), [*speakers, *[""] * 400])
    together = plain_accuracy(np.concatenate([is_right, silent]), [*speakers, *["noise"] * 400])
    assert found["interval"] == together["interval"] == "bootstrap by speaker"
    # were they of one speaker, their number itself would vary with the draw
    assert found["high"] - found["low"] < 0.7 * (together["high"] - together["low"])


def test_recalls_have_intervals_by_speaker_of_their_own() -> None:
    speakers, is_right = spoken(12, 20, seed=4)
    examples = [example(index, "yes", speaker) for index, speaker in enumerate(speakers)]
    examples += [example(index, "_silence_") for index in range(8)]
    answers = ["yes" if right else "no" for right in is_right] + ["_silence_"] * 7 + ["no"]
    figures = plain_measures(examples, answers_of(answers), LABELS)
    yes, no, _, silence = figures["by_label"]
    accuracy = plain_accuracy(is_right, speakers)
    assert (yes["recall_low"], yes["recall_high"]) == (accuracy["low"], accuracy["high"])
    assert (yes["interval"], silence["interval"], no["interval"]) == ("bootstrap by speaker", "Wilson", None)
    assert (silence["recall_low"], silence["recall_high"]) == wilson_interval(7, 8)
