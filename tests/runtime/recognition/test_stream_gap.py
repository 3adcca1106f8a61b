"""Audio that was lost in the middle of a stream: nothing is glued, nothing is heard twice, positions go on."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import SAMPLE_RATE, TONES_HZ, plain_card, tone_recording, toy_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.arrays import FloatArray
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard
from speechcmd.runtime.recognition.decoder import Detection
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.runtime.recognition.stream import PosteriorStream, Stream

pytestmark = pytest.mark.runtime


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path: Path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return Recognizer.load(path)


def samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def around(
    stream: Stream, waveform: FloatArray, begin_s: float, end_s: float
) -> tuple[list[Detection], list[Detection], list[Detection]]:
    """What is heard before, at and after a gap from begin to end of a recording."""
    before = stream.feed(waveform[: samples(begin_s)])
    at = stream.gap(samples(end_s) - samples(begin_s))
    return before, at, stream.feed(waveform[samples(end_s) :]) + stream.flush()


def test_positions_go_on(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.feed(tone_recording([], 1.5))
    stream.gap(samples(2.0))
    assert stream.position_s == 3.5
    stream.feed(tone_recording([], 0.25))
    assert stream.position_s == 3.75
    stream.flush()
    assert stream.position_s == 0


@pytest.mark.parametrize("gap_s", [0.01, 0.5, 30.0, 86_400.0])
def test_words_on_both_sides_stand_at_their_times(recognizer: Recognizer, gap_s: float) -> None:
    left = tone_recording([("low", 1.2)], 2.0)
    right = tone_recording([("high", 0.4), ("low", 1.2)], 2.0, seed=1)
    stream = recognizer.stream()
    heard = stream.feed(left) + stream.gap(samples(gap_s)) + stream.feed(right) + stream.flush()
    begin = 2.0 + gap_s
    assert [one.label for one in heard] == ["low", "high", "low"]
    assert [one.start_s for one in heard] == pytest.approx([1.2, begin + 0.4, begin + 1.2], abs=0.04)
    assert [one.end_s for one in heard] == pytest.approx([1.5, begin + 0.7, begin + 1.5], abs=0.08)
    assert [one.decided_s for one in heard] == sorted(one.decided_s for one in heard)


def test_a_word_right_after_a_gap_does_not_wait_for_a_second(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.feed(tone_recording([], 2.0))
    stream.gap(samples(1.0))
    (word,) = stream.feed(tone_recording([("high", 0.1)], 0.6, seed=1))
    assert word.start_s == pytest.approx(3.1, abs=0.03)
    assert word.decided_s <= 3.6


@pytest.mark.parametrize("begin_s", [1.04, 1.10, 1.15, 1.20, 1.26])
@pytest.mark.parametrize("gap_s", [0.00125, 0.02, 0.1])
def test_a_word_that_a_gap_cuts_fires_at_most_once(
    recognizer: Recognizer, begin_s: float, gap_s: float
) -> None:
    """Even where no time is asked for between two hearings, and half a word is enough for one."""
    waveform = tone_recording([("low", 1.0)], 2.5)
    eager = DecoderSettings(LabelSettings(threshold=0.5, refractory_s=0.0, min_steps=1), smoothing_steps=1)
    before, at, after = around(recognizer.stream(settings=eager), waveform, begin_s, begin_s + gap_s)
    heard = [*before, *at, *after]
    assert len(heard) <= 1
    assert all(0.95 <= one.start_s < one.end_s <= 1.4 for one in heard)
    assert all(one.end_s <= begin_s for one in at)


def test_a_cut_word_is_still_heard_where_most_of_it_was(recognizer: Recognizer) -> None:
    waveform = tone_recording([("low", 1.0)], 2.5)
    for begin_s, is_before in ((1.28, True), (1.0, False)):
        before, at, after = around(recognizer.stream(), waveform, begin_s, begin_s + 0.02)
        assert [len(before + at), len(after)] == [is_before, not is_before]


def two_halves() -> FloatArray:
    """0.12 s of a tone on each side of the sample 1.5 s: together enough to fire, alone not."""
    waveform = tone_recording([], 3.0)
    time_s = np.arange(samples(0.24)) / SAMPLE_RATE
    waveform[samples(1.38) : samples(1.62)] += (0.3 * np.sin(2 * np.pi * TONES_HZ["low"] * time_s)).astype(
        np.float32
    )
    return waveform


def test_the_two_sides_are_not_glued(recognizer: Recognizer) -> None:
    waveform = two_halves()
    strict = DecoderSettings(LabelSettings(threshold=0.9, min_steps=8), smoothing_steps=1)
    whole = recognizer.stream(settings=strict)
    assert [one.label for one in whole.feed(waveform) + whole.flush()] == ["low"]
    left, right = recognizer.stream(settings=strict), recognizer.stream(settings=strict)
    assert left.feed(waveform[: samples(1.5)]) + left.flush() == []
    assert right.feed(waveform[samples(1.5) :]) + right.flush() == []
    before, at, after = around(recognizer.stream(settings=strict), waveform, 1.5, 1.5)
    assert [*before, *at, *after] == []


def test_a_gap_before_any_audio(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    assert stream.gap(samples(3.0)) == []
    heard = stream.feed(tone_recording([("low", 0.3)], 2.0)) + stream.flush()
    assert [(one.label, round(one.start_s, 1)) for one in heard] == [("low", 3.3)]


def test_two_gaps_in_a_row_are_one(recognizer: Recognizer) -> None:
    waveform = tone_recording([("low", 1.2), ("high", 3.5)], 4.5)
    once = around(recognizer.stream(), waveform, 2.0, 3.0)
    stream = recognizer.stream()
    before = stream.feed(waveform[: samples(2.0)])
    at = stream.gap(samples(0.25)) + stream.gap(samples(0.75))
    assert (before, at, stream.feed(waveform[samples(3.0) :]) + stream.flush()) == once
    assert len(before + at) == 1


def test_a_gap_before_the_first_second_decides_what_came(recognizer: Recognizer) -> None:
    waveform = tone_recording([("low", 0.1), ("high", 1.0)], 2.0)
    before, at, after = around(recognizer.stream(), waveform, 0.6, 0.8)
    assert before == []  # the floor is not known yet
    assert [(one.label, round(one.start_s, 1)) for one in at + after] == [("low", 0.1), ("high", 1.0)]
    assert at[0].decided_s <= 0.6


@pytest.mark.parametrize("n_samples", [1, 3, 100])
def test_a_crumb_of_audio_between_gaps(recognizer: Recognizer, n_samples: int) -> None:
    waveform = tone_recording([("low", 1.2)], 2.0)
    stream = recognizer.stream()
    heard = stream.feed(waveform) + stream.gap(5)
    for _ in range(3):
        heard += stream.feed(waveform[:n_samples]) + stream.gap(5)
    assert stream.position_s == pytest.approx(2.0 + (20 + 3 * n_samples) / SAMPLE_RATE)
    heard += stream.feed(tone_recording([("high", 0.5)], 1.0)) + stream.flush()
    assert [one.label for one in heard] == ["low", "high"]


def test_a_gap_and_then_the_end(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    stream.feed(tone_recording([("low", 1.2)], 1.4))
    (word,) = stream.gap(samples(1.0))
    assert word.decided_s <= 1.4
    assert stream.flush() == []
    assert stream.position_s == 0
    fresh = recognizer.stream()
    again = tone_recording([("low", 0.0), ("high", 1.1)], 2.0)
    assert stream.feed(again) + stream.flush() == fresh.feed(again) + fresh.flush()


def test_a_reset_forgets_the_gap(recognizer: Recognizer) -> None:
    waveform = tone_recording([("low", 0.2), ("high", 1.1)], 2.0)
    stream, fresh = recognizer.stream(), recognizer.stream()
    stream.feed(waveform)
    stream.gap(samples(7.0))
    stream.feed(waveform[:5_000])
    stream.reset()
    assert stream.feed(waveform) + stream.flush() == fresh.feed(waveform) + fresh.flush()


HIGH_BAR = DecoderSettings(LabelSettings(threshold=1.0, release_ratio=0.5))


@pytest.mark.parametrize("how", ["gap", "flush"])
def test_a_near_miss_that_is_cut_off_keeps_its_time(recognizer: Recognizer, how: str) -> None:
    """It is taken only afterwards, when the stream is at another position."""
    stream = recognizer.stream(settings=HIGH_BAR, keep_near_misses=True)
    assert stream.feed(tone_recording([("low", 1.2)], 1.45)) == []
    assert (stream.gap(samples(5.0)) if how == "gap" else stream.flush()) == []
    (miss,) = stream.take_near_misses()
    assert (miss.label, miss.start_s) == ("low", pytest.approx(1.2, abs=0.03))
    assert miss.start_s < miss.end_s <= 1.45
    assert miss.decided_s <= 1.45
    assert stream.take_near_misses() == []


def test_a_reset_drops_near_misses(recognizer: Recognizer) -> None:
    stream = recognizer.stream(settings=HIGH_BAR, keep_near_misses=True)
    stream.feed(tone_recording([("low", 1.2)], 1.45))
    stream.gap(10)
    stream.reset()
    assert stream.take_near_misses() == []


RECORDING = tone_recording([("low", 0.5), ("high", 1.3), ("high", 1.9), ("low", 2.7), ("low", 3.4)], 4.2)
GAPS = {samples(0.3): 50, samples(1.41): 1_600, samples(2.2): 40_000, samples(2.95): 7}


def with_gaps(stream: Stream, cuts: list[int]) -> list[tuple[str, float, float, float]]:
    """Feed the recording in pieces, with the gaps at their places. Scores may differ in the last bit."""
    places = sorted({0, len(RECORDING), *cuts, *GAPS})
    heard: list[Detection] = []
    for first, last in pairwise(places):
        if first in GAPS:
            heard += stream.gap(GAPS[first])
        heard += stream.feed(RECORDING[first:last])
    heard += stream.flush()
    return [(one.label, one.start_s, one.end_s, one.decided_s) for one in heard]


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, len(RECORDING)), max_size=20))
def test_any_division_with_gaps_at_fixed_places_gives_the_same(
    recognizer: Recognizer, cuts: list[int]
) -> None:
    stream = recognizer.stream()
    expected = with_gaps(recognizer.stream(), [])
    assert len(expected) >= 4
    assert with_gaps(stream, cuts) == expected
    assert with_gaps(stream, cuts) == expected  # as new after the flush


class TestPosteriors:
    """The network's inputs themselves: what stands next to what."""

    @staticmethod
    def card() -> ModelCard:
        return replace(plain_card(), labels=("a", "b"), sample_rate=1_000, window_samples=41, step_samples=7)

    def test_each_side_has_its_own_edges_and_no_window_holds_both(self) -> None:
        seen: list[FloatArray] = []

        def infer(waveform: FloatArray) -> FloatArray:
            seen.append(waveform.copy())
            return np.zeros(((len(waveform) - 41) // 7 + 1, 2), dtype=np.float32)

        stream = PosteriorStream(infer, self.card(), update_s=1_000.0)
        noise = np.random.default_rng(0).standard_normal(2_000).astype(np.float32)
        left, right = 0.1 * noise[:1_500], 0.01 * noise[1_500:]
        stream.feed(left)
        stream.gap()
        stream.feed(right)
        stream.flush()
        first, second = seen
        np.testing.assert_array_equal(first[20:-20], left)
        np.testing.assert_array_equal(second[20:-20], right)
        # the new beginning has the floor of the last second before the gap, the end that of the last second
        assert second[:20].std() > 3 * second[-20:].std() > 0


def test_memory_does_not_grow_with_gaps(recognizer: Recognizer) -> None:
    stream = recognizer.stream(update_s=1.0)
    piece: Any = tone_recording([("low", 0.3)], 1.0)

    def feed(times: int) -> None:
        for _ in range(times):
            stream.feed(piece)
            stream.gap(100)

    feed(8)
    tracemalloc.start()
    feed(2)
    before, _ = tracemalloc.get_traced_memory()
    feed(20)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 50_000
