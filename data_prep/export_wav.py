"""Write the trimmed clips, all of one length, as wav files: to hear, and to use elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from data_prep.store import Row, Store
from data_prep.window import cut_word
from speechcmd.audio import SAMPLE_RATE, float32_to_int16
from speechcmd.errors import StoreError

MARK_FILE = ".speechcmd-export"


def export_wav(
    store: Store, length: str | float, folder: Path, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write every word of a store to `folder/word/name.wav`, cut or padded to `length`.

    The folder has the official layout, with its lists, so it is itself a corpus. Returns the number
    of clips. A clip is written whole or not at all.

    Raises
    ------
    StoreError
        If the length is not known, or the folder holds files that no export wrote.
    """
    n_samples = store.length_samples(length)
    check_export_folder(folder)
    rows = store.select("word")
    (folder / MARK_FILE).write_text("Written by speechcmd prepare --export-wav; may be written again.\n")
    names = _names_of(rows)
    for number, row in enumerate(rows):
        waveform = cut_word(store, row, n_samples, np.random.Generator(np.random.PCG64(number)))
        path = folder / names[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        soundfile.write(part, float32_to_int16(waveform), SAMPLE_RATE, format="WAV", subtype="PCM_16")
        part.replace(path)
        if progress:
            progress(number + 1, len(rows))
    for split in ("validation", "testing"):
        listed = "".join(f"{name}\n" for name, row in zip(names, rows, strict=True) if row.split == split)
        (folder / f"{split}_list.txt").write_text(listed, encoding="utf-8")
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
