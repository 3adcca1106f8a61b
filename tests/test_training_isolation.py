"""Pieces of speech heard alone: what is kept, what comes around it, and of which windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechcmd.training.isolation import isolate

FLOOR, DIPS = -12.0, (60, 92)
BURSTS = (
    (20, 59),
    (64, 90),
    (96, 140),
)  # frames of sound in a window of 160, softer and softer to their ends


def speech(n_clips: int) -> torch.Tensor:
    """Three bursts of sound, the middle one loudest in frame 77. Shape: (n_clips, 160, 4)."""
    frames = torch.arange(160.0)
    level = torch.full((160,), FLOOR)
    for first, last in BURSTS:
        middle = (first + last) // 2
        inside = (frames >= first) & (frames < last)
        level[inside] = 2.0 - 0.01 * (frames[inside] - middle).abs()
    return level[None, :, None].repeat(n_clips, 1, 4)


@pytest.mark.parametrize("seed", range(5))
def test_the_middle_piece_is_kept_and_the_others_fade(seed: int) -> None:
    before = speech(40)
    after = isolate(before, torch.ones(40, dtype=torch.bool), 100.0, np.random.default_rng(seed))
    assert torch.equal(before, speech(40))
    assert (after[:, 70:84] - before[:, 70:84]).abs().max() < 1e-4  # within the nearest that a dip may be
    # 45 frames reach the pauses on both sides; what is soft after the farthest dip fades in 28 frames at most
    assert after[:, :5].max() < FLOOR + 4
    assert after[:, 150:].max() < FLOOR + 4
    spread = after[:, 150:].std(dim=1).mean()
    assert 0.3 < float(spread) < 0.9  # noise, not one level


def test_it_is_cut_at_the_softest_frames_within_reach() -> None:
    """Of 400 pieces many reach to both dips and keep the burst whole, beyond which little is left."""
    after = isolate(speech(400), torch.ones(400, dtype=torch.bool), 100.0, np.random.default_rng(0))
    is_whole = (after[:, 64:90] > 1.5).all(dim=2).all(dim=1)
    assert 0.5 < float(is_whole.float().mean()) < 1
    first, last = BURSTS[0][1] - 15, BURSTS[2][0] + 15
    beyond = torch.cat([after[is_whole, : first - 20], after[is_whole, last + 20 :]], dim=1)
    assert float((beyond > -6).float().mean()) < 0.01


def test_a_share_of_the_speech_and_nothing_else() -> None:
    is_speech = torch.arange(4_000) % 2 == 0
    before = speech(4_000)
    after = isolate(before, is_speech, 30.0, np.random.default_rng(0))
    changed = (after != before).flatten(1).any(dim=1)
    assert not changed[~is_speech].any()
    assert float(changed[is_speech].float().mean()) == pytest.approx(0.3, abs=0.03)


def test_what_is_done_to_a_clip_depends_on_its_place_alone() -> None:
    """The clips around it that are speech too, or not, change nothing."""
    alone = torch.arange(6) == 4
    one = isolate(speech(6), alone, 100.0, np.random.default_rng(1))
    every = isolate(speech(6), torch.ones(6, dtype=torch.bool), 100.0, np.random.default_rng(1))
    assert torch.equal(one[4], every[4])


@pytest.mark.parametrize("n_frames", [9, 30, 98])
def test_short_windows_and_steady_sound(n_frames: int) -> None:
    after = isolate(
        torch.zeros(3, n_frames, 5), torch.ones(3, dtype=torch.bool), 100.0, np.random.default_rng(0)
    )
    assert after.shape == (3, n_frames, 5)
    assert torch.isfinite(after).all()
