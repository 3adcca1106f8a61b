"""Measuring on all cores: portions of files go out to worker processes and come back in order."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from data_prep.clip import Clip, measure_clips
from data_prep.corpus import Source
from data_prep.store import Row, values_of
from data_prep.store_check import Skipped
from data_prep.trim import TrimConfig
from speechcmd.errors import CorpusError
from speechcmd.processes import WorkerLostError, map_in_order

CHUNK_FILES = 64  # a worker's portion: large enough to hide the hand-over, small enough to stay in cache
LARGE_FILE_BYTES = 8_000_000  # a recording beyond this is streamed by the writer, not held by a worker

Measured = list[Clip | Skipped]
_Packed = tuple[list[tuple[Any, ...] | Skipped], bytes]
_UNPACKED_PER_BYTE = {".wav": 1, ".aif": 1, ".aiff": 1, ".flac": 2}  # roughly; the others squeeze harder
_UNPACKED_PER_BYTE_OF_OTHERS = 12


def measure_all(sources: Sequence[Source], trim: TrimConfig, n_workers: int) -> Generator[Source | Measured]:
    """Yield measured portions in the order of the sources; a large recording comes as its source.

    `n_workers` 0 means all cores this process may use; with one, or for a single portion, no other
    process is started.

    Raises
    ------
    CorpusError
        If a worker process dies.
    """
    n_portions = -(-len(sources) // CHUNK_FILES)
    n_workers = min(n_workers or _count_cores(), n_portions)
    if n_workers > 1:
        yield from _measure_in_processes(sources, trim, n_workers)
        return
    for portion in portions_of(sources):
        yield portion if isinstance(portion, Source) else measure_clips(portion, trim)


def portions_of(sources: Sequence[Source]) -> Iterator[Source | list[Source]]:
    """Cut the sources into portions of bounded number and size; a large recording stands alone."""
    portion: list[Source] = []
    n_bytes = 0
    for source in sources:
        size = _unpacked_bytes(source)
        is_streamed = size > LARGE_FILE_BYTES and source.kind != "word"
        if portion and (is_streamed or len(portion) == CHUNK_FILES or n_bytes + size > LARGE_FILE_BYTES):
            yield portion
            portion, n_bytes = [], 0
        if is_streamed:
            yield source
        else:
            portion.append(source)
            n_bytes += size
    if portion:
        yield portion


def _unpacked_bytes(source: Source) -> int:
    suffix = os.path.splitext(source.name)[1].lower()
    return source.size * _UNPACKED_PER_BYTE.get(suffix, _UNPACKED_PER_BYTE_OF_OTHERS)


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measure_in_processes(
    sources: Sequence[Source], trim: TrimConfig, n_workers: int
) -> Iterator[Source | Measured]:
    try:
        for item in map_in_order(partial(_measure_packed, trim=trim), portions_of(sources), n_workers):
            yield item if isinstance(item, Source) else _unpack(*item)
    except WorkerLostError as error:
        raise CorpusError(
            f"{error} (out of memory?); run again to go on, with fewer --workers if it happens again"
        ) from error


def _measure_packed(portion: Source | list[Source], trim: TrimConfig) -> Source | _Packed:
    """What a worker does. All samples go back in one piece: many arrays cost more than their samples."""
    if isinstance(portion, Source):
        return portion
    measured = measure_clips(portion, trim)
    heads = [values_of(item.row) if isinstance(item, Clip) else item for item in measured]
    return heads, b"".join([item.samples.data for item in measured if isinstance(item, Clip)])


def _unpack(heads: list[tuple[Any, ...] | Skipped], audio: bytes) -> Measured:
    samples = np.frombuffer(audio, dtype=np.int16)
    found: Measured = []
    first = 0
    for head in heads:
        if isinstance(head, Skipped):
            found.append(head)
            continue
        row = Row(*head)
        found.append(Clip(row, samples[first : first + row.n_samples]))
        first += row.n_samples
    return found
