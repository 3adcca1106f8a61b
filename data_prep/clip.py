"""One file of a corpus: read it, find the word, note what is wrong with it. Long ones come in blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.corpus import Source
from data_prep.store import Row
from data_prep.store_check import Skipped
from data_prep.trim import Speech, TrimConfig, find_speech_in, floor_and_peak, part_energy
from speechcmd.arrays import FloatArray
from speechcmd.audio.reading import read_blocks, read_int16
from speechcmd.audio.samples import (
    INT16_SCALE,
    SAMPLE_RATE,
    Int16,
    Waveform,
    float32_to_int16,
    int16_to_float32,
)
from speechcmd.audio.word_boundaries import SILENT_POWER, level_db
from speechcmd.errors import AudioError

SHORTEST_CLIP_S = 0.2
LONGEST_CLIP_S = 60.0  # what is longer is no clip of a word, and would be held whole in memory
DC_OFFSET = 0.01
CLIPPED_SAMPLES = 16  # that many at full scale are no accident
_FULL_SCALE = 32_767
_LEVEL_SAMPLES = SAMPLE_RATE // 100


@dataclass(frozen=True)
class Clip:
    """A measured clip, ready to be written: its row (offset 0) and its samples."""

    row: Row
    samples: Int16


def measure_clip(source: Source, config: TrimConfig = TrimConfig()) -> Clip | Skipped:
    """Read a clip at 16 kHz mono and find its word; a file that cannot be used says why."""
    return measure_clips([source], config)[0]


def measure_clips(sources: Sequence[Source], config: TrimConfig) -> list[Clip | Skipped]:
    """Measure several clips; what one worker does at a time, and cheaper than one by one."""
    read = [_read(source) for source in sources]
    flags: list[tuple[str, ...]] = []
    energies: list[FloatArray] = []
    n_samples: list[int] = []
    for source, samples in zip(sources, read, strict=True):
        if source.kind == "word" and not isinstance(samples, Skipped):
            # measured on what is stored, so that a store can be checked against itself
            waveform = int16_to_float32(samples)
            mean = waveform.mean()
            flags.append(flags_of(len(samples), count_full_scale(samples), float(mean)))
            energies.append(part_energy(waveform, SAMPLE_RATE, config, mean))
            n_samples.append(len(samples))
    speeches = find_speech_in(energies, n_samples, SAMPLE_RATE, config) if energies else []
    words = iter(zip(speeches, flags, strict=True))
    found: list[Clip | Skipped] = []
    for source, samples in zip(sources, read, strict=True):
        if isinstance(samples, Skipped):
            found.append(samples)
        elif source.kind == "word":
            found.append(Clip(_row_of_word(source, samples, *next(words)), samples))
        else:
            found.append(Clip(_row_of_recording(source, samples), samples))
    return found


def _read(source: Source) -> Int16 | Skipped:
    try:
        samples = read_int16(source.path, LONGEST_CLIP_S if source.kind == "word" else None)
    except AudioError as error:
        return Skipped(source.name, error.without_path)
    return samples if len(samples) else Skipped(source.name, "holds no samples")


def _row_of_word(source: Source, samples: Int16, speech: Speech, flags: tuple[str, ...]) -> Row:
    flags += (speech.reason,) if speech.reason else ()
    return Row(
        source.kind, source.word, source.speaker, source.split, source.role, source.name, 0, len(samples),
        speech.start, speech.end, speech.centre, round(speech.floor_db, 1), flags, digest_of(samples),
    )  # fmt: skip


def _row_of_recording(source: Source, samples: Int16) -> Row:
    waveform = int16_to_float32(samples)
    flags = flags_of(len(samples), count_full_scale(samples), float(waveform.mean()))
    return _whole_row(source, len(samples), block_levels(waveform), flags, digest_of(samples))


def _whole_row(source: Source, n_samples: int, levels: Waveform, flags: tuple[str, ...], digest: str) -> Row:
    """Row (offset 0) of a recording, which is kept whole; `levels` are its `block_levels`."""
    floor_db, _ = floor_and_peak(levels)
    return Row(
        source.kind, source.word, source.speaker, source.split, source.role, source.name,
        0, n_samples, 0, n_samples, n_samples // 2, round(floor_db, 1), flags, digest,
    )  # fmt: skip


def block_levels(waveform: Waveform, block_s: float = 0.01) -> Waveform:
    """Level in dB of consecutive blocks; at least one. Shape: (n_samples,) -> (n_blocks,)."""
    size = min(len(waveform), round(block_s * SAMPLE_RATE))
    blocks = waveform[: len(waveform) // size * size].reshape(-1, size)
    power = np.einsum("bn,bn->b", blocks, blocks) / np.float32(size)
    return level_db(np.maximum(power, np.float32(SILENT_POWER)))


def digest_of(samples: Int16) -> str:
    """Short hash of the samples: equal audio, equal digest."""
    return hashlib.blake2b(np.ascontiguousarray(samples).data, digest_size=8).hexdigest()


def flags_of(n_samples: int, n_full_scale: int, mean: float) -> tuple[str, ...]:
    """What is wrong with a clip, from its length, its samples at full scale and its mean."""
    flags = []
    if n_samples < SHORTEST_CLIP_S * SAMPLE_RATE:
        flags.append("too_short")
    if n_full_scale >= CLIPPED_SAMPLES:
        flags.append("clipped")
    if abs(mean) > DC_OFFSET:
        flags.append("dc_offset")
    return tuple(flags)


def count_full_scale(samples: Int16) -> int:
    """Samples that are as loud as int16 can be."""
    if samples.max() < _FULL_SCALE and samples.min() > -_FULL_SCALE:
        return 0
    return int(np.count_nonzero((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)))


class LongRecording:
    """A recording on its way into the store, block by block: its row is known once all have been taken.

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
        return _whole_row(self._source, self._n_samples, levels, flags, self._hash.hexdigest())
