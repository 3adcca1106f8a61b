from __future__ import annotations

import numpy as np
import pytest
from stream_store import (
    BURST_S,
    MARGIN,
    SAMPLE_RATE,
    SPEECH_PAUSE_S,
    burst_start,
    running_speech,
    tone,
    word_clip,
)

from speechcmd.audio.word_boundaries import (
    HOP_SAMPLES,
    SoundRule,
    find_boundaries,
    find_pause,
    find_sounds,
    hop_levels,
    ranked_level,
)

pytestmark = pytest.mark.runtime

N_BURST = round(BURST_S * SAMPLE_RATE)


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("floor", [0.0, 3e-4, 6e-3])
def test_a_burst_is_found_to_the_hop(index: int, floor: float) -> None:
    start = burst_start(index)
    found = find_boundaries(word_clip(index, floor=floor), start - MARGIN, start + N_BURST + MARGIN)
    assert 0 <= start - found[0] < HOP_SAMPLES
    assert 0 <= found[1] - (start + N_BURST) <= HOP_SAMPLES  # pre-emphasis sees the sample behind it


def test_a_soft_consonant_under_hum_belongs_to_the_word() -> None:
    rng = np.random.default_rng(0)
    clip = tone(SAMPLE_RATE, 50.0) * np.float32(0.02)
    hiss = np.diff(rng.standard_normal(1_601)).astype(np.float32) * np.float32(0.01)
    clip[4_000:5_600] += hiss
    clip[5_600:9_600] += tone(4_000, 200.0, 600.0) * np.float32(0.3)
    start, end = find_boundaries(clip, 3_200, 10_400)
    assert abs(start - 4_000) <= HOP_SAMPLES
    assert abs(end - 9_600) <= HOP_SAMPLES


def test_what_lies_outside_is_never_part_of_the_word() -> None:
    clip = word_clip(0)
    clip[200:2_000] = 0.9
    assert find_boundaries(clip, 3_500, 8_000)[0] >= 3_500
    assert find_boundaries(clip, 4_100, 6_000) == (4_100, 6_000)


@pytest.mark.parametrize("clip", [np.zeros(SAMPLE_RATE, dtype=np.float32), np.zeros(700, dtype=np.float32)])
def test_where_nothing_stands_out_all_of_it_is_the_word(clip: np.ndarray) -> None:
    assert find_boundaries(clip, 100, 650) == (100, 650)


def test_no_word_between_a_sample_and_itself() -> None:
    assert find_boundaries(word_clip(0), 8_000, 8_000) == (8_000, 8_000)
    assert find_boundaries(word_clip(0), SAMPLE_RATE, SAMPLE_RATE) == (SAMPLE_RATE, SAMPLE_RATE)


@pytest.mark.parametrize("index", range(6))
def test_rumble_and_offset_do_not_move_borders(index: int) -> None:
    """Waves of 15 Hz are as loud as the word, and differ from one 5 ms to the next."""
    rumble = tone(SAMPLE_RATE, 15.0) * np.float32(0.2) + np.float32(0.1)
    start = burst_start(index)
    found = find_boundaries(word_clip(index, floor=6e-3) + rumble, start - 3_000, start + N_BURST + 3_000)
    assert abs(found[0] - start) <= 2 * HOP_SAMPLES
    assert abs(found[1] - (start + N_BURST)) <= 2 * HOP_SAMPLES


def test_the_pause_is_found() -> None:
    assert 1 - SPEECH_PAUSE_S < find_pause(running_speech(1.0)) / SAMPLE_RATE < 1.0


def test_levels_are_those_of_each_hop_and_of_the_rest() -> None:
    levels = hop_levels(
        np.concatenate([np.full(80, 0.1), np.full(80, 1.0), np.full(7, 0.1)]).astype(np.float32)
    )
    np.testing.assert_allclose(levels, [-20, 0, -20], atol=1e-3)


def test_runs_by_hand() -> None:
    mask = np.array([1, 0, 0, 1, 1, 0, 1], dtype=np.bool_)
    assert find_sounds(mask) == [(0, 1), (3, 5), (6, 7)]
    assert find_sounds(np.zeros(3, dtype=np.bool_)) == []


@pytest.mark.parametrize(
    ("bridged", "shortest", "near", "expected"),
    [
        (0, 1, 0, [(0, 3), (4, 5), (7, 11), (20, 21)]),
        (1, 1, 0, [(0, 5), (7, 11), (20, 21)]),
        (2, 1, 0, [(0, 11), (20, 21)]),
        (0, 3, 0, [(0, 3), (7, 11)]),
        (0, 3, 2, [(0, 3), (4, 5), (7, 11)]),  # the short one is a plosive, the last one a click
        (0, 3, 9, [(0, 3), (4, 5), (7, 11), (20, 21)]),
        (2, 4, 0, [(0, 11)]),
        (0, 20, 9, []),  # a click beside a click is no word
    ],
)
def test_pauses_are_bridged_and_clicks_left_out(
    bridged: int, shortest: int, near: int, expected: list[tuple[int, int]]
) -> None:
    is_sound = np.array([c == "#" for c in "###.#..####.........#.."], dtype=np.bool_)
    assert find_sounds(is_sound, bridged=bridged, shortest=shortest, near=near) == expected


def test_the_threshold_by_hand() -> None:
    rule = SoundRule(above_floor_db=6.0, below_peak_db=35.0, least_contrast_db=12.0, least_db=-87.0)
    assert rule.threshold_db(-60.0, -20.0) == -54.0  # over the floor
    assert rule.threshold_db(-80.0, -20.0) == -55.0  # under the peak
    assert rule.threshold_db(-25.0, -20.0) == -26.0  # the word fills its clip: its floor is -32
    assert rule.threshold_db(-120.0, -80.0) == -87.0
    assert SoundRule(3.0, 30.0).threshold_db(-25.0, -20.0) == -22.0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.95, 1.0])
def test_ranked_levels_are_numpy_s_percentiles(share: float) -> None:
    levels = np.random.default_rng(0).normal(-50.0, 20.0, 37)
    assert ranked_level(np.sort(levels), share * 36) == pytest.approx(np.percentile(levels, 100 * share))
