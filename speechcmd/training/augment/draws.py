"""What is drawn for each clip of a batch. Draws come from numpy: a seed means one thing on every device."""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import BoolArray, FloatArray
from speechcmd.training.settings.config import AugmentConfig


def draw_gain(config: AugmentConfig, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """Factor of each clip. Shape: (n_clips,)."""
    gain_db = rng.uniform(-config.gain_db, config.gain_db, size=n_clips)
    return (10.0 ** (gain_db / 20.0)).astype(np.float32)


def draw_snr(config: AugmentConfig, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """Signal-to-noise ratio of each clip in dB, infinite where no noise is mixed in. Shape: (n_clips,)."""
    snr_db = rng.uniform(*config.noise_snr_db, size=n_clips)
    snr_db[rng.uniform(0.0, 100.0, size=n_clips) >= config.noise_percent] = np.inf
    return snr_db.astype(np.float32)


def draw_factor(percent: float, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """A factor of each clip, up to so many percent from one either way. Shape: (n_clips,)."""
    most = percent / 100
    return (1 + rng.uniform(-most, most, size=n_clips)).astype(np.float32)


def draw_share(percent: float, n_clips: int, rng: np.random.Generator) -> BoolArray:
    """Which clips belong to a share of them. Shape: (n_clips,)."""
    return rng.uniform(0.0, 100.0, size=n_clips) < percent
