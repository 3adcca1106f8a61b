"""Speed and rooms on waveforms: exact tones, scipy's convolution, and responses that are rooms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from speechcmd.training.augment.waveforms import (
    convolve_rooms,
    fft_size,
    make_rooms,
    resample_windows,
    room_spectra,
    tilt_noise,
)

RATE = 16_000


@pytest.mark.parametrize(("hz", "most_db"), [(200, -55), (3000, -50), (4500, -45), (5500, -38)])
def test_speed_moves_tones_exactly(hz: int, most_db: float) -> None:
    factors = (0.8, 0.93, 1.1, 1.25)
    n_longer, n_samples = 5201, 4000
    time_s = (np.arange(n_longer) - (n_longer - 1) / 2) / RATE
    tone = torch.from_numpy(np.sin(2 * np.pi * hz * time_s).astype(np.float32)).expand(len(factors), -1)
    changed = resample_windows(tone, torch.tensor(factors), n_samples).numpy()
    steps_s = (np.arange(n_samples) - (n_samples - 1) / 2) / RATE
    expected = np.sin(2 * np.pi * hz * np.array(factors)[:, None] * steps_s)
    error_db = 10 * np.log10(np.square(changed - expected).mean(axis=1) / 0.5)
    assert (error_db < most_db).all(), error_db


def test_speed_one_takes_the_middle_to_the_last_digits() -> None:
    waveform = torch.randn(3, 1100, generator=torch.Generator().manual_seed(0))
    before = waveform.clone()
    changed = resample_windows(waveform, torch.ones(3), 1000)
    assert torch.allclose(changed, waveform[:, 50:1050], atol=1e-5)
    assert torch.equal(waveform, before)


def test_noise_is_tilted_evenly_from_the_lowest_band_to_the_highest() -> None:
    noise = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    tilted = tilt_noise(noise, torch.tensor([12.0, -6.0]))
    gain_db = 20 * torch.log10(torch.fft.rfft(tilted).abs() / torch.fft.rfft(noise).abs())
    # 4000 Hz is 2146 mel, the middle of them 1113 Hz; above the highest band the gain stays
    for hz, share in ((0, -0.5), (1113, 0.0), (4000, 0.5), (6000, 0.5)):
        assert torch.allclose(gain_db[:, hz], share * torch.tensor([12.0, -6.0]), atol=0.02)


def test_beyond_the_ends_lies_silence() -> None:
    waveform = torch.ones(2, 800)
    changed = resample_windows(waveform, torch.tensor([1.25, 1.0]), 1000)
    inside = torch.arange(1000).sub(499.5).abs()
    assert torch.allclose(changed[0, inside < 310], torch.ones(()), atol=0.02)
    assert (changed[0, inside > 330] == 0).all()
    assert (changed[1, inside > 410] == 0).all()


def test_rooms_are_the_same_every_time_and_differ_by_seed() -> None:
    assert np.array_equal(make_rooms(4, 7, RATE), make_rooms(4, 7, RATE))
    assert not np.array_equal(make_rooms(4, 7, RATE), make_rooms(4, 8, RATE))
    assert make_rooms(2, 0, 8000).shape == (2, 3200)


def test_rooms_begin_with_the_direct_sound_and_die_away_in_time() -> None:
    rooms = make_rooms(40, 0, RATE)
    assert rooms.shape == (40, 6400)
    assert rooms.dtype == np.float32
    assert np.allclose(np.square(rooms).sum(axis=1), 1.0, atol=1e-5)
    assert (np.abs(rooms).argmax(axis=1) == 0).all()
    direct_db = 10 * np.log10(rooms[:, 0] ** 2 / np.square(rooms[:, 1:]).sum(axis=1))
    assert -3.1 < direct_db.min() < 0
    assert 9 < direct_db.max() < 12.1
    # decay from the energy still to come, between 60 and 160 ms
    to_come = np.square(rooms[:, ::-1].astype(np.float64)).cumsum(axis=1)[:, ::-1]
    fall_db = 10 * np.log10(to_come[:, 960] / to_come[:, 2560])
    decay_s = 60 * 0.1 / fall_db
    assert 0.08 < decay_s.min() < 0.2
    assert 0.4 < decay_s.max() < 0.7


def test_rooms_convolve_as_scipy_does_at_the_level_of_the_dry_signal() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal((4, 3000)).astype(np.float32) * np.array([[1], [0.1], [0.01], [0.5]])
    rooms, chosen = make_rooms(3, 0, RATE), [2, 0, 2, 1]
    dry = torch.from_numpy(waveform.astype(np.float32))
    before = dry.clone()
    wet = convolve_rooms(dry, room_spectra(torch.from_numpy(rooms), 3000), torch.tensor(chosen)).numpy()
    for clip, room in enumerate(chosen):
        expected = fftconvolve(waveform[clip], rooms[room])[:3000]
        expected *= np.sqrt(np.square(waveform[clip]).mean() / np.square(expected).mean())
        assert np.allclose(wet[clip], expected, atol=2e-5 * np.abs(expected).max())
    assert torch.equal(dry, before)


def test_no_signals_and_silence_stay_as_they_are() -> None:
    spectra = room_spectra(torch.from_numpy(make_rooms(1, 0, RATE)), 500)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert convolve_rooms(torch.zeros(0, 500), spectra, nothing).shape == (0, 500)
    assert not convolve_rooms(torch.zeros(2, 500), spectra, torch.tensor([0, 0])).any()


def test_delay_of_the_direct_sound_is_taken_off() -> None:
    response = torch.zeros(2, 300)
    response[0, 120], response[0, 150] = -0.8, 0.3
    response[1, 0] = 1.0
    waveform = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    wet = convolve_rooms(waveform, room_spectra(response, 1000), torch.tensor([0, 1]))
    expected = -0.8 * waveform[0]
    expected[30:] += 0.3 * waveform[0, :-30]
    expected *= waveform[0].square().mean().sqrt() / expected.square().mean().sqrt()
    assert torch.allclose(wet[0], expected, atol=1e-5)
    assert torch.allclose(wet[1], waveform[1], atol=1e-5)


def test_transform_is_long_enough_for_the_whole_convolution() -> None:
    for n_samples, n_taps in ((1, 1), (1000, 25), (1000, 26), (16_000, 6400)):
        assert n_samples + n_taps - 1 <= fft_size(n_samples, n_taps) < 2 * (n_samples + n_taps - 1)
