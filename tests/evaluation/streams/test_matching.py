"""Words against detections: hand-made cases, and the best of all pairings by trying them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.evaluation.streams.matching import TOLERANCE_S, match_words
from speechcmd.runtime.recognition.decoder import Detection


class Said(NamedTuple):
    label: str
    start_s: float
    end_s: float


def heard(label: str, decided_s: float) -> Detection:
    return Detection(label, decided_s - 0.5, decided_s - 0.1, 0.9, decided_s)


def test_a_word_is_heard_from_its_start_to_three_quarters_of_a_second_after_its_end() -> None:
    word = [Said("yes", 1.0, 1.5)]
    for decided_s, is_heard in ((0.99, False), (1.0, True), (1.5, True), (2.25, True), (2.26, False)):
        matching = match_words(word, [heard("yes", decided_s)])
        assert (matching.heard_by.tolist() == [0]) is is_heard
        assert len(matching.false) == (not is_heard)


def test_a_second_detection_of_a_word_is_a_duplicate_and_of_another_label_false() -> None:
    word = [Said("yes", 1.0, 1.5)]
    matching = match_words(word, [heard("yes", 1.6), heard("yes", 2.1), heard("no", 2.0)])
    assert matching.heard_by.tolist() == [0]
    assert matching.duplicates.tolist() == [1]
    assert matching.false.tolist() == [2]


def test_a_wrong_label_is_paired_only_if_no_right_one_is_there() -> None:
    word = [Said("yes", 1.0, 1.5)]
    assert match_words(word, [heard("no", 1.4)]).heard_by.tolist() == [0]
    assert match_words(word, [heard("no", 1.4), heard("yes", 2.2)]).heard_by.tolist() == [1]


def test_two_words_within_the_reach_of_one_detection_share_it_not() -> None:
    words = [Said("yes", 1.0, 1.4), Said("yes", 1.6, 2.0)]
    matching = match_words(words, [heard("yes", 1.9)])
    assert sorted(matching.heard_by.tolist()) == [-1, 0]
    assert len(matching.duplicates) == len(matching.false) == 0
    both = match_words(words, [heard("yes", 1.7), heard("yes", 2.1)])
    assert both.heard_by.tolist() == [0, 1], "least delay, not the first word for the first detection only"


def test_two_words_1_2_s_apart_are_both_found() -> None:
    """A known tool calls half of this wrong: it never releases the first word."""
    words = [Said("yes", 1.0, 1.4), Said("no", 2.2, 2.6)]
    matching = match_words(words, [heard("yes", 1.6), heard("no", 2.8)])
    assert matching.heard_by.tolist() == [0, 1]


def test_order_does_not_matter() -> None:
    words = [Said("no", 5.0, 5.4), Said("yes", 1.0, 1.5)]
    assert match_words(words, [heard("no", 5.5), heard("yes", 1.6)]).heard_by.tolist() == [0, 1]
    assert match_words(words, [heard("yes", 1.6), heard("no", 5.5)]).heard_by.tolist() == [1, 0]


@pytest.mark.parametrize("n_words", [0, 1])
def test_nothing_heard_or_nothing_said(n_words: int) -> None:
    words = [Said("yes", 1.0, 1.5)] * n_words
    assert match_words(words, []).heard_by.tolist() == [-1] * n_words
    assert match_words([], [heard("yes", 1.0)]).false.tolist() == [0]


def pairings(
    words: Sequence[Said], detections: Sequence[Detection]
) -> Iterator[list[tuple[Said, Detection]]]:
    """Every pairing there is."""
    if not words:
        yield []
        return
    first, rest = words[0], words[1:]
    yield from pairings(rest, detections)
    for number, detection in enumerate(detections):
        if first.start_s <= detection.decided_s <= first.end_s + TOLERANCE_S:
            for others in pairings(rest, [*detections[:number], *detections[number + 1 :]]):
                yield [(first, detection), *others]


def worth(pairs: Sequence[tuple[Said, Detection]]) -> tuple[int, int, int]:
    delay_ms = sum(round(1_000 * (one.decided_s - word.end_s)) for word, one in pairs)
    return sum(word.label == one.label for word, one in pairs), len(pairs), -delay_ms


times = st.integers(0, 40).map(lambda tenths: tenths / 10)
spoken = st.builds(
    lambda label, start_s, length: Said(label, start_s, start_s + length / 10),
    st.sampled_from("ab"), times, st.integers(1, 8),
)  # fmt: skip


@settings(max_examples=80)
@given(st.lists(spoken, max_size=5), st.lists(st.builds(heard, st.sampled_from("ab"), times), max_size=5))
def test_no_pairing_is_better(words: list[Said], detections: list[Detection]) -> None:
    matching = match_words(words, detections)
    chosen = [(words[i], detections[j]) for i, j in enumerate(matching.heard_by.tolist()) if j >= 0]
    assert all(word.start_s <= one.decided_s <= word.end_s + TOLERANCE_S for word, one in chosen)
    assert worth(chosen) == max(map(worth, pairings(words, detections)))
    used = [j for j in matching.heard_by.tolist() if j >= 0]
    everyone = [*used, *matching.duplicates.tolist(), *matching.false.tolist()]
    assert sorted(everyone) == list(range(len(detections)))
