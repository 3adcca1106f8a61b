"""Levels, and the stretches of sound in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import plain_card
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.arrays import FloatArray
from speechcmd.runtime.recognition.level_history import LevelTrack, hop_samples, measure_levels

pytestmark = pytest.mark.runtime

HOP, RATE = 10, 1_000


def track(*pieces: tuple[float, int], first_sample: int = 0) -> LevelTrack:
    """A track of (level, hops) pieces."""
    one = LevelTrack(HOP, RATE, memory_s=10.0)
    one.reset(first_sample)
    one.append(np.concatenate([np.full(n, level, dtype=np.float32) for level, n in pieces]))
    return one


@pytest.mark.parametrize(
    ("step", "rate", "expected"), [(640, 16_000, 160), (320, 16_000, 160), (7, 1_000, 7), (400, 44_100, 400)]
)
def test_a_step_holds_whole_hops_of_about_ten_milliseconds(step: int, rate: int, expected: int) -> None:
    assert hop_samples(replace(plain_card(), step_samples=step, sample_rate=rate)) == expected


def test_levels_of_known_signals() -> None:
    """A sine of amplitude 1 has a mean square of 1/2; a constant has no level."""
    sine = np.sin(2 * np.pi * np.arange(1_600) / 16).astype(np.float32)
    np.testing.assert_allclose(measure_levels(sine, 160), -3.0103, atol=1e-3)
    np.testing.assert_allclose(measure_levels(sine * np.float32(0.1), 160), -23.0103, atol=1e-3)
    np.testing.assert_allclose(measure_levels(np.full(320, 0.5, dtype=np.float32), 160), -100, atol=1e-3)
    assert len(measure_levels(sine[:159], 160)) == 0


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_levels_do_not_depend_on_the_division(sizes: list[int]) -> None:
    noise = np.random.default_rng(0).standard_normal(sum(sizes) * 160).astype(np.float32)
    parts = [measure_levels(part, 160) for part in np.split(noise, np.cumsum(sizes)[:-1] * 160)]
    np.testing.assert_array_equal(np.concatenate(parts), measure_levels(noise, 160))


def test_a_word_between_two_pauses() -> None:
    assert track((-60, 50), (-20, 30), (-60, 50)).find_word(600, 0, 1_300) == pytest.approx(
        (500, 800), abs=HOP
    )


def test_the_word_nearest_the_anchor() -> None:
    words = track((-60, 20), (-20, 20), (-60, 20), (-20, 20), (-60, 20))
    assert words.find_word(300, 0, 1_000) == pytest.approx((200, 400), abs=HOP)
    assert words.find_word(700, 0, 1_000) == pytest.approx((600, 800), abs=HOP)
    assert words.find_word(450, 0, 1_000) == pytest.approx(
        (200, 400), abs=HOP
    )  # in the pause, nearer the first


def test_positions_count_from_the_first_sample() -> None:
    words = track((-60, 50), (-20, 30), (-60, 50), first_sample=-200)
    assert words.find_word(400, -200, 1_100) == pytest.approx((300, 600), abs=HOP)


def test_nothing_after_the_end_is_looked_at() -> None:
    """What comes later may be as loud as it likes."""
    quiet_end = track((-60, 50), (-20, 30), (-60, 40))
    loud_end = track((-60, 50), (-20, 30), (-60, 20), (0, 20))
    assert quiet_end.find_word(600, 0, 1_000) == loud_end.find_word(600, 0, 1_000)


def test_no_word_where_nothing_stands_out() -> None:
    assert track((-60, 100)).find_word(500, 0, 1_000) is None
    assert track((-60, 100)).find_word(500, 5_000, 6_000) is None
    assert LevelTrack(HOP, RATE, 1.0).find_word(0, 0, 100) is None


def test_the_next_word_begins_after_a_pause() -> None:
    words = track((-60, 20), (-20, 30), (-60, 20), (-25, 30))
    assert words.next_word(400, 900, 200, 1_000) == pytest.approx(700, abs=HOP)
    assert words.next_word(400, 650, 200, 1_000) is None  # later than was asked for
    assert words.next_word(400, 550, 200, 650) is None  # not begun yet
    assert words.next_word(800, 900, 200, 1_000) is None  # that is the last
    assert track((-60, 20), (-20, 60)).next_word(400, 700, 200, 800) is None


def bursts_by_hand(levels: list[float], first: int, last: int) -> list[tuple[int, int]]:
    """First hops and ends of the stretches of sound, hop by hop."""
    memory, stretch = sorted(levels[max(0, last - 150) : last]), levels[first:last]
    floor, peak = memory[int(0.1 * (len(memory) - 1))], sorted(stretch)[int(0.9 * (len(stretch) - 1))]
    level = np.float32(max(floor + 3.0, peak - 30.0))
    padded = [stretch[0], *stretch, stretch[-1]]
    loud = [np.float32(sum(map(np.float32, padded[k : k + 3]))) / np.float32(3) > level
            for k in range(len(stretch))]  # fmt: skip
    found: list[list[int]] = []
    for hop in np.flatnonzero(loud).tolist():
        if found and hop - found[-1][1] <= 12:
            found[-1][1] = hop + 1
        else:
            found.append([hop, hop + 1])
    return [(first + start, first + stop) for start, stop in found if stop - start >= 6]


pieces_of_levels = st.lists(
    st.tuples(st.sampled_from([-70, -55, -40, -20]), st.integers(1, 60)), min_size=1, max_size=12
)


@settings(max_examples=60)
@given(pieces_of_levels, st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_words_are_those_found_by_hand(pieces: list[tuple[int, int]], seed: int, block: int) -> None:
    """At every step of a fading word, whatever came in which blocks, and when it was asked before."""
    rng = np.random.default_rng(seed)
    levels = np.concatenate([level + rng.integers(-4, 5, n) for level, n in pieces]).astype(np.float32)
    anchor, begin = (int(hop) for hop in rng.integers(0, len(levels), 2))
    one = LevelTrack(HOP, RATE, memory_s=10.0)
    for n_known in range(block, len(levels) + 1, block):
        one.append(levels[n_known - block : n_known])
        one.trim()
        if n_known <= begin:
            continue
        by_hand = bursts_by_hand(levels[:n_known].tolist(), begin, n_known)
        place = begin * HOP, n_known * HOP
        assert one.bursts(*place) == [(start * HOP, stop * HOP) for start, stop in by_hand]
        latest = n_known - 10
        later = [start * HOP for start, _ in by_hand[1:] if anchor < start <= latest]
        assert one.next_word(anchor * HOP, latest * HOP, *place) == next(iter(later), None)


def test_old_levels_are_forgotten_and_positions_stay() -> None:
    one = LevelTrack(HOP, RATE, memory_s=1.0)
    for _ in range(100):
        one.append(np.full(100, -60, dtype=np.float32))
        one.trim()
    one.append(np.concatenate([np.full(30, -20), np.full(30, -60)]).astype(np.float32))
    one.trim()
    assert one.find_word(100_100, 99_800, 100_600) == pytest.approx((100_000, 100_300), abs=HOP)
    held: FloatArray = one._levels
    assert len(held) <= 350
