"""One file of a corpus: read it, find the word, note what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.corpus import Source
from data_prep.store import Row
from data_prep.trim import TrimConfig, find_speech, floor_and_peak
from speechcmd.audio import SAMPLE_RATE, Int16, Waveform, int16_to_float32, read_int16
from speechcmd.errors import AudioError

SHORTEST_CLIP_S = 0.2
DC_OFFSET = 0.01
CLIPPED_SAMPLES = 16  # that many at full scale are no accident
_FULL_SCALE = 32_767


@dataclass(frozen=True)
class Skipped:
    """A file that did not enter the store, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Clip:
    """A measured clip, ready to be written: its row (offset 0) and its samples."""

    row: Row
    samples: Int16


def measure_clips(sources: Sequence[Source], config: TrimConfig) -> list[Clip | Skipped]:
    """Measure several clips; what one worker does at a time."""
    return [measure_clip(source, config) for source in sources]


def measure_clip(source: Source, config: TrimConfig = TrimConfig()) -> Clip | Skipped:
    """Read a clip at 16 kHz mono and find its word; a file that cannot be used says why."""
    try:
        samples = read_int16(source.path)
    except AudioError as error:
        return Skipped(source.name, str(error).removeprefix(f"{source.path}: "))
    if len(samples) == 0:
        return Skipped(source.name, "holds no samples")
    return Clip(_measure(source, samples, config), samples)


def _measure(source: Source, samples: Int16, config: TrimConfig) -> Row:
    # measured on what is stored, so that a store can be checked against itself
    waveform = int16_to_float32(samples)
    flags = _flags_of(waveform, samples)
    if source.kind == "word":
        speech = find_speech(waveform, SAMPLE_RATE, config)
        start, end, centre, floor_db = speech.start, speech.end, speech.centre, speech.floor_db
        flags += (speech.reason,) if speech.reason else ()
    else:
        start, end, centre = 0, len(samples), len(samples) // 2
        floor_db, _ = floor_and_peak(block_levels(waveform))
    return Row(
        source.kind, source.word, source.speaker, source.split, source.role, source.name,
        0, len(samples), start, end, centre, round(floor_db, 1), flags, digest_of(samples),
    )  # fmt: skip


def block_levels(waveform: Waveform, block_s: float = 0.01) -> Waveform:
    """Level in dB of consecutive blocks; at least one. Shape: (n_samples,) -> (n_blocks,)."""
    size = min(len(waveform), round(block_s * SAMPLE_RATE))
    blocks = waveform[: len(waveform) // size * size].reshape(-1, size)
    power = np.einsum("bn,bn->b", blocks, blocks) / np.float32(size)
    levels: Waveform = 10.0 * np.log10(np.maximum(power, np.float32(1e-9)))
    return levels


def digest_of(samples: Int16) -> str:
    """Short hash of the samples: equal audio, equal digest."""
    return hashlib.blake2b(samples.tobytes(), digest_size=8).hexdigest()


def _flags_of(waveform: Waveform, samples: Int16) -> tuple[str, ...]:
    flags = []
    if len(samples) < SHORTEST_CLIP_S * SAMPLE_RATE:
        flags.append("too_short")
    if _count_full_scale(samples) >= CLIPPED_SAMPLES:
        flags.append("clipped")
    if abs(float(waveform.mean())) > DC_OFFSET:
        flags.append("dc_offset")
    return tuple(flags)


def _count_full_scale(samples: Int16) -> int:
    if samples.max() < _FULL_SCALE and samples.min() > -_FULL_SCALE:
        return 0
    return int(np.count_nonzero((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)))
