"""How loud each hundredth of a second is, and what that says about where words begin and end.

The network says which word is in a window; the level says where in the window it is, and whether one word
or two were spoken. Nothing here needs to know the word.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from speechcmd.audio import Waveform
from speechcmd.runtime.model_card import ModelCard

FloatArray = npt.NDArray[np.float32]

HOP_S = 0.01
_LEAST_POWER = 1e-10  # under the rounding noise of 16-bit audio (-100 dB)
_DB_PER_NEPER = 10.0 / np.log(10.0)

# chosen on words with known borders, 200 ms apart: docs/decisions.md
_OVER_FLOOR_DB = 3.0
_BELOW_PEAK_DB = 30.0
_FLOOR_SHARE, _PEAK_SHARE = 0.1, 0.9  # of the levels lie below
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
    pieces = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    powers = pieces.var(axis=1) + np.float32(_LEAST_POWER)
    levels: FloatArray = np.log(powers) * np.float32(_DB_PER_NEPER)
    return levels


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
        self._hop_s = hop / sample_rate
        self._memory_hops = round((memory_s + _FLOOR_MEMORY_S) / self._hop_s)
        self.reset(0)

    def reset(self, first_sample: int) -> None:
        """Forget everything: the next level belongs to the hop that begins at `first_sample`."""
        self._first_sample = first_sample
        self._levels: FloatArray = np.zeros(0, dtype=np.float32)

    def append(self, levels: FloatArray) -> None:
        """Add the levels of the next hops. Shape: (n_hops,)."""
        self._levels = np.concatenate([self._levels, levels]) if len(self._levels) else levels

    def trim(self) -> None:
        """Drop what no question can reach any more."""
        surplus = len(self._levels) - self._memory_hops
        if surplus > 0:
            self._levels = self._levels[surplus:].copy()
            self._first_sample += surplus * self._hop

    def find_word(self, anchor: int, begin: int, end: int) -> tuple[int, int] | None:
        """Borders of the word at a sample inside a stretch of audio; None if no level stands out there.

        Parameters
        ----------
        anchor
            A sample inside the word, or near it.
        begin, end
            The stretch; the borders lie inside it, and no level after `end` is looked at.
        """
        starts, ends = self.bursts(begin, end)
        if len(starts) == 0:
            return None
        distance = np.maximum(0, np.maximum(starts - anchor, anchor - ends))
        nearest = int(distance.argmin())
        return max(begin, int(starts[nearest])), min(end, int(ends[nearest]))

    def next_word(self, anchor: int, begin: int, end: int) -> int | None:
        """Sample at which another word began after the one at `anchor`; None if none did up to `end`."""
        starts, _ = self.bursts(begin, end)
        later = starts[1:][starts[1:] > anchor]
        return int(later[0]) if len(later) else None

    def bursts(self, begin: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Stretches of sound between two samples, as first samples and ends; short pauses are bridged."""
        last = max(0, (end - self._first_sample) // self._hop)
        first = min(max(0, (begin - self._first_sample) // self._hop), last)
        levels = self._levels[first:last]
        if len(levels) == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        memory = self._levels[max(0, last - round(_FLOOR_MEMORY_S / self._hop_s)) : last]
        floor, peak = _ranked(memory, _FLOOR_SHARE), _ranked(levels, _PEAK_SHARE)
        level = max(floor + _OVER_FLOOR_DB, peak - _BELOW_PEAK_DB)
        starts, ends = _runs(_smooth(levels) > level)
        if len(starts) == 0:
            return starts, ends
        is_pause = starts[1:] - ends[:-1] > round(_CLOSURE_S / self._hop_s)
        starts, ends = starts[np.append(True, is_pause)], ends[np.append(is_pause, True)]
        is_sound = ends - starts >= round(_CLICK_S / self._hop_s)
        origin = self._first_sample + first * self._hop
        return origin + starts[is_sound] * self._hop, origin + ends[is_sound] * self._hop


def _ranked(levels: FloatArray, share: float) -> float:
    """The level below which a share of them lies: a percentile at a tenth of its cost."""
    index = int(share * (len(levels) - 1))
    return float(np.partition(levels, index)[index])


def _smooth(levels: FloatArray) -> FloatArray:
    """Mean of each level and its two neighbours."""
    padded = np.concatenate([levels[:1], levels, levels[-1:]])
    smoothed: FloatArray = (padded[:-2] + padded[1:-1] + padded[2:]) / np.float32(3)
    return smoothed


def _runs(is_loud: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First indices and ends of the stretches that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_loud, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]
