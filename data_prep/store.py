"""The store: all clips end to end in one memory-mapped int16 file, an index, and its settings.

    STORE/audio.npy    int16, (n_samples,), 16 kHz, every clip and recording whole
    STORE/index.csv    a `Row` a clip
    STORE/store.json   statistics, settings, digests, tool version

Trimming is recorded in the index, not burnt into the audio, so one store serves every length.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from speechcmd.audio import SAMPLE_RATE, Int16
from speechcmd.errors import StoreError
from speechcmd.labels import normalise_label

SCHEMA = 1
AUDIO_FILE = "audio.npy"
INDEX_FILE = "index.csv"
INFO_FILE = "store.json"
AUDIO = "audio"  # the content of a store that does not say what it holds


@dataclass(frozen=True, slots=True)
class Row:
    """One clip or recording.

    `offset` is where it begins in `audio.npy`; `speech_start`, `speech_end` (margins included) and
    `centre` count from there; all in samples. `floor_db` is the level of its background in dB of
    full scale, `digest` a hash of its samples, `path` the source's name in its folder.
    """

    kind: str
    word: str
    speaker: str
    split: str
    role: str
    path: str
    offset: int
    n_samples: int
    speech_start: int
    speech_end: int
    centre: int
    floor_db: float
    flags: tuple[str, ...]
    digest: str

    @property
    def n_speech(self) -> int:
        """Length of the trimmed word in samples."""
        return self.speech_end - self.speech_start


COLUMNS = tuple(field.name for field in fields(Row))
values_of = attrgetter(*COLUMNS)
_INTEGERS = ("offset", "n_samples", "speech_start", "speech_end", "centre")
_FLOOR, _FLAGS = COLUMNS.index("floor_db"), COLUMNS.index("flags")


def write_rows(handle: TextIO, rows: Iterable[Row]) -> None:
    """Append rows to an index whose header is written."""
    writer = csv.writer(handle, lineterminator="\n")
    for row in rows:
        values = list(values_of(row))
        values[_FLOOR] = f"{row.floor_db:.1f}"
        values[_FLAGS] = " ".join(row.flags)
        writer.writerow(values)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of an index.

    Raises
    ------
    StoreError
        If there is no index, or a row cannot be understood.
    """
    try:
        handle = open_index(path, "r")
    except OSError as error:
        raise StoreError(
            f"{path}: cannot read the index: {error.strerror}; prepare the store again"
        ) from error
    with handle:
        reader = csv.reader(handle)
        try:
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise StoreError(
                    f"{path}: expected the columns {', '.join(COLUMNS)}; prepare the store again"
                )
            for values in reader:
                yield _parse_row(values)
        except (ValueError, TypeError, csv.Error) as error:
            raise StoreError(
                f"{path}, line {reader.line_num}: damaged row; prepare the store again"
            ) from error


def open_index(path: Path, mode: Literal["r", "a"]) -> TextIO:
    """Open an index; `mode` is "r" or "a"."""
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def _parse_row(values: list[str]) -> Row:
    given: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    for name in _INTEGERS:
        given[name] = int(given[name])
    given["floor_db"] = float(given["floor_db"])
    given["word"] = normalise_label(given["word"])
    given["flags"] = tuple(given["flags"].split())
    return Row(**given)


class IndexedStore:
    """What stores of audio and of features have in common: where they lie, an index, settings."""

    def __init__(self, path: Path, rows: tuple[Row, ...], info: dict[str, Any]) -> None:
        self.path = path
        self.rows = rows
        self.info = info

    @property
    def digest(self) -> str:
        """Hash of the store's contents: which clips, where trimmed, in which split."""
        return str(self.info["data_digest"])

    def select(self, kind: str, split: str | None = None) -> list[Row]:
        """Rows of a kind, and of a split if one is named."""
        return [row for row in self.rows if row.kind == kind and split in (None, row.split)]

    def length_samples(self, length: str | float) -> int:
        """Samples of a length given as "mean", "p95" or seconds, before rounding to a model's grid.

        Raises
        ------
        StoreError
            If it is none of these or not between 0.1 and 10 seconds.
        """
        return resolve_length(length, self.info["statistics"])


class Store(IndexedStore):
    """A finished store, opened for reading.

    >>> store = Store.open("my_store")            # doctest: +SKIP
    >>> clip = store.samples_of(store.rows[0])    # doctest: +SKIP
    """

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open a store and check that its parts fit together.

        Raises
        ------
        StoreError
            If there is no finished store, or its audio is shorter than its index says.
        """
        path = Path(path)
        if not (path / INFO_FILE).exists():
            part = path.parent / f"{path.name}.part"
            hint = (
                "its preparation was interrupted; run the same `speechcmd prepare` again"
                if part.exists()
                else ""
            )
            raise StoreError(
                f"{path}: expected a store, found none; {hint or 'make one with `speechcmd prepare`'}"
            )
        info = read_info(path)
        if content_of(info) != AUDIO:
            raise StoreError(
                f"{path}: expected a store of audio, found one of features ({content_of(info)}); "
                "this needs the recordings themselves: give a store made with `speechcmd prepare`"
            )
        store = cls(path, tuple(read_rows(path / INDEX_FILE)), info)
        needed = max((row.offset + row.n_samples for row in store.rows), default=0)
        if store.audio.ndim != 1 or store.audio.dtype != np.int16:
            raise StoreError(f"{path}: audio.npy is not a line of int16; prepare it again")
        if len(store.audio) < needed:
            raise StoreError(
                f"{path}: audio.npy has {len(store.audio)} samples, the index needs {needed}; prepare again"
            )
        return store

    @cached_property
    def audio(self) -> Int16:
        """All audio, memory-mapped: int16, (n_samples,). Private pages: writing never reaches the file."""
        try:
            audio: Int16 = np.load(self.path / AUDIO_FILE, mmap_mode="c")
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path / AUDIO_FILE}: cannot be mapped: {error}") from error
        return audio

    def samples_of(self, row: Row) -> Int16:
        """The whole clip as stored: int16, (n_samples,)."""
        return self.audio[row.offset : row.offset + row.n_samples]


def read_info(path: Path) -> dict[str, Any]:
    """Settings and statistics of the store at `path`, of whatever content.

    Raises
    ------
    StoreError
        If they cannot be read or are of another schema.
    """
    file = path / INFO_FILE
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); prepare the store again") from error
    if not isinstance(info, dict):
        raise StoreError(
            f"{file}: expected settings and statistics, got something else; prepare the store again"
        )
    if info.get("schema") != SCHEMA:
        raise StoreError(
            f"{path}: store of schema {info.get('schema')}, this version reads {SCHEMA}; prepare it again"
        )
    return info


def content_of(info: dict[str, Any]) -> str:
    """What a store holds, by its info: "audio" or "log_mel"."""
    return str(info.get("content", AUDIO))


def resolve_length(length: str | float, statistics: dict[str, Any]) -> int:
    """Samples of a length given as "mean", "p95" or a number of seconds."""
    if length in ("mean", "p95"):
        return int(statistics[f"{length}_trimmed_samples"])
    try:
        seconds = float(length)
    except ValueError as error:
        raise StoreError(f"length: expected mean, p95 or a number of seconds, got {length!r}") from error
    if not 0.1 <= seconds <= 10.0:
        raise StoreError(f"length: expected 0.1 to 10 seconds, got {seconds:g}")
    return round(seconds * SAMPLE_RATE)
