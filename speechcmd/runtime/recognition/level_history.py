"""How loud each hundredth of a second is, and what that says about where words begin and end.

The network says which word is in a window; the level says where in the window it is, and whether one word
or two were spoken. Nothing here needs to know the word.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.audio.word_boundaries import (
    FLOOR_SHARE,
    SoundRule,
    find_sounds,
    level_db,
    ranked_level,
)
from speechcmd.runtime.model.card import ModelCard

Burst = tuple[int, int]  # first sample and end of a stretch of sound

HOP_S = 0.01
_LEAST_POWER = 1e-10  # under the rounding noise of 16-bit audio (-100 dB)

# chosen on words with known boundaries, 200 ms apart: docs/explanation/why-audio-and-data.md
LIVE_RULE = SoundRule(above_floor_db=3.0, below_peak_db=30.0)
_PEAK_SHARE = 0.9  # of the levels lie below
_FLOOR_MEMORY_S = 1.5  # longer, and the quiet of another place would count
_CLOSURE_S = 0.12  # a pause no longer than this is part of a word: the t of "left"
_CLICK_S = 0.06  # sound shorter than this is no word (the mean of three hops makes it two hops longer)


def hop_samples(card: ModelCard) -> int:
    """Length of a hop: about 10 ms, and a whole number of hops in a step."""
    n_hops = max(1, round(card.step_s / HOP_S))
    return card.step_samples // n_hops if card.step_samples % n_hops == 0 else card.step_samples


def measure_levels(waveform: Waveform, hop: int) -> FloatArray:
    """Level of each hop in dB full scale (0 dB: a mean square of 1), without its offset.

    Each hop is measured for itself, so any division into calls gives the same. Shape: (n_hops * hop,) ->
    (n_hops,); what is left over at the end is not measured.
    """
    hops = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    # what `var` does, in half the time
    centred = hops - (np.einsum("ij->i", hops) / np.float32(hop))[:, None]
    powers = np.einsum("ij,ij->i", centred, centred) / np.float32(hop) + np.float32(_LEAST_POWER)
    return level_db(powers)


class LevelTrack:
    """The levels of the last seconds, found by their position in the recording.

    Parameters
    ----------
    hop
        Samples in a hop.
    sample_rate
        Samples in a second.
    memory_s
        How far back a question may reach.
    """

    def __init__(self, hop: int, sample_rate: int, memory_s: float) -> None:
        self._hop = hop
        hop_s = hop / sample_rate
        self._memory_hops = round((memory_s + _FLOOR_MEMORY_S) / hop_s)
        self._floor_hops = round(_FLOOR_MEMORY_S / hop_s)
        self._click_hops = round(_CLICK_S / hop_s)
        self._closure_hops = round(_CLOSURE_S / hop_s)
        self.reset(0)

    def reset(self, first_sample: int) -> None:
        """Forget everything: the next level belongs to the hop that begins at `first_sample`."""
        self._first_sample = first_sample
        self._levels: FloatArray = np.zeros(0, dtype=np.float32)
        self._rises: list[int] = []  # samples, each with the levels before and after it
        self._rise_levels: list[tuple[float, float]] = []
        self._n_searched = 0  # hops whose rises are known

    def append(self, levels: FloatArray) -> None:
        """Add the levels of the next hops. Shape: (n_hops,)."""
        self._levels = np.concatenate([self._levels, levels]) if len(self._levels) else levels

    def trim(self) -> None:
        """Drop what no question can reach any more, now and then: it is asked after each update."""
        surplus = len(self._levels) - self._memory_hops
        if surplus >= self._memory_hops:
            self._levels = self._levels[surplus:].copy()
            self._first_sample += surplus * self._hop
            self._n_searched = max(0, self._n_searched - surplus)
            n_old = bisect_left(self._rises, self._first_sample)
            del self._rises[:n_old], self._rise_levels[:n_old]

    def find_word(self, anchor: int, begin: int, end: int) -> tuple[int, int] | None:
        """Boundaries of the word at a sample inside a stretch of audio; None if no level stands out there.

        Parameters
        ----------
        anchor
            A sample inside the word, or near it.
        begin, end
            The stretch; the boundaries lie inside it, and no level after `end` is looked at.
        """
        bursts = self.bursts(begin, end)
        if not bursts:
            return None
        start, stop = min(bursts, key=lambda burst: max(0, burst[0] - anchor, anchor - burst[1]))
        return max(begin, start), min(end, stop)

    def next_word(self, anchor: int, latest: int, begin: int, end: int) -> int | None:
        """Sample at which another word began after the one at `anchor`; None if none did up to `latest`.

        Parameters
        ----------
        anchor
            A sample inside the word that was.
        latest
            At least a tenth of a second before `end`: what has just begun may be a click.
        begin, end
            The stretch of audio that is looked at.
        """
        # a question asked at each step while a word fades, nearly always in vain: most of them end here
        rises = self._rises_between(anchor, latest)
        if not rises:
            return None
        level = self.sound_level(begin, end)
        if not any(before <= level < after for before, after in rises):
            return None
        starts = (start for start, _ in self.bursts(begin, end)[1:])
        return next((start for start in starts if anchor < start <= latest), None)

    def bursts(self, begin: int, end: int) -> list[Burst]:
        """Stretches of sound between two samples; short pauses are bridged."""
        first, last = self._hops(begin, end)
        levels = self._levels[first:last]
        if len(levels) == 0:
            return []
        is_sound = _smooth(levels) > self.sound_level(begin, end)
        sounds = find_sounds(is_sound, bridged=self._closure_hops, shortest=self._click_hops)
        hop, origin = self._hop, self._first_sample + first * self._hop
        return [(origin + start * hop, origin + stop * hop) for start, stop in sounds]

    def sound_level(self, begin: int, end: int) -> float:
        """The level above which a stretch of audio is sound; infinite if nothing is known of it."""
        first, last = self._hops(begin, end)
        levels = self._levels[first:last]
        if len(levels) == 0:
            return math.inf
        memory = self._levels[max(0, last - self._floor_hops) : last]
        threshold = LIVE_RULE.threshold_db(_ranked(memory, FLOOR_SHARE), _ranked(levels, _PEAK_SHARE))
        return float(np.float32(threshold))  # as exact as the levels that it is compared with

    def _hops(self, begin: int, end: int) -> tuple[int, int]:
        last = max(0, (end - self._first_sample) // self._hop)
        return min(max(0, (begin - self._first_sample) // self._hop), last), last

    def _rises_between(self, anchor: int, latest: int) -> list[tuple[float, float]]:
        """Where sound may begin behind one sample and up to another, whatever level is taken for sound.

        That is where the mean of three levels is higher than all of those in a pause before it; these two.
        """
        if len(self._levels) > self._n_searched:
            self._search_rises()
        return self._rise_levels[bisect_right(self._rises, anchor) : bisect_right(self._rises, latest)]

    def _search_rises(self) -> None:
        pause_hops = self._closure_hops + 1
        first = max(0, self._n_searched - pause_hops - 2)
        means = _mean_of_three(self._levels[first:])
        before, after = _highest_of(means[:-1], pause_hops), means[pause_hops:]
        risen = np.flatnonzero(after > before)
        self._rises += (self._first_sample + (first + 1 + pause_hops + risen) * self._hop).tolist()
        self._rise_levels += zip(before[risen].tolist(), after[risen].tolist(), strict=True)
        self._n_searched = len(self._levels)


def _ranked(levels: FloatArray, share: float) -> float:
    """The level below which a share of them lies: a percentile at a tenth of its cost."""
    ranked = levels.copy()
    ranked.sort()  # for some hundred values faster than a partition
    return ranked_level(ranked, int(share * (len(levels) - 1)))


def _smooth(levels: FloatArray) -> FloatArray:
    """Mean of each level and its two neighbours; at the ends the level itself stands for the missing one."""
    return _mean_of_three(np.concatenate([levels[:1], levels, levels[-1:]]))


def _mean_of_three(levels: FloatArray) -> FloatArray:
    """Mean of each level but the first and the last with its two neighbours. Shape: (n,) -> (n - 2,)."""
    if len(levels) < 3:
        return levels[:0]
    means: FloatArray = (levels[:-2] + levels[1:-1] + levels[2:]) / np.float32(3)
    return means


def _highest_of(values: FloatArray, n: int) -> FloatArray:
    """Highest of each `n` values in a row. Shape: (n_values,) -> (n_values - n + 1,)."""
    if len(values) < n:
        return values[:0]
    span = 1
    while span < n:  # the highest of two shorter rows, which may overlap
        shift = min(span, n - span)
        values = np.maximum(values[:-shift], values[shift:])
        span += shift
    return values
