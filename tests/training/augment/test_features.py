"""Augmentation of log-mel spectrograms against the front end itself on changed waveforms."""

from __future__ import annotations

import math
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from scipy.signal import butter, fftconvolve, sosfilt

from models.frontend import FrontEndConfig, LogMel
from speechcmd.training.augment.features import (
    add_log_mel,
    change_floor,
    change_speed,
    cut_bands,
    mix_log_mel_noise,
    shift_level,
    smear_room,
    tilt_bands,
    warp_bands,
)
from speechcmd.training.augment.image_channel import through_image
from speechcmd.training.augment.waveforms import mix_noise

FLOOR = FrontEndConfig().log_floor
N_CLIPS = 24


def log_mel_of(waveform: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return LogMel()(waveform)


def in_band(seed: int) -> torch.Tensor:
    """Noise up to 3.5 kHz that swells and fades. Shape: (clips, samples)."""
    rng = np.random.default_rng(seed)
    band = butter(8, 3500, fs=16_000, output="sos")
    noise = sosfilt(band, rng.standard_normal((N_CLIPS, 16_000)))
    centre = rng.uniform(0.3, 0.7, (N_CLIPS, 1))
    loudness = 0.02 + np.exp(-(((np.arange(16_000) / 16_000 - centre) / 0.15) ** 2))
    return torch.from_numpy((0.1 * noise * loudness).astype(np.float32))


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return in_band(0)


@pytest.fixture(scope="module")
def log_mel(waveform: torch.Tensor) -> torch.Tensor:
    return log_mel_of(waveform)


def test_another_floor_is_that_of_the_same_power() -> None:
    power = torch.tensor([0.0, 1e-7, 1e-4, 1.0, 1000.0])
    changed = change_floor(torch.log(power + 1e-6), 1e-6, 5e-7)
    assert torch.allclose(changed, torch.log(power + 5e-7), atol=2e-3)  # float32 at a power under the floor
    same = torch.log(power + 1e-6)
    assert torch.equal(change_floor(same, 1e-6, 1e-6), same)


def test_level_is_that_of_the_front_end_on_a_louder_waveform(
    waveform: torch.Tensor, log_mel: torch.Tensor
) -> None:
    gain_db = torch.linspace(-30, 12, N_CLIPS)
    before = log_mel.clone()
    expected = log_mel_of(waveform * 10 ** (gain_db / 20).unsqueeze(1))
    assert torch.allclose(shift_level(log_mel, gain_db), expected, atol=2e-3)
    assert torch.equal(log_mel, before)


def test_silence_stays_at_the_floor_at_any_level() -> None:
    silence = torch.full((2, 5, 40), math.log(FLOOR))
    assert torch.allclose(shift_level(silence, torch.tensor([-60.0, 60.0])), silence, atol=1e-4)


@pytest.mark.parametrize("snr_db", [-5.0, 5.0, 20.0])
def test_mixed_noise_is_that_of_the_front_end_on_average(
    waveform: torch.Tensor, log_mel: torch.Tensor, snr_db: float
) -> None:
    noise, asked = in_band(1), torch.full((N_CLIPS,), snr_db)
    expected = log_mel_of(mix_noise(waveform, noise, asked))
    mixed = mix_log_mel_noise(log_mel, log_mel_of(noise), asked)
    assert abs(float((mixed - expected).mean())) < 0.1  # in 4 dB units: 0.4 dB
    assert np.corrcoef(mixed.ravel(), expected.ravel())[0, 1] > 0.98
    assert float((mixed - expected).square().mean().sqrt()) < 0.5


def test_no_noise_changes_no_bit(log_mel: torch.Tensor) -> None:
    snr_db = torch.full((N_CLIPS,), torch.inf)
    snr_db[0] = 10.0
    mixed = mix_log_mel_noise(log_mel, log_mel.flip(0), snr_db)
    assert torch.equal(mixed[1:], log_mel[1:])
    assert not torch.equal(mixed[0], log_mel[0])


def test_ratio_of_mixed_noise_is_of_mean_powers() -> None:
    signal = torch.full((1, 4, 2), 1.0)
    signal[:, 2:] = 3.0  # mean power 2
    noise = torch.tensor([4.0, 12.0]).expand(1, 4, 2)  # mean power 8
    mixed = mix_log_mel_noise(torch.log(signal + FLOOR), torch.log(noise + FLOOR), torch.tensor([10.0]))
    assert torch.allclose(mixed.exp() - FLOOR, signal + noise * (0.2 / 8), atol=1e-4)


def test_ratio_is_set_after_the_gains_of_the_noise_bands() -> None:
    signal, noise = torch.full((1, 4, 2), 5.0), torch.full((1, 4, 2), 3.0)
    gain_db = torch.tensor([[-10.0, 10.0]])  # powers 0.3 and 30, mean 15.15
    mixed = mix_log_mel_noise(
        torch.log(signal + FLOOR), torch.log(noise + FLOOR), torch.tensor([10.0]), noise_gain_db=gain_db
    )
    expected = 5.0 + torch.tensor([0.3, 30.0]) * (0.5 / 15.15)
    assert torch.allclose(mixed.exp() - FLOOR, expected.expand(1, 4, 2), atol=1e-4)


def test_silent_noise_adds_nothing_infinite(log_mel: torch.Tensor) -> None:
    silence = torch.full_like(log_mel, math.log(FLOOR) - 1.0)
    assert torch.allclose(mix_log_mel_noise(log_mel, silence, torch.zeros(N_CLIPS)), log_mel, atol=1e-3)


def test_speed_draws_a_line_of_frames_out_and_together() -> None:
    ramp = torch.arange(30.0)[None, :, None].expand(3, 30, 2)
    changed = change_speed(ramp, torch.tensor([1.0, 0.5, 1.2]), 20)
    steps = torch.arange(20.0) - 9.5
    for factor, line in zip((1.0, 0.5, 1.2), changed, strict=True):
        assert torch.allclose(line[:, 0], 14.5 + factor * steps, atol=1e-5)
        assert torch.equal(line[:, 0], line[:, 1])


def test_speed_equals_interpolation_with_mirrored_ends(log_mel: torch.Tensor) -> None:
    factor = torch.linspace(0.7, 1.6, N_CLIPS)
    changed = change_speed(log_mel, factor)
    n_frames = log_mel.shape[1]
    mirrored = np.pad(log_mel.double().numpy(), ((0, 0), (50, 50), (0, 0)), mode="reflect")
    for clip in (0, 7, 23):
        places = 50 + (n_frames - 1) / 2 + (np.arange(n_frames) - (n_frames - 1) / 2) * float(factor[clip])
        expected = np.interp(places, np.arange(n_frames + 100), mirrored[clip, :, 11])
        assert np.allclose(changed[clip, :, 11], expected, atol=2e-3)


def test_speed_one_changes_no_bit(log_mel: torch.Tensor) -> None:
    assert torch.equal(change_speed(log_mel, torch.ones(N_CLIPS)), log_mel)
    assert torch.equal(change_speed(log_mel, torch.ones(N_CLIPS), 90), log_mel[:, 4:94])
    assert torch.equal(change_speed(log_mel[:, :1], torch.full((N_CLIPS,), 1.3)), log_mel[:, :1])


def test_smearing_equals_a_convolution_of_powers(log_mel: torch.Tensor) -> None:
    decay_s, direct_db = np.linspace(0.1, 0.8, N_CLIPS), np.linspace(-6.0, 15.0, N_CLIPS)
    smeared = smear_room(log_mel, torch.from_numpy(decay_s).float(), torch.from_numpy(direct_db).float())
    edges_s = np.maximum(np.arange(99) - 0.5, 0) * 0.01
    for clip in (0, 9, 23):
        left = 10 ** (-6 * edges_s / decay_s[clip])
        response = (left[:-1] - left[1:]) * 10 ** (-direct_db[clip] / 10)
        response[0] += 1
        response /= 1 + 10 ** (-direct_db[clip] / 10)
        power = np.exp(log_mel[clip].double().numpy()) - FLOOR
        expected = np.log(fftconvolve(power, response[:, None], axes=0)[:98] + FLOOR)
        assert np.allclose(smeared[clip], expected, atol=2e-3)


def test_smearing_is_that_of_a_noisy_room_on_average(waveform: torch.Tensor) -> None:
    rng, decay_s = np.random.default_rng(2), 0.4
    tail = rng.standard_normal((N_CLIPS, 16_000)) * 10 ** (-3 * np.arange(16_000) / 16_000 / decay_s)
    tail /= np.sqrt(np.square(tail).sum(axis=1, keepdims=True))
    tail[:, 0] += 1
    burst = waveform.clone()
    burst[:, :4000] = 0.0
    burst[:, 8000:] = 0.0
    wet = fftconvolve(burst.numpy(), tail, axes=1)[:, :16_000] / math.sqrt(2)
    expected = log_mel_of(torch.from_numpy(wet.astype(np.float32)))
    smeared = smear_room(log_mel_of(burst), torch.full((N_CLIPS,), decay_s), torch.zeros(N_CLIPS))
    # the course of the mean power from the burst on, over half a second of dying away
    got, true = ((x.exp() - FLOOR).mean(dim=(0, 2))[25:90].log() for x in (smeared, expected))
    assert true[26] - true[64] > 8
    assert (got - true).abs().max() < 0.5
    assert (got - true).mean().abs() < 0.1


def test_no_decay_changes_no_bit_and_a_steady_sound_keeps_its_level(log_mel: torch.Tensor) -> None:
    decay_s = torch.zeros(N_CLIPS)
    decay_s[0] = 0.3
    smeared = smear_room(log_mel, decay_s, torch.zeros(N_CLIPS))
    assert torch.equal(smeared[1:], log_mel[1:])
    assert not torch.equal(smeared[0], log_mel[0])
    steady = torch.full((1, 120, 40), 2.0)
    assert torch.allclose(smear_room(steady, decay_s[:1], torch.zeros(1))[:, 60:], steady[:, 60:], atol=1e-3)


# --- other microphones


def test_a_tilt_is_another_gain_in_each_band() -> None:
    """Steady tones in the lowest, a middle and the highest of 41 bands, where gains are known."""
    power = torch.full((3, 2, 41), 0.01)
    tilted = tilt_bands(torch.log(power + FLOOR), torch.tensor([0.0, 12.0, -20.0]))
    gain_db = 10 * torch.log10((tilted.exp() - FLOOR) / power)
    expected = torch.tensor([[0.0, 0.0, 0.0], [-6.0, 0.0, 6.0], [10.0, 0.0, -10.0]])
    torch.testing.assert_close(gain_db[:, 1, [0, 20, 40]], expected, atol=1e-2, rtol=0)
    silence = torch.full((1, 2, 41), math.log(FLOOR))
    torch.testing.assert_close(tilt_bands(silence, torch.tensor([30.0])), silence, atol=1e-3, rtol=0)


def test_cut_bands_are_those_of_a_narrower_recording() -> None:
    """What a steep low-pass filter at 5 kHz leaves, in bands that lie off its edge."""
    frontend = FrontEndConfig().with_bands(53)
    noise = np.random.default_rng(0).standard_normal((2, 16_000)) * 0.1
    narrow = sosfilt(butter(20, 5_000, fs=16_000, output="sos"), noise)
    wide, filtered = (LogMel(frontend)(torch.from_numpy(x.astype(np.float32))) for x in (noise, narrow))
    edges = librosa.mel_frequencies(55, fmin=0, fmax=frontend.f_max_hz, htk=True)
    n_kept = int(np.searchsorted(edges[1:-1], 5_000))
    cut = cut_bands(wide, torch.tensor([n_kept, 53]), frontend)
    below, above = slice(0, n_kept - 2), slice(n_kept + 5, None)
    torch.testing.assert_close(cut[0, :, below], filtered[0, :, below], atol=0.3, rtol=0)
    assert float((cut[0, :, n_kept:] - math.log(FLOOR)).abs().max()) == 0
    assert (
        float((filtered[0, 5:, above] - cut[0, 5:, above]).max())
        < float((wide - cut)[0, 5:, above].min()) - 3
    )
    assert torch.equal(cut[1], wide[1])


# --- longer and shorter vocal tracts


def test_a_tone_moves_as_a_resonance_of_a_longer_vocal_tract_does() -> None:
    """A tone at 1,500 Hz through a tract 1.25 times as long is one at 1,200 Hz, and the other way round."""
    n = torch.arange(16_000) / 16_000

    def loudest_band(log_mel: torch.Tensor) -> int:
        return int(log_mel.mean(dim=1).argmax())

    low, high = (log_mel_of(0.1 * torch.sin(2 * torch.pi * hz * n).unsqueeze(0)) for hz in (1_200, 1_500))
    assert loudest_band(high) - loudest_band(low) == 4
    # a peak may fall between two bands
    assert abs(loudest_band(warp_bands(high, torch.tensor([1.25]))) - loudest_band(low)) <= 1
    assert abs(loudest_band(warp_bands(low, torch.tensor([0.8]))) - loudest_band(high)) <= 1


def test_a_vocal_tract_as_long_as_before_changes_nothing() -> None:
    log_mel = torch.randn(3, 7, 40, generator=torch.Generator().manual_seed(0)) * 3 - 8
    torch.testing.assert_close(warp_bands(log_mel, torch.ones(3)), log_mel, rtol=1e-3, atol=1e-3)


def test_each_clip_has_its_own_vocal_tract_and_stays_within_its_levels() -> None:
    log_mel = torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(1))
    warped = warp_bands(log_mel, torch.tensor([0.8, 1.2]))
    for clip, factor in enumerate((0.8, 1.2)):
        torch.testing.assert_close(
            warped[clip], warp_bands(log_mel[clip : clip + 1], torch.tensor([factor]))[0]
        )
    flat = torch.full((2, 5, 40), -6.0)
    torch.testing.assert_close(warp_bands(flat, torch.tensor([0.8, 1.2])), flat)
    assert float(warped.max()) <= float(log_mel.max())


def warped(log_mel: torch.Tensor) -> torch.Tensor:
    return warp_bands(log_mel, torch.tensor([0.9, 1.1]))


def smeared(log_mel: torch.Tensor) -> torch.Tensor:
    return smear_room(log_mel, torch.tensor([0.3, 0.5]), torch.zeros(2))


@pytest.mark.parametrize("change", [warped, smeared, through_image])
def test_autocast_touches_no_log_mel(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    log_mel = torch.from_numpy(np.random.default_rng(4).uniform(-12, 2, (2, 30, 40)).astype(np.float32))
    expected = change(log_mel.clone())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        changed = change(log_mel.clone())
    assert changed.dtype == torch.float32
    assert torch.equal(changed, expected)


def test_sounds_at_once_add_their_powers() -> None:
    powers = [torch.full((1, 2, 3), value) for value in (0.5, 2.0, 0.25)]
    together = add_log_mel([torch.log(power + FLOOR) for power in powers])
    assert torch.allclose(together, torch.log(torch.full((1, 2, 3), 2.75 + FLOOR)))
