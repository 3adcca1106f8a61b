"""The store: all clips end to end in one memory-mapped int16 file, an index, and its settings.

    STORE/audio.npy    int16, (n_samples,), 16 kHz, every clip and recording whole
    STORE/index.csv    a `Row` a clip
    STORE/store.json   statistics, settings, digests, tool version

Trimming is recorded in the index, not burnt into the audio, so one store serves every length.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from data_prep.store_check import AGAIN, CellError, StoreInfo, check_columns, check_record, find_duplicate
from speechcmd.arrays import AnyArray
from speechcmd.audio.samples import SAMPLE_RATE, Int16
from speechcmd.errors import StoreError
from speechcmd.json_toml import parse_json
from speechcmd.labels import normalise_label

SCHEMA = 1
AUDIO_FILE = "audio.npy"
INDEX_FILE = "index.csv"
INFO_FILE = "store.json"
LONGEST_S = 10.0  # of a word
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
_ROWS_AT_A_TIME = 1000
_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_INTEGERS, int),
    "word": normalise_label,
    "floor_db": float,
    "flags": lambda cell: tuple(cell.split()),
}
_FLOOR, _FLAGS = COLUMNS.index("floor_db"), COLUMNS.index("flags")


def write_rows(handle: TextIO, rows: Iterable[Row]) -> None:
    """Append rows to an index whose header is written."""
    writer = csv.writer(handle, lineterminator="\n")
    for row in rows:
        values = list(values_of(row))
        values[_FLOOR] = f"{row.floor_db:.1f}"
        values[_FLAGS] = " ".join(row.flags)
        writer.writerow(values)


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read the rows of an index and check that each can be meant.

    Raises
    ------
    StoreError
        If there is no index, or a row cannot be understood or meant.
    """
    rows: list[Row] = []
    for lines, cells in _read_cells(path):
        try:
            columns = _columns_of(cells)
            check_columns(columns)
        except CellError as error:
            raise StoreError(f"{path}, line {lines[error.row]}: {error}; {AGAIN}") from error
        rows += map(Row, *columns.values())
    duplicate = find_duplicate([row.path for row in rows])
    if duplicate is not None:
        raise StoreError(f"{path}: expected each clip once, got {duplicate} again; {AGAIN}")
    return tuple(rows)


def _read_cells(path: Path) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Yield the cells of some rows of an index, and the line that each ends in."""
    require_file(path)
    try:
        with open_index(path, "r") as handle:
            reader = csv.reader(handle)
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise StoreError(f"{path}: expected the columns {', '.join(COLUMNS)}; {AGAIN}")
            while numbered := [(reader.line_num, cells) for cells in islice(reader, _ROWS_AT_A_TIME)]:
                yield [line for line, _ in numbered], [cells for _, cells in numbered]
    except OSError as error:
        raise StoreError(f"{path}: cannot read the index: {error.strerror}; {AGAIN}") from error
    except csv.Error as error:
        raise StoreError(f"{path}, line {reader.line_num}: damaged row; {AGAIN}") from error


def _columns_of(cells: Sequence[Sequence[str]]) -> dict[str, Sequence[Any]]:
    """Cells as values, by the name of their column."""
    try:
        columns: dict[str, Sequence[Any]] = dict(zip(COLUMNS, zip(*cells, strict=True), strict=True))
        for name, convert in _CONVERSIONS.items():
            columns[name] = list(map(convert, columns[name]))
    except ValueError as error:
        row = next(number for number, values in enumerate(cells) if not _is_understood(values))
        raise CellError(row, "damaged row") from error
    return columns


def _is_understood(values: Sequence[str]) -> bool:
    try:
        for name, value in zip(COLUMNS, values, strict=True):
            _CONVERSIONS.get(name, str)(value)
    except ValueError:
        return False
    return True


def open_index(path: Path, mode: Literal["r", "a"]) -> TextIO:
    """Open an index; `mode` is "r" or "a"."""
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


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
        store = cls(path, read_rows(path / INDEX_FILE), info)
        needed = max((row.offset + row.n_samples for row in store.rows), default=0)
        if store.audio.ndim != 1 or store.audio.dtype != np.int16:
            raise StoreError(f"{path}: {AUDIO_FILE} is not a line of int16; {AGAIN}")
        if len(store.audio) < needed:
            raise StoreError(
                f"{path}: {AUDIO_FILE} has {len(store.audio)} samples, the index needs {needed}; {AGAIN}"
            )
        return store

    @cached_property
    def audio(self) -> Int16:
        """All audio, memory-mapped: int16, (n_samples,). Private pages: writing never reaches the file."""
        audio: Int16 = map_array(self.path / AUDIO_FILE)
        return audio

    def samples_of(self, row: Row) -> Int16:
        """The whole clip as stored: int16, (n_samples,)."""
        return self.audio[row.offset : row.offset + row.n_samples]


def read_info(path: Path) -> dict[str, Any]:
    """Settings and statistics of the store at `path`, of whatever content, checked.

    Raises
    ------
    StoreError
        If they cannot be read, are of another schema or lack something.
    """
    file = path / INFO_FILE
    require_file(file)
    try:
        info = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); {AGAIN}") from error
    if not isinstance(info, dict):
        raise StoreError(f"{file}: expected settings and statistics, got something else; {AGAIN}")
    if info.get("schema") != SCHEMA:
        raise StoreError(
            f"{path}: store of schema {info.get('schema')}, this version reads {SCHEMA}; {AGAIN}"
        )
    check_record(file, info, StoreInfo)
    return info


def map_array(file: Path) -> AnyArray:
    """Map an array of a store into memory, in private pages: writing never reaches the file.

    Raises
    ------
    StoreError
        If it is no array, or shorter than it says.
    """
    require_file(file)
    try:
        return np.lib.format.open_memmap(file, mode="c")
    except Exception as error:  # numpy reads a header as Python; what a damaged one raises is not documented
        raise StoreError(f"{file}: cannot be mapped: {error}; {AGAIN}") from error


def require_file(file: Path) -> None:
    """Refuse what is missing or no regular file: opening a pipe waits for ever.

    Raises
    ------
    StoreError
        If it is.
    """
    if not file.is_file():
        raise StoreError(
            f"{file}: expected a file of a store, found {'something else' if file.exists() else 'nothing'}; "
            f"{AGAIN}"
        )


def content_of(info: dict[str, Any]) -> str:
    """What a store holds, by its info: "audio" or "log_mel"."""
    return str(info.get("content", AUDIO))


def resolve_length(length: str | float, statistics: dict[str, Any]) -> int:
    """Samples of a length given as "mean", "p95" or a number of seconds."""
    if length in ("mean", "p95"):
        n_samples = int(statistics[f"{length}_trimmed_samples"])
        if n_samples > LONGEST_S * SAMPLE_RATE:
            raise StoreError(
                f"length: {length} of these words is {n_samples / SAMPLE_RATE:g} seconds, expected at most "
                f"{LONGEST_S:g}; give a length in seconds"
            )
        return n_samples
    try:
        seconds = float(length)
    except ValueError as error:
        raise StoreError(f"length: expected mean, p95 or a number of seconds, got {length!r:.60}") from error
    if not 0.1 <= seconds <= LONGEST_S:
        raise StoreError(f"length: expected 0.1 to {LONGEST_S:g} seconds, got {seconds:g}")
    return round(seconds * SAMPLE_RATE)
