"""The noise under a made recording: pieces of recordings, cross-faded, all equally loud."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from data_prep.store import Store
from speechcmd.audio import SAMPLE_RATE, Waveform, int16_to_float32
from speechcmd.evaluation.stream_plan import CROSS_FADE_SAMPLES, Piece

LARGEST_PEAK = 6.0  # of noise whose rms is 1
_WINDOW_SAMPLES = SAMPLE_RATE // 2  # about a word
_MOST_BOOST_DB = 20.0
_FLOOR_DB = -30.0
_SILENT_RMS = 1e-4
_PIECES_KEPT = 4  # those that one section needs again for the next


class Background:
    """Noise with an rms of 1 at any moment, give or take what changes within half a second."""

    def __init__(self, store: Store, pieces: Sequence[Piece], seed: int) -> None:
        self._store, self._pieces, self._seed = store, pieces, seed
        self._starts = [piece.start for piece in pieces]
        self._ends = [piece.end for piece in pieces]
        self._load = lru_cache(maxsize=_PIECES_KEPT)(self._load_piece)

    def read(self, start: int, end: int) -> Waveform:
        """Return the samples from `start` to `end`: (end - start,); any division gives the same samples."""
        mixed = np.zeros(end - start, dtype=np.float32)
        for number in self._heard(start, end):
            piece = self._pieces[number]
            first, last = max(start, piece.start), min(end, piece.end)
            mixed[first - start : last - start] += self._load(number)[
                first - piece.start : last - piece.start
            ]
        return mixed

    def sources(self, start: int, end: int) -> list[str]:
        """Names of the recordings heard from `start` to `end`."""
        return list(dict.fromkeys(self._pieces[number].row.path for number in self._heard(start, end)))

    def _heard(self, start: int, end: int) -> range:
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))

    def _load_piece(self, number: int) -> Waveform:
        piece = self._pieces[number]
        samples = self._store.samples_of(piece.row)[piece.skip : piece.skip + piece.n_samples]
        level = even_out(int16_to_float32(samples), np.random.default_rng([self._seed, 2, number]))
        fade = equal_power_fade(CROSS_FADE_SAMPLES)
        if number > 0:
            level[: len(fade)] *= fade
        level[len(level) - len(fade) :] *= fade[::-1]
        return level


def even_out(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Bring noise to an rms of 1 within every half second. Shape: (n_samples,) -> the same.

    A stated signal-to-noise ratio shall hold under each word, though a dog barks twice and is silent then.
    White noise 30 dB below the recording takes the place of digital silence. Quiet stretches are lifted by
    no more than 20 dB, peaks are cut at 6 times the rms.
    """
    white = rng.standard_normal(len(waveform), dtype=np.float32)
    rms = rms_of(waveform)
    if rms < _SILENT_RMS:
        return white.clip(-LARGEST_PEAK, LARGEST_PEAK)
    noise = waveform / rms + np.float32(10 ** (_FLOOR_DB / 20)) * white
    power = _moving_power(noise)
    evened = noise / np.sqrt(np.maximum(power, 10 ** (-_MOST_BOOST_DB / 10)))
    result: Waveform = (evened / rms_of(evened)).clip(-LARGEST_PEAK, LARGEST_PEAK).astype(np.float32)
    return result


def equal_power_fade(n_samples: int) -> Waveform:
    """A rise from 0 to 1 whose squares and those of its reverse add up to 1. Shape: (n_samples,)."""
    rise: Waveform = np.sin((np.arange(n_samples) + 0.5) * (np.pi / 2 / n_samples)).astype(np.float32)
    return rise


def _moving_power(waveform: Waveform) -> npt.NDArray[np.float64]:
    """Mean square of the half second around each sample, of what there is of it at the ends."""
    n_samples, half = len(waveform), _WINDOW_SAMPLES // 2
    summed = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    index = np.arange(n_samples)
    first, last = np.maximum(0, index - half), np.minimum(n_samples, index + half)
    power: npt.NDArray[np.float64] = (summed[last] - summed[first]) / (last - first)
    return power


def rms_of(waveform: npt.NDArray[np.floating]) -> float:
    """Root of the mean square. Shape: (n_samples,) -> a number."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
