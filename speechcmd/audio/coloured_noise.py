"""Noise whose power falls with the frequency: white, pink, brown."""

from __future__ import annotations

import numpy as np

from speechcmd.audio.samples import SAMPLE_RATE, Waveform

_LOWEST_CYCLES = 20 / SAMPLE_RATE  # a sample; below it the noise is flat, or rumble would hide the colour


def coloured_noise(n_samples: int, exponent: float, rng: np.random.Generator) -> Waveform:
    """Make Gaussian noise whose power falls with frequency^exponent: 0 white, 1 pink, 2 brown.

    Flat below 20 Hz (at 16 kHz), without mean, root mean square 1. Shape: (n_samples,).
    """
    if n_samples < 2:
        return np.zeros(n_samples, dtype=np.float32)
    white = rng.standard_normal(n_samples)
    cycles = np.maximum(np.fft.rfftfreq(n_samples), _LOWEST_CYCLES)
    spectrum = np.fft.rfft(white) * cycles ** (-exponent / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n_samples)
    unit: Waveform = (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
    return unit
