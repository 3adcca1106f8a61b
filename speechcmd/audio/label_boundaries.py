"""Where a word begins and ends in its clip, and where running speech pauses.

A store's borders hold a margin for training. A label must not: here a word reaches from its first to
its last 5 ms that stand 9 dB over the clip's own floor and no more than 35 dB under the word's peak,
in the signal with and without its rumble (the filter alone would ring), or after pre-emphasis, which
lifts a soft /s/ or /f/ out of hum.
"""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray
from speechcmd.audio.loudness import high_pass
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

HOP_SAMPLES = SAMPLE_RATE // 200
ABOVE_FLOOR_DB = 9.0
BELOW_PEAK_DB = 35.0
_PRE_EMPHASIS = 0.97
_FLOOR_PERCENT, _PEAK_PERCENT = 10, 95  # no click is as long as a twentieth of a word
_LEAST_CONTRAST_DB = 12.0  # a word that fills its clip poses as the floor
_SILENT_POWER = 1e-9
_PAUSE_HOPS = 8


def find_borders(clip: Waveform, start: int, end: int) -> tuple[int, int]:
    """Return the first sample of the word and the one behind its last.

    Parameters
    ----------
    clip
        The whole clip, (n_samples,): its quiet parts tell its floor.
    start, end
        Samples between which the word is known to lie; the result lies between them too. Where nothing
        stands out they are the result.
    """
    if start >= end:
        return start, end
    centred = clip - clip.mean()
    lifted = clip.copy()
    lifted[1:] -= np.float32(_PRE_EMPHASIS) * clip[:-1]
    first, last = start // HOP_SAMPLES, -(-end // HOP_SAMPLES)
    plain, clean, high = (
        _active_hops(hop_levels(waveform), first, last) for waveform in (centred, high_pass(clip), lifted)
    )
    active = plain & clean | high
    hops = np.flatnonzero(active) + first
    if not len(hops):
        return start, end
    return max(start, int(hops[0]) * HOP_SAMPLES), min(end, (int(hops[-1]) + 1) * HOP_SAMPLES)


def find_pause(waveform: Waveform) -> int:
    """Return the middle of the quietest 40 ms. Shape: (n_samples,), at least 40 ms."""
    power = 10.0 ** (hop_levels(waveform) / 10)
    quietest = int(np.argmin(np.convolve(power, np.ones(_PAUSE_HOPS), mode="valid")))
    return (quietest + _PAUSE_HOPS // 2) * HOP_SAMPLES


def hop_levels(waveform: Waveform) -> DoubleArray:
    """Level of each 5 ms in dB of full scale; a rest counts as one. Shape: (n_samples,) -> (n_hops,)."""
    squares = np.square(waveform, dtype=np.float64)
    begins = np.arange(0, len(waveform), HOP_SAMPLES)
    counts = np.diff(np.append(begins, len(waveform)))
    levels: DoubleArray = 10.0 * np.log10(np.add.reduceat(squares, begins) / counts + _SILENT_POWER)
    return levels


def _active_hops(levels: DoubleArray, first: int, last: int) -> BoolArray:
    peak_db = np.percentile(levels[first:last], _PEAK_PERCENT)
    floor_db = min(np.percentile(levels, _FLOOR_PERCENT), peak_db - _LEAST_CONTRAST_DB)
    active: BoolArray = levels[first:last] > max(floor_db + ABOVE_FLOOR_DB, peak_db - BELOW_PEAK_DB)
    return active
