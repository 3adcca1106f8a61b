"""Faster and slower speech at the same pitch.

WSOLA (Verhelst and Roelands 1993, ICASSP 2:554): frames are taken from where the wanted rate says, give or
take a few milliseconds, so that each goes on as the one before it would have.
"""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import DoubleArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.evaluation.robustness.distortion import make_quiet

_HOP = SAMPLE_RATE * 16 // 1000  # between frames of the output: half a frame, several periods of a voice
_FRAME = 2 * _HOP
_REACH = SAMPLE_RATE * 10 // 1000  # a period of the lowest voice, either way


def change_rate(waveform: Waveform, rate: float, rng: np.random.Generator) -> Waveform:
    """Speak `rate` times as fast, in a clip of the same length.

    Of slower speech the loudest stretch of the clip's length is kept, so that as little as possible of the
    word is cut off; round faster speech comes noise at the level of the clip's own quiet parts.
    Shape: (n_samples,) -> the same.
    """
    stretched = stretch_time(waveform, rate)
    surplus = len(stretched) - len(waveform)
    if surplus <= 0:
        quiet = make_quiet(waveform, -surplus, rng)
        return np.concatenate([quiet[: -surplus // 2], stretched, quiet[-surplus // 2 :]])
    energy = np.concatenate([[0.0], np.cumsum(np.square(stretched, dtype=np.float64))])
    first = int(np.argmax(energy[len(waveform) :] - energy[: surplus + 1]))
    return stretched[first : first + len(waveform)]


def stretch_time(waveform: Waveform, rate: float) -> Waveform:
    """Shape: (n_samples,), not empty -> (round(n_samples / rate),); a rate of 1 changes nothing."""
    n_out = round(len(waveform) / rate)
    n_frames = n_out // _HOP + 2
    before = _REACH + _HOP
    after = max(0, round(n_frames * _HOP * rate) + 2 * _FRAME - len(waveform))
    source = np.pad(waveform, (before, after), mode="symmetric").astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    stretched = np.zeros((n_frames + 1) * _HOP)
    place = _REACH
    for number in range(n_frames):
        if number > 0:
            earliest = round(number * _HOP * rate)
            likely = source[place + _HOP : place + _HOP + _FRAME]
            place = earliest + _best_match(source[earliest : earliest + 2 * _REACH + _FRAME], likely)
        stretched[number * _HOP : number * _HOP + _FRAME] += window * source[place : place + _FRAME]
    return stretched[_HOP : _HOP + n_out].astype(np.float32)


def _best_match(region: DoubleArray, likely: DoubleArray) -> int:
    """Where in a region the piece begins that is most like another, whatever its level."""
    likeness = np.correlate(region, likely, mode="valid")
    energy = np.concatenate([[0.0], np.cumsum(np.square(region))])
    norm = np.sqrt(np.maximum(energy[_FRAME:] - energy[:-_FRAME], 1e-12))
    return int(np.argmax(likeness / norm))
