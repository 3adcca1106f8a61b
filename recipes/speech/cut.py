"""Words of one utterance cut apart, where it is quietest between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from speech.align import FRAME_S, Span
from speechcmd.arrays import DoubleArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

BLOCK = round(FRAME_S * SAMPLE_RATE)
QUIET_DB = -18.0  # to the loudest block: what is louder is no boundary, the words run into each other
PAUSE_DB = -30.0  # as good as silence
WITHIN_DB = 6.0  # of the quietest block
BEFORE_ONSET = 2  # blocks that the next word keeps of what is before it


def block_levels(waveform: Waveform) -> DoubleArray:
    """Level of each 10 ms in dB below the loudest. Shape: (n_samples,) -> (n_blocks,)."""
    blocks = waveform[: len(waveform) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    level = 10.0 * np.log10(np.einsum("bn,bn->b", blocks, blocks) / BLOCK + 1e-10)
    return level - level.max()


def cut_apart(waveform: Waveform, words: Sequence[Span]) -> list[Waveform | None]:
    """A piece for each word; None for one that runs into the word before or after it.

    `words`: about where they lie. The boundary is looked for from the middle of one word to the middle of the
    next: the last block that is about as quiet as the quietest one, as the closure before the release of a
    final /t/ or /p/ is quiet too.
    """
    levels = block_levels(waveform)
    cuts: list[int | None] = [0]
    for before, after in itertools.pairwise(words):
        first, end = ((each.start + each.end) // 2 for each in (before, after))
        cuts.append(_boundary(levels, first, end))
    cuts.append(len(waveform))
    pieces: list[Waveform | None] = []
    for begin, stop in itertools.pairwise(cuts):
        pieces.append(None if begin is None or stop is None else waveform[begin:stop])
    return pieces


def _boundary(levels: DoubleArray, first: int, end: int) -> int | None:
    """Sample at which to cut between two blocks, if there is a quiet one."""
    between = levels[first:end]
    if not len(between) or between.min() > QUIET_DB:
        return None
    quiet = np.flatnonzero(between <= max(between.min() + WITHIN_DB, PAUSE_DB))
    return (first + max(int(quiet[-1]) + 1 - BEFORE_ONSET, int(quiet[0]))) * BLOCK
