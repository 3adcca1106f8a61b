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

from speechcmd.audio.label_boundaries import HOP_SAMPLES, find_borders, find_pause, hop_levels

pytestmark = pytest.mark.runtime

N_BURST = round(BURST_S * SAMPLE_RATE)


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("floor", [0.0, 3e-4, 6e-3])
def test_a_burst_is_found_to_the_hop(index: int, floor: float) -> None:
    start = burst_start(index)
    found = find_borders(word_clip(index, floor=floor), start - MARGIN, start + N_BURST + MARGIN)
    assert 0 <= start - found[0] < HOP_SAMPLES
    assert 0 <= found[1] - (start + N_BURST) <= HOP_SAMPLES  # pre-emphasis sees the sample behind it


def test_a_soft_consonant_under_hum_belongs_to_the_word() -> None:
    rng = np.random.default_rng(0)
    clip = tone(SAMPLE_RATE, 50.0) * np.float32(0.02)
    hiss = np.diff(rng.standard_normal(1_601)).astype(np.float32) * np.float32(0.01)
    clip[4_000:5_600] += hiss
    clip[5_600:9_600] += tone(4_000, 200.0, 600.0) * np.float32(0.3)
    start, end = find_borders(clip, 3_200, 10_400)
    assert abs(start - 4_000) <= HOP_SAMPLES
    assert abs(end - 9_600) <= HOP_SAMPLES


def test_what_lies_outside_is_never_part_of_the_word() -> None:
    clip = word_clip(0)
    clip[200:2_000] = 0.9
    assert find_borders(clip, 3_500, 8_000)[0] >= 3_500
    assert find_borders(clip, 4_100, 6_000) == (4_100, 6_000)


@pytest.mark.parametrize("clip", [np.zeros(SAMPLE_RATE, dtype=np.float32), np.zeros(700, dtype=np.float32)])
def test_where_nothing_stands_out_all_of_it_is_the_word(clip: np.ndarray) -> None:
    assert find_borders(clip, 100, 650) == (100, 650)


def test_no_word_between_a_sample_and_itself() -> None:
    assert find_borders(word_clip(0), 8_000, 8_000) == (8_000, 8_000)
    assert find_borders(word_clip(0), SAMPLE_RATE, SAMPLE_RATE) == (SAMPLE_RATE, SAMPLE_RATE)


@pytest.mark.parametrize("index", range(6))
def test_rumble_and_offset_do_not_move_borders(index: int) -> None:
    """Waves of 15 Hz are as loud as the word, and differ from one 5 ms to the next."""
    rumble = tone(SAMPLE_RATE, 15.0) * np.float32(0.2) + np.float32(0.1)
    start = burst_start(index)
    found = find_borders(word_clip(index, floor=6e-3) + rumble, start - 3_000, start + N_BURST + 3_000)
    assert abs(found[0] - start) <= 2 * HOP_SAMPLES
    assert abs(found[1] - (start + N_BURST)) <= 2 * HOP_SAMPLES


def test_the_pause_is_found() -> None:
    assert 1 - SPEECH_PAUSE_S < find_pause(running_speech(1.0)) / SAMPLE_RATE < 1.0


def test_levels_are_those_of_each_hop_and_of_the_rest() -> None:
    levels = hop_levels(
        np.concatenate([np.full(80, 0.1), np.full(80, 1.0), np.full(7, 0.1)]).astype(np.float32)
    )
    np.testing.assert_allclose(levels, [-20, 0, -20], atol=1e-3)
