"""Write the trimmed clips, all of one length, as wav files: to hear, and to use elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from data_prep.store import Row, Store
from data_prep.window import cut_word
from speechcmd.audio import SAMPLE_RATE, float32_to_int16


def export_wav(
    store: Store, length: str | float, folder: Path, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write every word of a store to `folder/word/name.wav`, cut or padded to `length`.

    The folder has the official layout, with its lists, so it is itself a corpus. Returns the number
    of clips. A clip is written whole or not at all.

    Raises
    ------
    StoreError
        If the length is not known.
    """
    n_samples = store.length_samples(length)
    rows = store.select("word")
    for number, row in enumerate(rows):
        waveform = cut_word(store, row, n_samples, np.random.Generator(np.random.PCG64(number)))
        path = folder / _name_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        soundfile.write(part, float32_to_int16(waveform), SAMPLE_RATE, format="WAV", subtype="PCM_16")
        part.replace(path)
        if progress:
            progress(number + 1, len(rows))
    for split in ("validation", "testing"):
        names = "".join(f"{_name_of(row)}\n" for row in rows if row.split == split)
        (folder / f"{split}_list.txt").write_text(names, encoding="utf-8")
    return len(rows)


def _name_of(row: Row) -> str:
    return PurePosixPath(row.path).with_suffix(".wav").as_posix()
