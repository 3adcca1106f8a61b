"""Splits and roles: the official rule, the lists of a folder, and the roles of long recordings.

The official rule splits by speaker: SHA-1 of the name before `_nohash_`, modulo 2^27 (Warden 2018, arXiv
1804.03209, and the README of the data set). `split_plan` says when which of them decides.
"""

from __future__ import annotations

import csv
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from speechcmd.errors import CorpusError
from speechcmd.labels import normalise_text

SPLITS = ("training", "validation", "testing")
ROLES = ("train", "calibrate", "figures")
SPLIT_OF_ROLE = {"train": "training", "calibrate": "validation", "figures": "testing"}
_ROLE_OF_SPLIT = {split: role for role, split in SPLIT_OF_ROLE.items()}

_MAX_CLIPS = 2**27 - 1
# the six official noises: one kept for choosing, one for final figures, as for speakers
_OFFICIAL_NOISE_ROLES = {"running_tap": "calibrate", "exercise_bike": "figures"}
_OFFICIAL_NOISE_FOLDER = "_background_noise_"


@lru_cache(maxsize=4096)
def hashed_percent(speaker: str) -> float:
    """Where the official rule places a speaker, from 0 to 100."""
    hashed = int(hashlib.sha1(os.fsencode(speaker)).hexdigest(), 16)
    return (hashed % (_MAX_CLIPS + 1)) * (100.0 / _MAX_CLIPS)


def hashed_split(speaker: str, validation_percent: float = 10.0, testing_percent: float = 10.0) -> str:
    """Split of a speaker by the official rule, stable for ever and for any set of files.

    >>> hashed_split("0a7c2a8d")
    'training'
    """
    percent = hashed_percent(speaker)
    if percent < validation_percent:
        return "validation"
    return "testing" if percent < validation_percent + testing_percent else "training"


class SplitLists:
    """The lists of a folder: `validation_list.txt` and `testing_list.txt`, a clip (`word/file`) a line.

    Raises
    ------
    CorpusError
        If one cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._listed: dict[str, str] = {}
        given = []
        for split in ("validation", "testing"):
            path = root / f"{split}_list.txt"
            if path.exists():
                given.append(split)
                self._listed |= dict.fromkeys(map(_clip_name, _read_lines(path)), split)
        self.given = frozenset(given)
        """The splits that have a list."""

    def split_of(self, path: str) -> str:
        """Split of a clip by its path relative to the folder, whatever its suffix; "" if no list has it."""
        return self._listed.get(_clip_name(path), "")


class RoleRule:
    """Decides the role of long recordings: by a `roles.csv` (columns path, role), else by hash.

    The file may lie in the folder itself or in one of the three folders above it; its paths are
    relative to where it lies.

    Raises
    ------
    CorpusError
        If the file cannot be read, or holds other columns or roles.
    """

    def __init__(self, folder: Path, roles_file: Path | None = None) -> None:
        self.folder = folder
        self.file = roles_file or _find_roles_file(folder.resolve())
        self._roles = _read_roles(self.file) if self.file else {}
        base = self.file.resolve().parent if self.file else folder.resolve()
        if not folder.resolve().is_relative_to(base):
            raise CorpusError(
                f"{self.file}: expected it in {folder} or above, its paths count from where it lies"
            )
        self._above = folder.resolve().relative_to(base)

    def role_of(self, path: Path) -> str:
        """Role of a recording: train, calibrate or figures; "" for one that the file leaves out."""
        name = path.relative_to(self.folder)
        if self.file:
            role = self._roles.get(normalise_text((self._above / name).as_posix()), "")
            return role if role in ROLES else ""
        if path.parent.name == _OFFICIAL_NOISE_FOLDER:
            return _OFFICIAL_NOISE_ROLES.get(path.stem, "train")
        return _ROLE_OF_SPLIT[hashed_split(name.as_posix())]

    def speaks_of(self, path: Path) -> bool:
        """Whether the file gives the recording a role, or says that it is unused."""
        return normalise_text((self._above / path.relative_to(self.folder)).as_posix()) in self._roles


def _read_lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read as a list of clips: {error}") from error


def _clip_name(path: str) -> str:
    """A clip's path without its suffix: the lists say .wav, a converted corpus may hold flac."""
    return normalise_text(os.path.splitext(path)[0].removeprefix("./"))


def _find_roles_file(folder: Path) -> Path | None:
    for place in [folder, *folder.parents][:4]:
        if (place / "roles.csv").exists():
            return place / "roles.csv"
    return None


def _read_roles(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise CorpusError(f"{path}: cannot read the roles: {reason}") from error
    if not {"path", "role"} <= set(columns):
        raise CorpusError(
            f"{path}: expected the columns path and role, got {', '.join(columns) or 'nothing'}"
        )
    allowed = {*ROLES, "unused", ""}
    for row in rows:
        if row["role"] not in allowed:
            raise CorpusError(
                f"{path}: {row['path']}: expected a role of {', '.join(ROLES)}, got {row['role']!r}"
            )
    return {normalise_text(row["path"]): row["role"] for row in rows}
