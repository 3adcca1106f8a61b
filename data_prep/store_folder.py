"""The folder of a store: written as `NAME.part`, renamed into place, never over what is not ours."""

from __future__ import annotations

import shutil
from pathlib import Path

from data_prep.store import AUDIO_FILE, INDEX_FILE, INFO_FILE
from speechcmd.errors import StoreError

LOG_MEL_FILE = "log_mel.npy"
SETTINGS_FILE = "settings.json"
OUR_FILES = frozenset({AUDIO_FILE, LOG_MEL_FILE, INDEX_FILE, INFO_FILE, SETTINGS_FILE})


def part_of(path: Path) -> Path:
    """Where a store lies while it is written."""
    return path.with_name(path.name + ".part")


def is_ours(path: Path) -> bool:
    """Whether a folder holds nothing but files of a store."""
    return path.is_dir() and not {entry.name for entry in path.iterdir()} - OUR_FILES


def make_part(path: Path) -> Path:
    """Make the empty folder `path.part`, in the place of one that was left behind.

    Raises
    ------
    StoreError
        If something else than an unfinished store has that name.
    """
    part = part_of(path)
    if part.exists():
        if not is_ours(part):
            raise StoreError(
                f"{part}: expected an unfinished store or nothing, found something else; move it"
            )
        shutil.rmtree(part)
    part.mkdir(parents=True)
    return part


def replace_folder(source: Path, target: Path) -> None:
    """Rename a folder into place; an older one there goes only after the new one stands."""
    old = target.with_name(f".{target.name}.replaced")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
