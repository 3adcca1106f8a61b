"""The folder of a store: its files, where it lies while it is written, and what it says of its rows."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from data_prep.store import AUDIO_FILE, INDEX_FILE, INFO_FILE, Row
from speechcmd.errors import StoreError
from speechcmd.files import is_part

LOG_MEL_FILE = "log_mel.npy"
SETTINGS_FILE = "settings.json"
KEPT_WHOLE = frozenset({"near_silent", "low_contrast"})  # flags of clips in which no word was found
OUR_FILES = frozenset({AUDIO_FILE, LOG_MEL_FILE, INDEX_FILE, INFO_FILE, SETTINGS_FILE})


def part_of(path: Path) -> Path:
    """Where a store of audio lies while it is written, known by name so that the work can go on."""
    return path.with_name(path.name + ".part")


def is_ours(path: Path) -> bool:
    """Whether a folder, no link to one, holds nothing but files of a store, none of them a link."""
    if path.is_symlink() or not path.is_dir():
        return False
    return all(
        (entry.name in OUR_FILES and not entry.is_symlink()) or is_part(entry.name)
        for entry in path.iterdir()
    )


def make_part(path: Path) -> Path:
    """Make the empty folder `path.part`, in the place of one that was left behind.

    Raises
    ------
    StoreError
        If something else than an unfinished store has that name.
    """
    part = check_part(path)
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    return part


def check_part(path: Path) -> Path:
    """Where a store lies while it is written, if that is free or an unfinished store.

    Raises
    ------
    StoreError
        If something else has that name, be it a link.
    """
    part = part_of(path)
    if part.is_symlink() or (part.exists() and not is_ours(part)):
        raise StoreError(f"{part}: expected an unfinished store or nothing, found something else; move it")
    return part


def measure_durations(rows: Sequence[Row]) -> dict[str, int]:
    """Mean and 95th percentile of the trimmed words of the training split, in samples.

    Clips that were kept whole because no word was found in them do not count. Zeros if there is no word.
    """
    words = [row for row in rows if row.kind == "word" and row.split == "training"]
    words = words or [row for row in rows if row.kind == "word"]
    found = [row for row in words if not KEPT_WHOLE & set(row.flags)] or words
    lengths = np.array([row.n_speech for row in found] or [0])
    return {
        "mean_trimmed_samples": round(float(lengths.mean())),
        "p95_trimmed_samples": round(float(np.percentile(lengths, 95))),
        "n_words_measured": len(found),
    }


def digest_of_rows(rows: Iterable[Row], settings: str = "") -> str:
    """SHA-256 over which clips there are, where trimmed, in which split; and over `settings`."""
    hashed = hashlib.sha256(settings.encode())
    for row in rows:
        line = f"{row.path}\t{row.split}\t{row.speech_start}\t{row.speech_end}\t{row.digest}\n"
        hashed.update(os.fsencode(line))
    return hashed.hexdigest()
