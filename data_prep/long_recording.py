"""A long recording on its way into the store: measured block by block, never held whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from data_prep.clip import block_levels, count_full_scale, flags_of, whole_row
from data_prep.corpus import Source
from data_prep.store import Row
from speechcmd.audio.reading import read_blocks
from speechcmd.audio.samples import (
    INT16_SCALE,
    SAMPLE_RATE,
    Int16,
    Waveform,
    float32_to_int16,
    int16_to_float32,
)
from speechcmd.errors import AudioError

_LEVEL_SAMPLES = SAMPLE_RATE // 100


class Recording:
    """Blocks of one long recording; once they have all been taken, its row is known.

    The row is the one that `measure_clip` finds for the whole recording. Raises AudioError while
    blocks are taken, as `speechcmd.audio.reading.read_blocks`, and for a recording without samples.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash = hashlib.blake2b(digest_size=8)
        self._levels: list[Waveform] = []
        self._rest: Waveform = np.zeros(0, dtype=np.float32)
        self._n_samples = 0
        self._n_full_scale = 0
        self._sum = 0

    def blocks(self) -> Iterator[Int16]:
        """Yield the recording as int16 blocks at 16 kHz and measure each on its way."""
        for waveform in read_blocks(self._source.path):
            samples = float32_to_int16(waveform)
            self._measure(samples)
            yield samples
        if self._n_samples == 0:
            raise AudioError("holds no samples", path=self._source.path)

    def _measure(self, samples: Int16) -> None:
        self._hash.update(np.ascontiguousarray(samples).data)
        self._n_samples += len(samples)
        self._n_full_scale += count_full_scale(samples)
        self._sum += int(samples.sum(dtype=np.int64))
        # a resampler's blocks have any length, levels are of whole 10 ms
        waveform = np.concatenate([self._rest, int16_to_float32(samples)])
        n_whole = len(waveform) // _LEVEL_SAMPLES * _LEVEL_SAMPLES
        if n_whole:
            self._levels.append(block_levels(waveform[:n_whole]))
        self._rest = waveform[n_whole:]

    def row(self) -> Row:
        """The recording's row, with offset 0."""
        levels = np.concatenate(self._levels) if self._levels else block_levels(self._rest)
        mean = self._sum / self._n_samples / INT16_SCALE
        flags = flags_of(self._n_samples, self._n_full_scale, mean)
        return whole_row(self._source, self._n_samples, levels, flags, self._hash.hexdigest())
