"""The decoder with levels: words that are repeated, where words are, gaps, near misses, and known wrong rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import plain_card
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speechcmd.arrays import FloatArray
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard
from speechcmd.runtime.recognition.decoder import Decoder, Detection

pytestmark = pytest.mark.runtime


# as the released model: windows of a second, a step each 40 ms, posteriors averaged over 0.36 s; hops of 10 ms
CARD = replace(
    plain_card(),
    labels=("_silence_", "_unknown_", "yes", "no"),
    sample_rate=1_000,
    window_samples=1_000,
    step_samples=40,
    decoder=DecoderSettings(smoothing_steps=9),
)
STEP_S, WINDOW_S, HOP_S = 0.04, 1.0, 0.01
FLOOR_DB, WORD_DB = -60.0, -20.0
Word = tuple[str, float, float]  # label, start and end in seconds


def steps_of(words: list[Word], duration_s: float, high: float = 0.95) -> FloatArray:
    """Posteriors of an ideal network: a word is believed while the middle of the window is in it.

    Or within 0.2 s of it, so that words less than 0.4 s apart leave no dip.
    """
    n_steps = int((duration_s - WINDOW_S) / STEP_S) + 1
    table = np.full((n_steps, 4), 0.01, dtype=np.float32)
    middles = np.arange(n_steps) * STEP_S + WINDOW_S / 2
    for label, start_s, end_s in words:
        is_heard = (middles >= start_s - 0.2) & (middles <= end_s + 0.2)
        table[is_heard, CARD.labels.index(label)] = high
    return table


def levels_of(words: list[Word], duration_s: float) -> FloatArray:
    rng = np.random.default_rng(0)
    levels = FLOOR_DB + rng.normal(0, 0.5, round(duration_s / HOP_S))
    for _, start_s, end_s in words:
        levels[round(start_s / HOP_S) : round(end_s / HOP_S)] = WORD_DB
    return levels.astype(np.float32)


def decode(
    table: FloatArray, levels: FloatArray, card: ModelCard = CARD, *, keep_near_misses: bool = False
) -> list[Detection]:
    decoder = Decoder(card, keep_near_misses=keep_near_misses)
    return decoder.feed(table, levels) + decoder.flush()


def hear(words: list[Word], duration_s: float) -> list[Detection]:
    return decode(steps_of(words, duration_s), levels_of(words, duration_s))


def check_borders(detections: list[Detection], words: list[Word]) -> None:
    for detection, (_, start_s, end_s) in zip(detections, words, strict=True):
        assert (detection.start_s, detection.end_s) == pytest.approx((start_s, end_s), abs=0.03)


def labels_of(detections: list[Detection]) -> list[str]:
    return [detection.label for detection in detections]


@pytest.mark.parametrize("gap_s", [0.2, 0.3, 0.6, 1.0, 3.0])
def test_a_word_said_twice_is_heard_twice(gap_s: float) -> None:
    """At 0.2 and 0.3 s the posteriors never fall between the two: only the level tells them apart."""
    words = [("yes", 2.0, 2.5), ("yes", 2.5 + gap_s, 3.0 + gap_s)]
    first, second = hear(words, 8.0)
    assert (first.label, second.label) == ("yes", "yes")
    assert first.decided_s < second.decided_s
    for detection, (_, start_s, end_s) in zip((first, second), words, strict=True):
        assert detection.start_s == pytest.approx(start_s, abs=0.02)
        assert detection.end_s == pytest.approx(end_s, abs=0.02)


@pytest.mark.parametrize("length_s", [0.25, 0.4, 0.6])
@pytest.mark.parametrize("gap_s", [0.2, 0.3, 0.45, 0.6])
def test_a_word_said_four_times_is_heard_four_times_where_it_is(length_s: float, gap_s: float) -> None:
    """None takes the place of its neighbour, though posteriors never fall between them."""
    words = [("yes", 2.0 + n * (length_s + gap_s), 2.0 + n * (length_s + gap_s) + length_s) for n in range(4)]
    detections = hear(words, 9.0)
    assert len(detections) == 4
    check_borders(detections, words)


def test_a_word_said_twice_and_another_one_after_it() -> None:
    words = [("yes", 2.0, 2.3), ("yes", 2.6, 2.9), ("no", 3.2, 3.6)]
    detections = hear(words, 7.0)
    assert labels_of(detections) == ["yes", "yes", "no"]
    check_borders(detections, words)


def test_without_a_pause_it_is_one_word() -> None:
    assert labels_of(hear([("yes", 2.0, 2.5), ("yes", 2.5, 3.0)], 6.0)) == ["yes"]


@pytest.mark.parametrize("pause_s", [0.03, 0.08, 0.12])
def test_a_closure_inside_a_word_does_not_make_it_two(pause_s: float) -> None:
    """The t of "left": silence before the burst."""
    table = steps_of([("yes", 2.0, 2.6)], 6.0)
    levels = levels_of([("yes", 2.0, 2.5 - pause_s), ("yes", 2.5, 2.6)], 6.0)
    (detection,) = decode(table, levels)
    assert (detection.start_s, detection.end_s) == pytest.approx((2.0, 2.6), abs=0.02)


def test_a_click_after_a_word_is_no_word() -> None:
    words = [("yes", 2.0, 2.5)]
    levels = levels_of([*words, ("yes", 2.8, 2.82)], 6.0)
    assert labels_of(decode(steps_of([("yes", 2.0, 2.9)], 6.0), levels)) == ["yes"]


def test_other_speech_after_a_word_does_not_fire_it_again() -> None:
    """The level says that a word began, the posteriors that it was not this one."""
    levels = levels_of([("yes", 2.0, 2.5), ("yes", 2.8, 3.3)], 6.0)
    assert labels_of(decode(steps_of([("yes", 2.0, 2.5)], 6.0), levels)) == ["yes"]


def test_borders_lie_where_the_level_says() -> None:
    """Three words 200 ms apart; each is found, and its borders are its own, not its neighbours'."""
    words = [("yes", 2.0, 2.4), ("no", 2.6, 3.1), ("yes", 3.3, 3.9)]
    detections = hear(words, 7.0)
    assert labels_of(detections) == ["yes", "no", "yes"]
    check_borders(detections, words)


def test_where_no_level_stands_out_the_times_are_the_windows() -> None:
    table = steps_of([("yes", 2.0, 2.5)], 6.0)
    (flat,) = decode(table, np.full(600, -40, dtype=np.float32))
    assert flat.end_s - flat.start_s == pytest.approx(WINDOW_S)
    assert flat.start_s < 2.0 < 2.25 < flat.end_s


# --- rules that are wrong elsewhere ---------------------------------------------------------------


def test_a_repeat_after_unsure_audio() -> None:
    """yes, two seconds in which nothing is sure, yes: the same label needs no other label between."""
    table = steps_of([("yes", 2.0, 2.5), ("yes", 5.0, 5.5)], 8.0)
    unsure = (table[:, 2] < 0.5) & (np.arange(len(table)) > 40)
    table[unsure] = 0.25
    assert labels_of(decode(table, levels_of([], 8.0))) == ["yes", "yes"]


def test_a_repeat_with_no_other_label_between() -> None:
    table = np.zeros((200, 4), dtype=np.float32)
    table[20:40, 2] = table[80:100, 2] = 1.0
    assert labels_of(decode(table, levels_of([], 9.0))) == ["yes", "yes"]


def test_one_result_each_quarter_of_a_second_is_enough() -> None:
    """A slow device: few results for a word must be able to fire."""
    slow = replace(
        CARD, step_samples=250, decoder=DecoderSettings(LabelSettings(min_steps=1), smoothing_steps=1)
    )
    table = np.array([[1, 0, 0, 0]] * 4 + [[0, 0, 0.9, 0]] * 2 + [[1, 0, 0, 0]] * 4, dtype=np.float32)
    assert labels_of(decode(table, np.full(250, -40, dtype=np.float32), slow)) == ["yes"]


def test_two_words_little_more_than_a_second_apart() -> None:
    detections = hear([("yes", 2.0, 2.4), ("no", 3.2, 3.6)], 7.0)
    assert labels_of(detections) == ["yes", "no"]


def test_one_long_burst_is_one_detection() -> None:
    words = [("yes", 2.0, 12.0)]
    assert labels_of(hear(words, 15.0)) == ["yes"]


@pytest.mark.parametrize("label", ["_silence_", "_unknown_"])
def test_silence_and_unknown_never_fire(label: str) -> None:
    decoder = Decoder(CARD, keep_near_misses=True)
    words = [(label, 2.0, 3.0)]
    assert decoder.feed(steps_of(words, 6.0), levels_of(words, 6.0)) + decoder.flush() == []
    assert decoder.take_near_misses() == []


def test_a_peak_in_the_tail_is_not_lost() -> None:
    """Only three steps of the word were seen when the recording ended."""
    table = np.zeros((60, 4), dtype=np.float32)
    table[51:, 2] = 1.0
    decoder = Decoder(CARD)
    assert decoder.feed(table[:59]) == []
    assert labels_of(decoder.feed(table[59:]) + decoder.flush()) == ["yes"]


# --- gaps --------------------------------------------------------------------------------------------


def test_a_gap_in_the_middle_of_a_word_gives_one_detection() -> None:
    """Both halves are believed; what is lost lies between them."""
    words = [("yes", 2.0, 2.5)]
    table, levels = steps_of(words, 6.0), levels_of(words, 6.0)
    before, after = 42, 44  # the word is believed from step 33 to step 55
    decoder = Decoder(CARD)
    detections = decoder.feed(table[:before], levels[: before * 4 + 96])
    detections += decoder.gap(after * 40)
    detections += decoder.feed(table[after:], levels[after * 4 :]) + decoder.flush()
    assert labels_of(detections) == ["yes"]


def test_after_a_gap_positions_go_on_and_a_later_word_fires() -> None:
    words = [("yes", 2.0, 2.5)]
    table, levels = steps_of(words, 5.0), levels_of(words, 5.0)
    decoder = Decoder(CARD)
    (first,) = decoder.feed(table, levels)
    assert decoder.gap(10_000) == []
    (second,) = decoder.feed(table, levels)
    assert second.start_s == pytest.approx(first.start_s + 10.0)
    assert second.decided_s == pytest.approx(first.decided_s + 10.0)


def test_what_lies_before_a_gap_is_not_averaged_with_what_lies_after() -> None:
    """Five steps of a word on each side: glued together they would fire."""
    table = np.zeros((40, 4), dtype=np.float32)
    table[20:30, 2] = 0.72
    glued = decode(table, levels_of([], 3.0))
    assert labels_of(glued) == ["yes"]
    picky = CARD.decoder.override(min_steps=6)
    decoder = Decoder(CARD, settings=picky)
    assert labels_of(decoder.feed(table[:25]) + decoder.gap(1_000) + decoder.feed(table[25:])) == []


# --- near misses ---------------------------------------------------------------------------------------


def test_a_peak_between_release_and_threshold_is_a_near_miss() -> None:
    words = [("yes", 2.0, 2.5), ("no", 5.0, 5.5)]
    table = steps_of(words, 8.0)
    table[:, 2] *= 0.6 / 0.95
    decoder = Decoder(CARD, keep_near_misses=True)
    detections = decoder.feed(table, levels_of(words, 8.0)) + decoder.flush()
    (miss,) = decoder.take_near_misses()
    assert labels_of(detections) == ["no"]
    assert (miss.label, miss.score) == ("yes", pytest.approx(0.6, abs=1e-3))
    assert (miss.start_s, miss.end_s) == pytest.approx((2.0, 2.5), abs=0.03)
    assert decoder.take_near_misses() == []


def test_a_weak_second_label_under_a_detection_is_no_near_miss() -> None:
    table = steps_of([("yes", 2.0, 2.5)], 6.0)
    table[:, 3] = table[:, 2] * 0.6
    decoder = Decoder(CARD, keep_near_misses=True)
    assert labels_of(decoder.feed(table, levels_of([("yes", 2.0, 2.5)], 6.0))) == ["yes"]
    assert decoder.take_near_misses() == []


# --- properties -----------------------------------------------------------------------------------------


def random_input(seed: int) -> tuple[FloatArray, FloatArray]:
    """Bursts of posteriors and of level that have little to do with each other."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0, 3, (25, 4)), rng.integers(2, 25, 25), axis=0)
    exponentials = np.exp(logits + rng.normal(0, 0.3, logits.shape))
    table = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    n_hops = (len(table) - 1) * 4 + 100
    pieces = np.repeat(rng.choice([-60.0, -30.0, -20.0], n_hops // 15 + 1), 15)[:n_hops]
    return table, (pieces + rng.normal(0, 1, n_hops)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 80), min_size=1, max_size=15),
    keeps=st.booleans(),
)
def test_any_division_gives_the_same(seed: int, sizes: list[int], keeps: bool) -> None:
    table, levels = random_input(seed)
    whole = Decoder(CARD, keep_near_misses=keeps)
    expected = whole.feed(table, levels) + whole.flush()
    parts = Decoder(CARD, keep_near_misses=keeps)
    detections: list[Detection] = []
    heard = 0
    for end in [*np.cumsum(sizes).clip(max=len(table)).tolist(), len(table)]:
        n_hops = (end - 1) * 4 + 100 if end else 0
        known = (heard - 1) * 4 + 100 if heard else 0
        detections += parts.feed(table[heard:end], levels[known:n_hops])
        heard = end
    assert detections + parts.flush() == expected


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
@example(seed=322)  # a label that began anew, and was not believed at first
def test_noting_near_misses_changes_no_detection(seed: int) -> None:
    table, levels = random_input(seed)
    assert decode(table, levels) == decode(table, levels, keep_near_misses=True)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_a_reset_decoder_is_as_new(seed: int) -> None:
    table, levels = random_input(seed)
    used = Decoder(CARD)
    used.feed(*random_input(seed + 1))
    used.gap(5_000)
    used.feed(*random_input(seed + 2))
    used.reset()
    assert used.feed(table, levels) + used.flush() == decode(table, levels)


@settings(deadline=None, max_examples=40)
@given(dip=st.integers(0, 12), low=st.floats(0, 1), first=st.integers(9, 20), second=st.integers(9, 20))
def test_two_peaks_with_a_dip_below_release_are_two_detections(
    dip: int, low: float, first: int, second: int
) -> None:
    """And without such a dip they are one, whatever it looks like: the average itself is the judge."""
    column = [0.0] * 12 + [0.9] * first + [low * 0.9] * dip + [0.9] * second + [0.0] * 12
    table = np.zeros((len(column), 4), dtype=np.float32)
    table[:, 2] = column
    averages = np.convolve(np.float32(column).astype(float), np.ones(9) / 9)[: len(column)]
    between = averages[12 + first - 1 : 12 + first + dip + second]
    release = CARD.decoder.of("yes").release
    if abs(between.min() - release) < 1e-6:
        return
    assert len(decode(table, levels_of([], 5.0))) == (2 if between.min() < release else 1)


def test_the_average_is_of_raw_posteriors() -> None:
    """A label that may not fire again yet is averaged all the same: its history is not gated."""
    settings = CARD.decoder.override(refractory_s=3.0)
    decoder = Decoder(CARD, settings=settings)
    table = np.zeros((60, 4), dtype=np.float32)
    table[10:30, 2] = table[40:60, 2] = 0.8
    assert labels_of(decoder.feed(table)) == ["yes"]
    assert decoder.scores["yes"] == pytest.approx(0.8)
