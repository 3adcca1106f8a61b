"""Write the trimmed clips, all of one length, as wav files: to hear, and to use elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from data_prep.store import Row, Store
from data_prep.word_window import cut_word
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16
from speechcmd.errors import StoreError
from speechcmd.files import open_binary, write_text
from speechcmd.folder_lock import lock_name
from speechcmd.progress import Progress

MARK_FILE = ".speechcmd-export"


def export_wav(store: Store, length: str | float, folder: Path, progress: Progress | None = None) -> int:
    """Write every word of a store to `folder/word/name.wav`, cut or padded to `length`.

    The folder has the official layout, with its lists, so it is itself a corpus. Returns the number
    of clips. A clip is written whole or not at all.

    Raises
    ------
    StoreError
        If the length is not known, or the folder holds files that no export wrote.
    BusyError
        If another process exports to it.
    """
    n_samples = store.length_samples(length)
    with lock_name(folder):
        return _export(store, n_samples, folder, progress)


def _export(store: Store, n_samples: int, folder: Path, progress: Progress | None) -> int:
    check_export_folder(folder)
    rows = store.select("word")
    write_text(folder / MARK_FILE, "Written by speechcmd prepare --export-wav; may be written again.\n")
    names = _names_of(rows)
    for number, row in enumerate(rows):
        waveform = cut_word(store, row, n_samples, np.random.Generator(np.random.PCG64(number)))
        path = folder / names[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_binary(path, sync=False) as file:
            soundfile.write(file, float32_to_int16(waveform), SAMPLE_RATE, format="WAV", subtype="PCM_16")
        if progress:
            progress(number + 1, len(rows))
    for split in ("validation", "testing"):
        listed = "".join(f"{name}\n" for name, row in zip(names, rows, strict=True) if row.split == split)
        write_text(folder / f"{split}_list.txt", listed, errors="surrogateescape")
    return len(rows)


def check_export_folder(folder: Path) -> None:
    """Make the folder; refuse one with files of somebody else in it, such as the corpus itself.

    Raises
    ------
    StoreError
        If the folder is neither new nor empty nor an earlier export.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARK_FILE).exists():
        raise StoreError(
            f"{folder}: expected a new or empty folder to export to, found files; choose another"
        )


def _names_of(rows: Sequence[Row]) -> list[str]:
    """Name of each clip as wav; where two would be the same (a.flac, a.wav) the whole name and `.wav`."""
    plain = [PurePosixPath(row.path).with_suffix(".wav").as_posix() for row in rows]
    counts = Counter(plain)
    return [name if counts[name] == 1 else f"{row.path}.wav" for name, row in zip(plain, rows, strict=True)]
