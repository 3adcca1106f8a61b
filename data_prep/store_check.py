"""What a store says of itself, checked once: whoever reads it later may rely on it.

A store may come from somebody else. Its names become names of files (`prepare --export-wav`), its numbers
become positions in a file, its settings shape a training.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from msgspec import Meta

from speechcmd.arrays import IntArray
from speechcmd.errors import StoreError
from speechcmd.typed import as_type

KINDS = frozenset({"word", "speech", "noise", "music"})
SPLITS = frozenset({"training", "validation", "testing"})
ROLES = frozenset({"", "train", "calibrate", "figures"})
AGAIN = "prepare the store again"

_Record = TypeVar("_Record")
_CHOICES = (("kind", KINDS), ("split", SPLITS), ("role", ROLES))
# no more than a file may hold, so that sums of two stay in 64 bits
LARGEST = 2**60
_LOUDEST_DB = 1000.0  # far beyond any level, far below what float32 holds

_Count = Annotated[int, Meta(ge=0, le=LARGEST, description="a whole number from 0 on")]


@dataclass(frozen=True)
class Statistics:
    """How long the words of a store are, and of how many that was measured."""

    mean_trimmed_samples: _Count
    p95_trimmed_samples: _Count
    n_words_measured: _Count


@dataclass(frozen=True)
class Skipped:
    """A file that did not enter the store, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class StoreInfo:
    """What `store.json` says in every store."""

    statistics: Statistics
    data_digest: str
    length: Annotated[str, Meta(description="mean, p95 or a text of seconds")]
    skipped: tuple[Skipped, ...] = ()


class CellError(ValueError):
    """A cell of an index that nothing could have meant; `row` counts from 0."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def check_columns(columns: Mapping[str, Sequence[Any]]) -> None:
    """Check columns of an index, all of one length, by the names of `Row`'s fields.

    Whether the positions lie within what is stored is for the store to check.

    Raises
    ------
    CellError
        At the first cell that cannot be meant.
    """
    for name, allowed in _CHOICES:
        if not allowed.issuperset(columns[name]):
            _refuse_first(columns, name, (value not in allowed for value in columns[name]), _one_of(allowed))
    _check_names(columns)
    _check_positions(columns)


def find_duplicate(names: Sequence[str]) -> str | None:
    """The first name that is there more than once."""
    if len(set(names)) == len(names):
        return None
    return next(name for name, count in Counter(names).items() if count > 1)


def _check_names(columns: Mapping[str, Sequence[Any]]) -> None:
    names = columns["path"]
    if _leads_elsewhere(names):
        _refuse_first(columns, "path", (_leads_elsewhere([name]) for name in names), "a name below a folder")
    named = list(zip(columns["kind"], columns["word"], strict=True))
    if ("word", "") in named:
        _refuse_first(columns, "word", (each == ("word", "") for each in named), "a word")


def _leads_elsewhere(names: Sequence[str]) -> bool:
    """Whether a name is absolute, leads upwards or names nothing; all at once, which is ten times faster."""
    text = "\0".join(names)
    if text.count("\0") >= len(names):
        return True
    if os.name == "nt" and ("\\" in text or ":" in text):  # another separator, a drive
        return True
    parts = f"\0{text}\0".replace("/", "\0")
    return any(part in parts for part in ("\0\0", "\0.\0", "\0..\0"))


def _check_positions(columns: Mapping[str, Sequence[Any]]) -> None:
    offset, n_samples, start, end, centre = (
        _as_integers(columns, name)
        for name in ("offset", "n_samples", "speech_start", "speech_end", "centre")
    )
    floor_db = np.array(columns["floor_db"], dtype=np.float64)
    for name, wrong, expected in (
        ("offset", (offset < 0) | (offset > LARGEST), "a position in the store"),
        ("n_samples", (n_samples < 0) | (n_samples > LARGEST), "a number of samples"),
        ("speech_start", (start < 0) | (start > end), "a position in the clip, not behind speech_end"),
        ("speech_end", end > n_samples, "a position in the clip"),
        ("centre", (centre < 0) | (centre > n_samples), "a position in the clip"),
        ("floor_db", ~(np.abs(floor_db) <= _LOUDEST_DB), "a level in dB"),
    ):
        if wrong.any():
            _refuse_first(columns, name, wrong, expected)


def _as_integers(columns: Mapping[str, Sequence[Any]], name: str) -> IntArray:
    try:
        return np.array(columns[name], dtype=np.int64)
    except OverflowError:
        wrong = (abs(value) > LARGEST for value in columns[name])
        _refuse_first(columns, name, wrong, "a position in the store")
        raise


def _refuse_first(columns: Mapping[str, Sequence[Any]], name: str, wrong: Any, expected: str) -> None:
    row = next(number for number, is_wrong in enumerate(wrong) if is_wrong)
    raise CellError(row, f"{name}: expected {expected}, got {columns[name][row]!r}")


def _one_of(allowed: frozenset[str]) -> str:
    return " or ".join(sorted(value or "nothing" for value in allowed))


def check_record(path: Path, info: Mapping[str, Any], kind: type[_Record], advice: str = AGAIN) -> _Record:
    """What `store.json` says, as a record; fields that the record does not have are left alone.

    Raises
    ------
    StoreError
        If something is missing or not what it should be.
    """
    try:
        return as_type(info, kind)
    except ValueError as error:
        raise StoreError(str(error), path=path, advice=advice) from error
