"""The feature store: log-mel spectrograms computed elsewhere, with the index of an audio store.

    STORE/log_mel.npy  uint8 or float16, (n_clips, n_frames, n_mels)
    STORE/index.csv    a `Row` a clip, as in an audio store
    STORE/store.json   as in an audio store, and "content": "log_mel", scale, offset, front_end, n_frames

True log-mel is `stored * scale + offset`. A row's `offset` is the number of its clip. All other
positions count samples as if the audio were there: frame k covers samples k * hop_length to
k * hop_length + win_length, and `n_samples` is what the clip's valid frames cover; the frames behind
them are filling.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from msgspec import Meta

from data_prep.store import (
    AUDIO_FILE,
    COLUMNS,
    INDEX_FILE,
    INFO_FILE,
    SCHEMA,
    IndexedStore,
    Row,
    content_of,
    map_array,
    open_index,
    read_info,
    read_rows,
    write_rows,
)
from data_prep.store_check import LARGEST, CellError, check_columns, check_record
from data_prep.store_folder import LOG_MEL_FILE, digest_of_rows, is_ours, measure_durations
from speechcmd.arrays import ByteArray, FloatArray, HalfArray
from speechcmd.errors import StoreError
from speechcmd.files import replace_folder, whole_folder
from speechcmd.folder_lock import lock_name

Stored = ByteArray | HalfArray

LOG_MEL = "log_mel"
STORED_TYPES = (np.dtype(np.uint8), np.dtype(np.float16))
_DESCRIBE = "say how the features were computed, and write the store again"
_Number = Annotated[float, Meta(ge=-1e300, le=1e300, description="a number")]  # neither infinite nor none
_Count = Annotated[int, Meta(ge=1, le=LARGEST, description="a whole number from 1 on")]


@dataclass(frozen=True)
class _FrontEnd:
    """Settings that features were computed with."""

    sample_rate: _Count
    n_fft: _Count
    win_length: _Count
    hop_length: _Count
    n_mels: _Count
    f_min_hz: _Number
    f_max_hz: _Number
    log_floor: _Number


@dataclass(frozen=True)
class _Meaning:
    """What is needed to understand stored features."""

    front_end: _FrontEnd
    scale: _Number
    offset: _Number
    n_frames: _Count

    def __post_init__(self) -> None:
        if self.scale == 0:
            raise ValueError("scale: expected a number other than 0, got 0")


FRONT_END_FIELDS = tuple(field.name for field in fields(_FrontEnd))


class FeatureStore(IndexedStore):
    """A finished feature store, opened for reading.

    >>> store = FeatureStore.open("my_features")     # doctest: +SKIP
    >>> log_mel = store.log_mel_of(store.rows[0])    # doctest: +SKIP
    """

    @classmethod
    def open(cls, path: str | Path) -> FeatureStore:
        """Open a feature store and check that its parts fit together.

        Raises
        ------
        StoreError
            If there is no finished feature store, or its parts do not fit together.
        """
        path = Path(path)
        if not (path / INFO_FILE).exists():
            raise StoreError(f"{path}: expected a feature store, found none; write it again")
        info = read_info(path)
        if content_of(info) != LOG_MEL:
            raise StoreError(
                f"{path}: expected a store of features, found one of {content_of(info)}; "
                "give one that a feature importer wrote"
            )
        check_record(path, info, _Meaning, _DESCRIBE)
        store = cls(path, read_rows(path / INDEX_FILE), info)
        store._check_features()
        return store

    @cached_property
    def log_mel(self) -> Stored:
        """All features as stored, memory-mapped: (n_clips, n_frames, n_mels), uint8 or float16.

        Private pages: writing never reaches the file.
        """
        features: Stored = map_array(self.path / LOG_MEL_FILE)
        return features

    @property
    def scale(self) -> float:
        """True log-mel is stored * scale + offset."""
        return float(self.info["scale"])

    @property
    def offset(self) -> float:
        """True log-mel is stored * scale + offset."""
        return float(self.info["offset"])

    @property
    def front_end(self) -> dict[str, Any]:
        """Settings that the features were computed with, by the names in `FRONT_END_FIELDS`."""
        return dict(self.info["front_end"])

    @property
    def n_frames(self) -> int:
        """Frames of every clip, filling included."""
        return int(self.info["n_frames"])

    def log_mel_of(self, row: Row) -> FloatArray:
        """True log-mel of a clip, filling included. Shape: (n_frames, n_mels)."""
        stored: FloatArray = self.log_mel[row.offset].astype(np.float32)
        return stored * np.float32(self.scale) + np.float32(self.offset)

    def _check_features(self) -> None:
        shape, dtype = self.log_mel.shape, self.log_mel.dtype
        n_mels = self.front_end["n_mels"]
        if dtype not in STORED_TYPES or shape[1:] != (self.n_frames, n_mels):
            raise StoreError(
                f"{self.path}: expected features (n, {self.n_frames}, {n_mels}) of uint8 or float16, "
                f"got {shape} of {dtype}; write the store again"
            )
        needed = max((row.offset + 1 for row in self.rows), default=0)
        if shape[0] < needed:
            raise StoreError(
                f"{self.path}: {LOG_MEL_FILE} has {shape[0]} clips, the index needs {needed}; write it again"
            )
        # one more sample and there was another frame: that would be the next clip's
        reach = int(self.front_end["win_length"]) + self.n_frames * int(self.front_end["hop_length"])
        longest = max(self.rows, key=lambda row: row.n_samples, default=None)
        if longest and longest.n_samples >= reach:
            raise StoreError(
                f"{self.path}: expected clips of less than {reach} samples, the {self.n_frames} frames "
                f"stored of each, got {longest.n_samples} of {longest.path}; write the store again"
            )


def write_feature_store(
    path: Path,
    rows: Sequence[Row],
    features: Iterable[Stored],
    *,
    scale: float,
    offset: float,
    front_end: dict[str, Any],
    info: dict[str, Any],
) -> FeatureStore:
    """Write a feature store; it appears whole, in the place of an older feature store of that name.

    `rows` and `features` are in the same order; `Row.offset` and `Row.digest` are set here. `features`
    are blocks (n, n_frames, n_mels), all of uint8 or all of float16, written as they come, so memory
    does not depend on their number. `front_end` has the keys `FRONT_END_FIELDS`; `info` joins what
    `store.json` says ("tool_version", "settings", and "length" if the default is not the mean).

    Raises
    ------
    StoreError
        If a row cannot be meant, a block is of another shape or type than those before it, if there are
        more or fewer features than rows, or if `path` is something else than a feature store or nothing.
    BusyError
        If another process writes it.
    """
    meaning = {"scale": scale, "offset": offset, "front_end": front_end}
    check_record(path, {**meaning, "n_frames": 1}, _Meaning, _DESCRIBE)
    _check_rows(rows)
    check_free(path)
    with lock_name(path), whole_folder(path) as new:
        written, n_frames = _write_features(new / LOG_MEL_FILE, rows, features, int(front_end["n_mels"]))
        _write_index_and_info(new, written, {**meaning, "n_frames": n_frames}, info)
    return FeatureStore(path, tuple(written), read_info(path))


def move_feature_store(store: FeatureStore, path: Path) -> FeatureStore:
    """Rename a feature store on its own disk, in the place of an older feature store of that name.

    Raises
    ------
    StoreError
        If `path` is something else than a feature store or nothing.
    """
    check_free(path)
    replace_folder(store.path, path)
    return FeatureStore(path, store.rows, store.info)


def _check_rows(rows: Sequence[Row]) -> None:
    """What cannot be opened is not written."""
    try:
        check_columns({name: [getattr(row, name) for row in rows] for name in COLUMNS})
    except CellError as error:
        raise StoreError(f"row {error.row} of the features: {error}") from error


def _write_index_and_info(
    part: Path, rows: Sequence[Row], meaning: dict[str, Any], info: dict[str, Any]
) -> None:
    with open_index(part / INDEX_FILE, "a") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, rows)
    described = {
        "schema": SCHEMA,
        "content": LOG_MEL,
        **meaning,
        "length": "mean",
        "statistics": measure_durations(rows),
        "data_digest": digest_of_rows(rows, json.dumps(meaning, sort_keys=True)),
    }
    text = json.dumps({**described, **info}, indent=1)
    (part / INFO_FILE).write_text(text + "\n", encoding="utf-8")


def check_free(path: Path) -> None:
    """Refuse a name that something else than a feature store has.

    Raises
    ------
    StoreError
        If something else is there.
    """
    if path.exists() and (not is_ours(path) or (path / AUDIO_FILE).exists()):
        raise StoreError(
            f"{path}: expected a feature store or a new name, found something else; choose another name"
        )


def _write_features(
    path: Path, rows: Sequence[Row], features: Iterable[Stored], n_mels: int
) -> tuple[list[Row], int]:
    """Write blocks behind one header; returns the rows, numbered and hashed, and the frames of a clip."""
    written: list[Row] = []
    shape: tuple[int, int] = (0, n_mels)
    dtype: np.dtype[Any] = STORED_TYPES[0]
    with path.open("wb") as file:
        for block in features:
            if len(block) == 0:
                continue
            if not written:
                shape, dtype = (block.shape[1] if block.ndim == 3 else 0, n_mels), block.dtype
                _write_header(file, (len(rows), *shape), dtype)
            _check_block(block, shape, dtype, len(rows) - len(written))
            for row, frames in zip(rows[len(written) :], np.ascontiguousarray(block), strict=False):
                digest = hashlib.blake2b(frames.data, digest_size=8).hexdigest()
                written.append(replace(row, offset=len(written), digest=digest))
            file.write(np.ascontiguousarray(block).data)
    if not written or len(written) < len(rows):
        raise StoreError(f"features: expected {max(1, len(rows))} clips, one a row, got {len(written)}")
    return written, shape[0]


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def _check_block(block: Stored, shape: tuple[int, int], dtype: np.dtype[Any], n_left: int) -> None:
    if block.ndim != 3 or block.shape[1:] != shape or block.dtype != dtype or dtype not in STORED_TYPES:
        raise StoreError(
            f"features: expected blocks (n, n_frames, {shape[1]}), all alike, of uint8 or float16, "
            f"got {block.shape} of {block.dtype}"
        )
    if len(block) > n_left:
        raise StoreError(f"features: expected one clip a row, got {len(block) - n_left} or more too many")
