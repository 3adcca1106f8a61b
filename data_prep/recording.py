"""A long recording on its way into the store: measured block by block, never held whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from data_prep.clip import block_levels
from data_prep.corpus import Source
from data_prep.store import Row
from data_prep.trim import SILENT_DB, floor_and_peak
from speechcmd.audio import Int16, Waveform, float32_to_int16, int16_to_float32, read_blocks


class Recording:
    """Blocks of one long recording; once they have all been taken, its row is known.

    Raises AudioError while blocks are taken, as `speechcmd.audio.read_blocks`.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash = hashlib.blake2b(digest_size=8)
        self._levels: list[Waveform] = []
        self._n_samples = 0

    def blocks(self) -> Iterator[Int16]:
        """Yield the recording as int16 blocks at 16 kHz and measure each on its way."""
        for waveform in read_blocks(self._source.path):
            samples = float32_to_int16(waveform)
            self._hash.update(samples.tobytes())
            self._levels.append(block_levels(int16_to_float32(samples)))
            self._n_samples += len(samples)
            yield samples

    def row(self) -> Row:
        """The recording's row, with offset 0."""
        levels = np.concatenate(self._levels) if self._levels else np.full(1, SILENT_DB, np.float32)
        source, n = self._source, self._n_samples
        return Row(
            source.kind, source.word, source.speaker, source.split, source.role, source.name,
            0, n, 0, n, n // 2, round(floor_and_peak(levels)[0], 1), (), self._hash.hexdigest(),
        )  # fmt: skip
