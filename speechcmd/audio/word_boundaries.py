"""Where a word begins and ends, by how loud each moment is: one rule for clips, for labels and live.

A moment is sound if its level stands over the floor (the level that a tenth of the moments do not reach)
and lies not too far under a peak that no click can set. Pauses as short as the closure of a plosive are
part of a word, and sound too short for a word is a click. The three uses differ in their numbers, for which
docs/explanation/why-audio-and-data.md gives the reasons:

- clips on their way into a store (`data_prep.trim`): frames of 25 ms, and a margin for training;
- labels of synthetic streams (`LABEL_RULE`, `find_boundaries`): hops of 5 ms, no margin;
- live (`speechcmd.runtime.recognition.level_history`): hops of 10 ms as they come, several words in a row.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import AnyArray, AnyFloatArray, BoolArray, DoubleArray
from speechcmd.audio.loudness import high_pass
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

Run = tuple[int, int]  # first moment and end of a stretch of sound

SILENT_DB = -90.0  # one step of int16; keeps the logarithm finite
SILENT_POWER = 10 ** (SILENT_DB / 10)
PRE_EMPHASIS = 0.97  # lifts a soft /s/ or /f/, lowers hum
FLOOR_SHARE = 0.1  # of the moments lie below the floor


@dataclass(frozen=True, slots=True)
class SoundRule:
    """When a level is sound. Levels in dB.

    Parameters
    ----------
    above_floor_db, below_peak_db
        Sound stands so far over the floor, and no further than this under the peak.
    least_contrast_db
        A floor nearer to the peak than this is a part of a word that fills its clip, and taken lower.
    least_db
        Nothing below is sound.
    """

    above_floor_db: float
    below_peak_db: float
    least_contrast_db: float = -math.inf
    least_db: float = -math.inf

    def threshold_db(self, floor_db: float, peak_db: float) -> float:
        """The level above which a moment is sound."""
        floor_db = min(floor_db, peak_db - self.least_contrast_db)
        return max(floor_db + self.above_floor_db, peak_db - self.below_peak_db, self.least_db)


def level_db(power: AnyFloatArray) -> AnyArray:
    """Level in dB full scale (0 dB: a mean square of 1) of mean squares over 0. Shape: any."""
    levels: AnyArray = 10.0 * np.log10(power)
    return levels


def ranked_level(ranked: AnyFloatArray, place: float) -> float:
    """The level at a place among levels in ascending order, between two where it is no whole number.

    >>> ranked_level(np.array([1.0, 2.0, 4.0]), 1.5)
    3.0
    """
    below = int(place)
    level = float(ranked[below])
    return level if below == place else level + (place - below) * (float(ranked[below + 1]) - level)


def find_sounds(is_sound: BoolArray, *, bridged: int = 0, shortest: int = 1, near: int = 0) -> list[Run]:
    """Runs of sound as (first, end) moments, end excluded. Shape: (n_moments,).

    Parameters
    ----------
    bridged
        Pauses of so many moments are part of a sound: the closure of the t in "left".
    shortest
        A sound of fewer moments is a click ...
    near
        ... unless no more than so many lie between it and a longer one: then it is a plosive of that word.
    """
    runs = [match.span() for match in _runs_with_pauses(bridged).finditer(is_sound.tobytes())]
    words = [run for run in runs if run[1] - run[0] >= shortest]
    if near == 0 or len(words) == len(runs):
        return words
    return [
        (first, end)
        for first, end in runs
        if end - first >= shortest or any(first - b <= near and a - end <= near for a, b in words)
    ]


@functools.cache
def _runs_with_pauses(longest: int) -> re.Pattern[bytes]:
    return re.compile(rb"\x01+(?:\x00{1,%d}\x01+)*" % longest if longest else rb"\x01+")


# Labels: where the word of a clip lies, and nothing but the word

HOP_SAMPLES = SAMPLE_RATE // 200
LABEL_RULE = SoundRule(above_floor_db=9.0, below_peak_db=35.0, least_contrast_db=12.0)
_LABEL_PEAK_SHARE = 0.95  # no click is as long as a twentieth of a word
_PAUSE_HOPS = 8


def find_boundaries(clip: Waveform, start: int, end: int) -> tuple[int, int]:
    """Return the first sample of the word and the one behind its last.

    A word reaches from its first to its last 5 ms of sound, in the signal with and without its rumble (the
    filter alone would ring), or after pre-emphasis.

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
    lifted[1:] -= np.float32(PRE_EMPHASIS) * clip[:-1]
    first, last = start // HOP_SAMPLES, -(-end // HOP_SAMPLES)
    plain, clean, high = (
        _label_sound(hop_levels(waveform), first, last) for waveform in (centred, high_pass(clip), lifted)
    )
    sounds = find_sounds(plain & clean | high)
    if not sounds:
        return start, end
    return (
        max(start, (first + sounds[0][0]) * HOP_SAMPLES),
        min(end, (first + sounds[-1][1]) * HOP_SAMPLES),
    )


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
    return level_db(np.add.reduceat(squares, begins) / counts + SILENT_POWER)


def _label_sound(levels: DoubleArray, first: int, last: int) -> BoolArray:
    inside, ranked = levels[first:last], np.sort(levels)
    floor_db = ranked_level(ranked, FLOOR_SHARE * (len(levels) - 1))
    peak_db = ranked_level(np.sort(inside), _LABEL_PEAK_SHARE * (len(inside) - 1))
    is_sound: BoolArray = inside > LABEL_RULE.threshold_db(floor_db, peak_db)
    return is_sound
