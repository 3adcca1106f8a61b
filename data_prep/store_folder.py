"""The folder of a store: which files are in it, and where it lies while it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from data_prep.store import AUDIO_FILE, INDEX_FILE, INFO_FILE
from speechcmd.errors import StoreError
from speechcmd.files import is_part

LOG_MEL_FILE = "log_mel.npy"
SETTINGS_FILE = "settings.json"
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
