"""How loud something is, and noise of which that can be said: without rumble, as loud at any moment.

Microphones add an offset, wind and handling add rumble. Neither is heard beside speech, and a
signal-to-noise ratio that counts them says nothing.
"""

from __future__ import annotations

import math

import numpy as np

from speechcmd.arrays import AnyFloatArray, DoubleArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

LOWEST_HZ = 50.0
LARGEST_PEAK = 6.0  # of evened noise, whose rms is 1
_PAD_SAMPLES = SAMPLE_RATE // 10  # the filter rings for less
_WINDOW_SAMPLES = SAMPLE_RATE // 2  # about a word
_MOST_BOOST_DB = 20.0
_FLOOR_DB = -30.0
_SILENT_RMS = 1e-4


def measure_rms(waveform: AnyFloatArray) -> float:
    """Root mean square, the offset left out. Shape: (n_samples,), not empty -> a number."""
    return float(np.std(waveform, dtype=np.float64))


def high_pass(waveform: Waveform) -> Waveform:
    """Take away the offset and what lies below 50 Hz, without delay. Shape: (n_samples,) -> the same.

    As a Butterworth filter of second order run forwards and backwards: 100 Hz loses 0.5 dB, 50 Hz 6 dB,
    25 Hz 25 dB.
    """
    if not len(waveform):
        return waveform
    padded = np.pad(waveform.astype(np.float64), _PAD_SAMPLES, mode="symmetric")
    n_fft = _fast_length(len(padded))
    ratio = (np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE) / LOWEST_HZ) ** 4
    filtered = np.fft.irfft(np.fft.rfft(padded, n_fft) * (ratio / (1.0 + ratio)), n_fft)
    return filtered[_PAD_SAMPLES : _PAD_SAMPLES + len(waveform)].astype(np.float32)


def _fast_length(n_samples: int) -> int:
    """Next length that is 1, 3 or 5 times a power of two: large primes take ten times as long."""
    return min(odd << max(0, math.ceil(math.log2(n_samples / odd))) for odd in (1, 3, 5))


def even_out(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Bring noise to an rms of 1 within every half second. Shape: (n_samples,) -> the same.

    A stated signal-to-noise ratio shall hold under each word, though a dog barks twice and is silent then,
    or the wind blows into the microphone: what lies below 50 Hz is taken away first, the offset with it.
    White noise 30 dB below the recording takes the place of digital silence. Quiet stretches are lifted by
    no more than 20 dB, peaks are cut at 6 times the rms.
    """
    white = rng.standard_normal(len(waveform), dtype=np.float32)
    heard = high_pass(waveform)
    rms = measure_rms(heard)
    if rms < _SILENT_RMS:
        return white.clip(-LARGEST_PEAK, LARGEST_PEAK)
    noise = heard / rms + np.float32(10 ** (_FLOOR_DB / 20)) * white
    power = _moving_power(noise)
    evened = noise / np.sqrt(np.maximum(power, 10 ** (-_MOST_BOOST_DB / 10)))
    result: Waveform = (evened / measure_rms(evened)).clip(-LARGEST_PEAK, LARGEST_PEAK).astype(np.float32)
    return result


def _moving_power(waveform: Waveform) -> DoubleArray:
    """Mean square of the half second around each sample, of what there is of it at the ends."""
    n_samples, half = len(waveform), _WINDOW_SAMPLES // 2
    summed = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    index = np.arange(n_samples)
    first, last = np.maximum(0, index - half), np.minimum(n_samples, index + half)
    power: DoubleArray = (summed[last] - summed[first]) / (last - first)
    return power
