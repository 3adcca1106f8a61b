"""Noise that is the same on every processor, operating system and numpy version."""

from __future__ import annotations

import numpy as np

from speechcmd.audio.samples import Waveform

_RMS_OF_UNIFORM = np.float32(3.0**-0.5)  # of numbers spread evenly over [-1, 1)


def white_noise(n_samples: int, seed: int) -> Waveform:
    """Uniform white noise with an rms of 1. Shape: (n_samples,).

    Only the raw bits of the generator are used (numpy may change its distributions, never those), and
    24 of them fit a float32 exactly.
    """
    bits = np.random.Philox(key=seed).random_raw(n_samples) >> np.uint64(40)
    uniform = bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    noise: Waveform = uniform / _RMS_OF_UNIFORM
    return noise


def triangle_wave(n_samples: int, cycles_per_sample: float) -> Waveform:
    """Triangle wave in [-1, 1], by integer phase: no sine, which differs in the last bit between systems.

    Shape: (n_samples,).
    """
    step = np.uint32(round(cycles_per_sample * 2**32))
    phase = np.arange(n_samples, dtype=np.uint32) * step
    rising = (phase >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-22)  # [0, 4)
    wave: Waveform = np.float32(1.0) - np.abs(rising - np.float32(2.0))
    return wave
