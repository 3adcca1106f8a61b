"""A synthetic word at a random place and level of a clip of one second, over faint noise."""

from __future__ import annotations

import numpy as np

from data_prep.trim import find_speech
from speechcmd.audio.samples import SAMPLE_RATE, Int16, Waveform, float32_to_int16

PEAK_DB = (-20.0, -2.0)
NOISE_DB = (-70.0, -45.0)
SHORTEST_WORD_S, LONGEST_WORD_S = 0.15, 0.98  # margins of trimming included


def place_in_clip(spoken: Waveform, rng: np.random.Generator, length_s: float = 1.0) -> Int16 | str:
    """The clip, or why there is none: "no speech", "too short", "too long". Shape: (n,) -> (16000,)."""
    speech = find_speech(spoken)
    if speech.reason:
        return "no speech"
    word = spoken[speech.start : speech.end]
    if len(word) < SHORTEST_WORD_S * SAMPLE_RATE:
        return "too short"
    n_samples = round(length_s * SAMPLE_RATE)
    if len(word) > n_samples - round((1.0 - LONGEST_WORD_S) * SAMPLE_RATE):
        return "too long"
    level = np.float32(10 ** (rng.uniform(*PEAK_DB) / 20) / np.abs(word).max())
    noise = np.float32(10 ** (rng.uniform(*NOISE_DB) / 20))
    clip = rng.standard_normal(n_samples).astype(np.float32) * noise
    begin = int(rng.integers(0, n_samples - len(word) + 1))
    clip[begin : begin + len(word)] += level * word
    return float32_to_int16(clip)
