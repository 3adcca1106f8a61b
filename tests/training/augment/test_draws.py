"""Augmentation of batches: each part does what it says, and nothing when it is off."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from speechcmd.training.augment.draws import draw_gain, draw_snr
from speechcmd.training.augment.features import spec_augment
from speechcmd.training.augment.placement import draw_time_shift
from speechcmd.training.augment.waveforms import mix_noise
from speechcmd.training.counter_random import PURPOSES, generator_for, torch_seed_for
from speechcmd.training.settings.config import AugmentConfig

OFF = AugmentConfig.off()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_time_shift_goes_both_ways_within_its_limit() -> None:
    shift = draw_time_shift(AugmentConfig(time_shift_ms=100), 5_000, 16_000, rng())
    assert shift.min() == -1_600
    assert shift.max() == 1_600
    assert abs(shift.mean()) < 60  # 5000 draws: standard error 13
    assert not draw_time_shift(OFF, 100, 16_000, rng()).any()


def test_gain_goes_both_ways_in_decibels() -> None:
    gain_db = 20 * np.log10(draw_gain(AugmentConfig(gain_db=10), 5_000, rng()))
    assert -10 <= gain_db.min() < -9.9
    assert 9.9 < gain_db.max() <= 10
    assert (draw_gain(OFF, 100, rng()) == 1).all()


def test_snr_is_drawn_for_the_asked_share() -> None:
    snr_db = draw_snr(AugmentConfig(noise_percent=30, noise_snr_db=(5, 20)), 10_000, rng())
    noisy = np.isfinite(snr_db)
    assert abs(noisy.mean() - 0.3) < 0.02  # standard error 0.005
    assert snr_db[noisy].min() >= 5
    assert snr_db[noisy].max() <= 20
    assert np.isinf(draw_snr(OFF, 100, rng())).all()
    assert np.isfinite(draw_snr(AugmentConfig(noise_percent=100), 100, rng())).all()


def test_mixed_noise_has_the_asked_ratio() -> None:
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(4, 8_000, generator=generator) * torch.tensor([[0.5], [0.1], [0.01], [0.2]])
    noise = torch.randn(4, 8_000, generator=generator) * torch.tensor([[0.1], [0.3], [0.2], [0.001]])
    snr_db = torch.tensor([0.0, 10.0, 25.0, torch.inf])
    before = waveform.clone(), noise.clone()
    mixed = mix_noise(waveform, noise, snr_db)
    added = (mixed - waveform)[:3]
    measured = 10 * torch.log10(waveform[:3].square().mean(1) / added.square().mean(1))
    assert torch.allclose(measured, snr_db[:3], atol=1e-2)  # float32 difference of close numbers
    assert torch.equal(mixed[3], waveform[3])
    assert torch.equal(waveform, before[0])
    assert torch.equal(noise, before[1])


def test_silent_noise_adds_nothing_infinite() -> None:
    mixed = mix_noise(torch.ones(1, 100), torch.zeros(1, 100), torch.tensor([0.0]))
    assert torch.equal(mixed, torch.ones(1, 100))


def test_spec_augment_fills_spans_with_the_mean_and_touches_nothing_else() -> None:
    config = replace(OFF, time_masks=1, time_mask_frames=8, band_masks=1, band_mask_bands=6)
    log_mel, fill = torch.full((200, 60, 40), 7.0), torch.arange(40.0)
    before = log_mel.clone()
    masked = spec_augment(log_mel, fill, config, rng())
    assert torch.equal(log_mel, before)
    covered = masked != 7.0
    assert torch.equal(masked, torch.where(covered, fill.expand_as(masked), log_mel))
    for clip in covered.numpy() | (np.arange(40) == 7):  # where the mean is 7 nobody can tell
        frames = np.flatnonzero(clip.all(axis=1))
        bands = np.flatnonzero(clip.all(axis=0) & (np.arange(40) != 7))
        assert len(frames) <= 8
        assert len(bands) <= 6
        assert len(frames) == 0 or np.ptp(frames) == len(frames) - 1  # one span
        rest = np.delete(np.delete(clip, frames, axis=0), np.append(bands, 7), axis=1)
        assert not rest.any()
    widths = covered[:, :, 0].sum(1).bincount(minlength=9)
    assert (widths[:9] > 0).all()  # every width from none to eight comes up


def test_masks_longer_than_the_window_cover_it_at_most() -> None:
    config = replace(OFF, time_masks=3, time_mask_frames=500)
    assert spec_augment(torch.ones(20, 5, 4), torch.zeros(4), config, rng()).shape == (20, 5, 4)


def test_everything_off_changes_nothing() -> None:
    log_mel = torch.randn(3, 20, 40)
    assert torch.equal(spec_augment(log_mel, torch.zeros(40), OFF, rng()), log_mel)


def test_randomness_depends_on_its_counters_alone() -> None:
    counters = list(product(PURPOSES, (0, 1), (0, 1), (0, 1)))
    firsts = {generator_for(*counter).integers(2**62) for counter in counters}
    assert len(firsts) == len(counters)
    assert generator_for("noise", 3, 2, 1).integers(2**62) == generator_for("noise", 3, 2, 1).integers(2**62)
    assert torch_seed_for("dropout", 0, 1, 2) == torch_seed_for("dropout", 0, 1, 2)
    assert torch_seed_for("dropout", 0, 1, 2) != torch_seed_for("dropout", 0, 1, 3)
    with pytest.raises(ValueError, match="not in tuple"):
        generator_for("nothing", 0, 0)
