"""The noise under a synthetic recording: stretches of recordings, cross-faded, all equally loud."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from data_prep.store import Store
from speechcmd.audio.loudness import even_out
from speechcmd.audio.samples import Waveform, int16_to_float32
from speechcmd.evaluation.synthesis.stream_plan import CROSS_FADE_SAMPLES, NoisePiece

_PIECES_KEPT = 4  # those that one section needs again for the next


class StreamBackground:
    """Noise with an rms of 1 at any moment, give or take what changes within half a second."""

    def __init__(self, store: Store, pieces: Sequence[NoisePiece], seed: int) -> None:
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


def equal_power_fade(n_samples: int) -> Waveform:
    """A rise from 0 to 1 whose squares and those of its reverse add up to 1. Shape: (n_samples,)."""
    rise: Waveform = np.sin((np.arange(n_samples) + 0.5) * (np.pi / 2 / n_samples)).astype(np.float32)
    return rise
