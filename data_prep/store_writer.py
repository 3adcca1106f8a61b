"""Writing a store in one pass that may be interrupted at any moment and goes on later.

While it is written a store is `NAME.part`, and who writes it has to hold the lock of `NAME`. Audio is
flushed before the index rows that speak of it, so after a kill the index is cut to its last complete row,
the audio to what the index covers, and the work goes on there. A finished store is renamed into place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TextIO

import numpy as np

from data_prep.clip import Clip, LongRecording
from data_prep.store import (
    AUDIO_FILE,
    COLUMNS,
    INDEX_FILE,
    INFO_FILE,
    SCHEMA,
    Row,
    Store,
    open_index,
    read_rows,
    values_of,
    write_rows,
)
from data_prep.store_folder import SETTINGS_FILE, check_part, make_part
from speechcmd.audio.samples import Int16
from speechcmd.errors import AudioError, StoreError
from speechcmd.files import open_text, replace_folder, write_bytes, write_text
from speechcmd.json_toml import parse_json, read_json_table

_HEADER_BYTES = 128
_BYTES_PER_SAMPLE = 2
_OFFSET = COLUMNS.index("offset")


class StoreWriter:
    """Writes `path`, going on with an interrupted `path.part` of the same settings.

    A context manager; leaving it without `finish` or `discard` keeps the part for the next run.

    Raises
    ------
    StoreError
        If `path.part` is something else than an unfinished store.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.part = check_part(path)
        self._n_samples = 0
        self.rows: list[Row] = []
        if not (self._is_same_work(settings) and self._cut_to_last_complete_row()):
            self._begin(settings)
        self._audio: BinaryIO = (self.part / AUDIO_FILE).open("r+b")
        self._audio.seek(0, os.SEEK_END)
        self._index: TextIO = open_index(self.part / INDEX_FILE, "a")

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._audio.close()
        self._index.close()

    @property
    def done(self) -> frozenset[str]:
        """Names of the sources that are written already."""
        return frozenset(row.path for row in self.rows)

    def append(self, clips: Sequence[Clip]) -> None:
        """Write clips, audio before index."""
        rows = []
        for clip in clips:
            # as dataclasses.replace, which costs more than measuring the level of a clip
            values: list[Any] = list(values_of(clip.row))
            values[_OFFSET] = self._n_samples
            rows.append(Row(*values))
            self._write_audio(clip.samples)
        self._audio.flush()
        self._write_index(rows)

    def append_recording(self, recording: LongRecording) -> Row:
        """Write one long recording block by block, in constant memory.

        If its decoding breaks off, the blocks written so far are taken back and the error goes on.
        """
        offset = self._n_samples
        try:
            for block in recording.blocks():
                self._write_audio(block)
        except AudioError:
            self._audio.flush()
            self._audio.seek(_HEADER_BYTES + offset * _BYTES_PER_SAMPLE)
            self._audio.truncate()
            self._n_samples = offset
            raise
        row = replace(recording.row(), offset=offset)
        self._audio.flush()
        self._write_index([row])
        return row

    def discard(self) -> None:
        """Give up: remove what was written."""
        self._audio.close()
        self._index.close()
        shutil.rmtree(self.part)

    def finish(self, info: dict[str, Any]) -> Store:
        """Complete the store with `info` (statistics, settings, digests) and rename it into place."""
        self._audio.seek(0)
        self._audio.write(_npy_header(self._n_samples))
        for file in (self._audio, self._index):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        text = json.dumps({"schema": SCHEMA, **info}, indent=1)
        write_text(self.part / INFO_FILE, text + "\n")
        # from here on the part is known by the settings in its info
        (self.part / SETTINGS_FILE).unlink(missing_ok=True)
        replace_folder(self.part, self.path)
        return Store(self.path, tuple(self.rows), parse_json(text))

    def _is_same_work(self, settings: dict[str, Any]) -> bool:
        given = parse_json(json.dumps(settings))
        begun = read_json_table(self.part / SETTINGS_FILE) or read_json_table(self.part / INFO_FILE).get(
            "settings"
        )
        return bool(begun == given) and all((self.part / name).exists() for name in (AUDIO_FILE, INDEX_FILE))

    def _begin(self, settings: dict[str, Any]) -> None:
        make_part(self.path)
        (self.part / AUDIO_FILE).write_bytes(_npy_header(0))
        self.rows = []
        self._write_new_index()
        # last: a part without settings is never taken up again
        write_text(self.part / SETTINGS_FILE, json.dumps(settings))

    def _cut_to_last_complete_row(self) -> bool:
        """Go on behind the last row that is whole and whose audio is there; False if nothing can be kept."""
        index, audio = self.part / INDEX_FILE, self.part / AUDIO_FILE
        text = index.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            write_bytes(index, whole)
        n_there = (audio.stat().st_size - _HEADER_BYTES) // _BYTES_PER_SAMPLE
        try:
            rows = list(read_rows(index))
        except StoreError:
            return False
        self.rows = [row for row in rows if row.offset + row.n_samples <= n_there]
        if len(self.rows) < len(rows):  # a power failure may lose audio that the index speaks of
            self._write_new_index()
        self._n_samples = max((row.offset + row.n_samples for row in self.rows), default=0)
        os.truncate(audio, _HEADER_BYTES + self._n_samples * _BYTES_PER_SAMPLE)
        return n_there >= 0

    def _write_new_index(self) -> None:
        with open_text(self.part / INDEX_FILE, errors="surrogateescape") as handle:
            handle.write(",".join(COLUMNS) + "\n")
            write_rows(handle, self.rows)

    def _write_audio(self, samples: Int16) -> None:
        self._audio.write(np.ascontiguousarray(samples, dtype="<i2").data)
        self._n_samples += len(samples)

    def _write_index(self, rows: Sequence[Row]) -> None:
        write_rows(self._index, rows)
        self._index.flush()
        self.rows += rows


def _npy_header(n_samples: int) -> bytes:
    """Header of a .npy file, version 1.0, of fixed size so that it can be written again at the end."""
    fields = f"{{'descr': '<i2', 'fortran_order': False, 'shape': ({n_samples},), }}".encode()
    start = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    return start + fields.ljust(_HEADER_BYTES - 11) + b"\n"
