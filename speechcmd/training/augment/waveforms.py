"""Augmentation of waveforms: speed with pitch, rooms, and the colour of noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.frontend import FrontEndConfig, hz_to_mel
from speechcmd.arrays import FloatArray
from speechcmd.training.to_device import to_device

_N_TAPS = 10
_DEGREE = 3
_BAND = 0.7  # of half the sample rate: exact below, good enough above
_ROW = 32
_MARGIN = _N_TAPS
_SILENT_POWER = 1e-20
_ROOM_S = 0.4
_DECAY_S = (0.1, 0.6)
_DIRECT_DB = (-3.0, 12.0)
_EARLY_S = (0.002, 0.05)
_EARLY_REFLECTIONS = 12
_MUFFLED_HZ = (1500.0, 7000.0)


def mix_noise(waveform: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise at a ratio of mean powers over the window; the inputs stay as they are.

    Shape: (batch, n_samples) twice, (batch,) -> (batch, n_samples).
    """
    return (noise_scale(waveform, noise, snr_db) * noise).add_(waveform)


def noise_scale(waveform: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """What noise is multiplied by to lie at a ratio of mean powers under a signal.

    Shape: (batch, n_samples) twice, (batch,) -> (batch, 1).
    """
    # norms, not means of squares: those would write both signals to memory once more
    signal_rms, noise_rms = (
        torch.linalg.vector_norm(x, dim=1) / x.shape[1] ** 0.5 for x in (waveform, noise)
    )
    ratio: Tensor = signal_rms / noise_rms.clamp_min(1e-5) * 10.0 ** (-snr_db / 20.0)
    return ratio.unsqueeze(1)


def resample_windows(waveform: Tensor, factor: Tensor, n_samples: int) -> Tensor:
    """Play each signal `factor` times as fast about its middle: tempo and pitch change together.

    An output needs `factor * n_samples` samples of input; beyond the ends lies silence. There is no
    low-pass: above factor one, what was over `8000 / factor` Hz (at 16 kHz) comes back mirrored at 8000 Hz.

    Shape: (batch, n_longer) and (batch,) -> (batch, n_samples).
    """
    n_longer = waveform.shape[1]
    # measured from the middle: float32 then places a sample to a thousandth
    steps = torch.arange(n_samples, device=waveform.device, dtype=waveform.dtype) - (n_samples - 1) / 2
    places = steps * factor.to(waveform).unsqueeze(1) + (n_longer - 1) % 2 / 2
    whole = places.floor()
    share = places.sub_(whole)
    parts = _filtered(waveform)
    first = whole.add_((n_longer - 1) // 2 + _MARGIN).clamp_(0, parts[0].shape[1] - 1).long()
    result = parts[-1].gather(1, first)
    for part in parts[-2::-1]:
        result = result.mul_(share).add_(part.gather(1, first))
    return result


def tilt_noise(noise: Tensor, tilt_db: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """Make the highest band of the front end so much louder than the lowest, evenly on the mel scale.

    Shape: (batch, n_samples) and (batch,) -> (batch, n_samples).
    """
    n_samples = noise.shape[1]
    spectrum = torch.fft.rfft(noise)
    gain_db = tilt_db.to(noise).unsqueeze(1) * to_device(_place_of_bins(n_samples, frontend), noise.device)
    tilted: Tensor = torch.fft.irfft(spectrum.mul_(torch.pow(10.0, gain_db / 20.0)), n_samples)
    return tilted


@cache
def _place_of_bins(n_samples: int, frontend: FrontEndConfig) -> FloatArray:
    """Where each bin of a transform lies on the mel scale: -0.5 at the lowest edge of the bands, 0.5 at the
    highest and above. Shape: (n_samples // 2 + 1,).
    """
    mel = np.array([hz_to_mel(hz) for hz in np.fft.rfftfreq(n_samples, 1.0 / frontend.sample_rate).tolist()])
    lowest, highest = hz_to_mel(frontend.f_min_hz), hz_to_mel(frontend.f_max_hz)
    return (np.clip((mel - lowest) / (highest - lowest), 0.0, 1.0) - 0.5).astype(np.float32)


def make_rooms(n_rooms: int, seed: int, sample_rate: int) -> FloatArray:
    """Synthetic room responses: direct sound first, sparse early reflections, a muffled tail of noise.

    The tail falls by 60 dB in 0.1 to 0.6 s; direct to reverberant power lies between -3 and 12 dB.
    Shape: (n_rooms, n_taps) with 0.4 s of taps, of unit energy.
    """
    rng = np.random.default_rng(seed)
    n_taps = round(_ROOM_S * sample_rate)
    time_s = np.arange(n_taps) / sample_rate
    decay_s = rng.uniform(*_DECAY_S, size=(n_rooms, 1))
    tail = rng.standard_normal((n_rooms, n_taps))
    first, last = (round(edge_s * sample_rate) for edge_s in _EARLY_S)
    places = rng.integers(first, last, size=(n_rooms, _EARLY_REFLECTIONS))
    strength = rng.choice([-1.0, 1.0], size=places.shape) * rng.uniform(2.0, 8.0, size=places.shape)
    np.add.at(tail, (np.arange(n_rooms)[:, None], places), strength)
    tail[:, :first] = 0.0
    tail *= np.exp(-np.log(1e3) * time_s / decay_s)
    cut_hz = rng.uniform(*_MUFFLED_HZ, size=(n_rooms, 1))
    hz = np.fft.rfftfreq(2 * n_taps, 1.0 / sample_rate)
    # a pole, not a gain: the filter stays causal
    muffled = np.fft.irfft(np.fft.rfft(tail, 2 * n_taps) / (1.0 + 1j * hz / cut_hz))[:, :n_taps]
    direct_db = rng.uniform(*_DIRECT_DB, size=(n_rooms, 1))
    muffled *= 10.0 ** (-direct_db / 20.0) / np.sqrt(np.square(muffled).sum(axis=1, keepdims=True))
    muffled[:, 0] += 1.0
    muffled /= np.sqrt(np.square(muffled).sum(axis=1, keepdims=True))
    rooms: FloatArray = muffled.astype(np.float32)
    return rooms


def room_spectra(responses: Tensor, n_samples: int) -> Tensor:
    """Responses ready for `convolve_rooms` on windows of `n_samples`; the direct sound's delay is taken off.

    The direct sound is the largest value of a response. Shape: (n_rooms, n_taps) -> (n_rooms, n_bins).
    """
    n_taps = responses.shape[1]
    places = torch.arange(n_taps, device=responses.device) + responses.abs().argmax(dim=1, keepdim=True)
    early = responses.gather(1, places.clamp_max(n_taps - 1))
    spectra: Tensor = torch.fft.rfft(torch.where(places < n_taps, early, 0.0), fft_size(n_samples, n_taps))
    return spectra


def convolve_rooms(waveform: Tensor, spectra: Tensor, chosen: Tensor) -> Tensor:
    """Put each signal into the room `chosen` for it, at the level (root mean square) that it had.

    `spectra` come from `room_spectra` for windows of this length, `chosen` says which of them.

    Shape: (batch, n_samples), (n_rooms, n_bins), (batch,) -> (batch, n_samples).
    """
    if not len(waveform):
        return waveform.clone()
    size = 2 * (spectra.shape[1] - 1)
    rooms = spectra.index_select(0, chosen.to(spectra.device))
    echoed = torch.fft.irfft(torch.fft.rfft(waveform, size).mul_(rooms), size)[:, : waveform.shape[1]]
    power = echoed.square().mean(dim=1, keepdim=True).clamp_min_(_SILENT_POWER)
    level = torch.sqrt(waveform.square().mean(dim=1, keepdim=True) / power)
    result: Tensor = echoed * level
    return result


def fft_size(n_samples: int, n_taps: int) -> int:
    """Length of the transform of a whole convolution: a power of two, the fastest on CPU and GPU."""
    return 1 << (n_samples + n_taps - 2).bit_length()


def _filtered(waveform: Tensor) -> list[Tensor]:
    """The signal through each of the fraction filters, beginning `_MARGIN` samples before it.

    As a product of matrices, a row giving `_ROW` places: several times faster on a CPU than a
    convolution with one channel.
    """
    n_clips, n_longer = waveform.shape
    n_rows = -(-(n_longer + 2 * _MARGIN) // _ROW)
    before = _MARGIN + _N_TAPS // 2 - 1
    after = n_rows * _ROW + _N_TAPS - 1 - before - n_longer
    rows = functional.pad(waveform, (before, after)).unfold(1, _ROW + _N_TAPS - 1, _ROW)
    rows = rows.reshape(n_clips * n_rows, _ROW + _N_TAPS - 1)
    matrices = torch.from_numpy(_fraction_matrices()).to(waveform)
    with torch.autocast(waveform.device.type, enabled=False):
        return [(rows @ matrix).view(n_clips, n_rows * _ROW) for matrix in matrices]


@cache
def _fraction_matrices() -> FloatArray:
    """The filters, one place further down in each column. Shape: (degree + 1, row + taps - 1, row)."""
    matrices = np.zeros((_DEGREE + 1, _ROW + _N_TAPS - 1, _ROW), dtype=np.float32)
    for column in range(_ROW):
        matrices[:, column : column + _N_TAPS, column] = _fraction_filters()
    return matrices


def _fraction_filters() -> FloatArray:
    """Polynomials in the fraction of a sample, one filter for each power of it. Shape: (degree + 1, taps).

    For each of many fractions, the taps that shift every frequency of the band best in least squares;
    then each tap as a polynomial in the fraction (Farrow 1988).
    """
    fractions = np.linspace(0.0, 1.0, 65)
    taps = np.arange(_N_TAPS) - (_N_TAPS // 2 - 1)
    normal = np.sinc(_BAND * (taps[:, None] - taps))
    best = np.linalg.solve(normal, np.sinc(_BAND * (taps[:, None] - fractions)))
    powers = np.vander(fractions, _DEGREE + 1, increasing=True)
    weights = np.ones((len(fractions), 1))
    weights[[0, -1]] = 1e4  # a whole sample is that sample: speed 1 changes nothing
    coefficients = np.linalg.lstsq(weights * powers, weights * best.T, rcond=None)[0]
    filters: FloatArray = coefficients.astype(np.float32)
    return filters
