"""Where the window of a word lies: the one rule for training, for exported clips and for figures."""

from __future__ import annotations

import numpy as np

from data_prep.store import Row, Store
from speechcmd.arrays import IntArray
from speechcmd.audio.samples import Waveform, int16_to_float32


def place_around_word(
    speech_start: IntArray, speech_end: IntArray, centre: IntArray, n_samples: int
) -> IntArray:
    """First sample of a window of `n_samples` around each word. Shape: (n_clips,).

    A word that fits lies wholly inside, its centre of energy as near to the middle as that allows;
    of a longer one the window takes the part around its centre of energy.
    """
    starts = centre - n_samples // 2
    lowest = np.minimum(speech_start, speech_end - n_samples)
    highest = np.maximum(speech_start, speech_end - n_samples)
    return np.clip(starts, lowest, highest)


def cut_word(store: Store, row: Row, n_samples: int, rng: np.random.Generator) -> Waveform:
    """One word cut or padded to `n_samples`, padded with noise at the clip's own floor.

    Shape: (n_samples,).
    """
    boundaries = np.array([[row.speech_start], [row.speech_end], [row.centre]], dtype=np.int64)
    start = int(place_around_word(boundaries[0], boundaries[1], boundaries[2], n_samples)[0])
    waveform = rng.standard_normal(n_samples).astype(np.float32) * np.float32(10 ** (row.floor_db / 20))
    first, end = max(0, start), min(row.n_samples, start + n_samples)
    waveform[first - start : end - start] = int16_to_float32(store.samples_of(row)[first:end])
    return waveform
