"""Which split a clip belongs to, and which role a recording has.

Splits are by speaker. The official lists decide if the folder has them, else the official rule:
SHA-1 of the name before `_nohash_`, modulo 2^27 (Warden 2018, arXiv 1804.03209, and the README of
the data set).
"""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path, PurePosixPath

from speechcmd.errors import CorpusError

SPLITS = ("training", "validation", "testing")
ROLES = ("train", "calibrate", "figures")
SPLIT_OF_ROLE = {"train": "training", "calibrate": "validation", "figures": "testing"}

_MAX_CLIPS = 2**27 - 1
_AFTER_SPEAKER = re.compile(r"_nohash_.*$")
# the six official noises: one kept for choosing, one for final figures, as for speakers
_OFFICIAL_NOISE_ROLES = {"running_tap": "calibrate", "exercise_bike": "figures"}
_OFFICIAL_NOISE_FOLDER = "_background_noise_"


def speaker_of(path: str | PurePosixPath) -> str:
    """Speaker part of a clip's name: all before `_nohash_`, or the stem before the last underscore."""
    name = PurePosixPath(path).name
    if "_nohash_" in name:
        return _AFTER_SPEAKER.sub("", name)
    stem = PurePosixPath(path).stem
    return stem.rpartition("_")[0] or stem


def hashed_split(speaker: str, validation_percent: float = 10.0, testing_percent: float = 10.0) -> str:
    """Split of a speaker by the official rule, stable for ever and for any set of files.

    >>> hashed_split("0a7c2a8d")
    'training'
    """
    hashed = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    percent = (hashed % (_MAX_CLIPS + 1)) * (100.0 / _MAX_CLIPS)
    if percent < validation_percent:
        return "validation"
    return "testing" if percent < validation_percent + testing_percent else "training"


class SplitRule:
    """Decides splits for the clips of one folder: by its official lists if it has them, else by hash."""

    def __init__(self, root: Path) -> None:
        self._listed: dict[str, str] = {}
        for split in ("validation", "testing"):
            path = root / f"{split}_list.txt"
            if path.exists():
                self._listed |= dict.fromkeys(path.read_text().split(), split)

    @property
    def name(self) -> str:
        """"lists" or "hash": what the audit and the store say of the rule."""
        return "lists" if self._listed else "hash"

    def split_of(self, path: str, speaker: str) -> str:
        """Split of a clip by its path relative to the folder (`word/file`)."""
        if self._listed:
            return self._listed.get(path, "training")
        return hashed_split(speaker)


class RoleRule:
    """Decides the role of long recordings: by a `roles.csv` (columns path, role), else by hash.

    The file may lie in the folder itself or in one of the two folders above it; its paths are
    relative to where it lies.
    """

    def __init__(self, folder: Path, roles_file: Path | None = None) -> None:
        self._folder = folder.resolve()
        self.file = roles_file or _find_roles_file(self._folder)
        self._roles = _read_roles(self.file) if self.file else {}
        self._base = self.file.resolve().parent if self.file else self._folder

    def role_of(self, path: Path) -> str:
        """Role of a recording: train, calibrate or figures; "" for one that the file leaves out."""
        if self._roles:
            return self._roles.get(path.resolve().relative_to(self._base).as_posix(), "")
        if path.parent.name == _OFFICIAL_NOISE_FOLDER:
            return _OFFICIAL_NOISE_ROLES.get(path.stem, "train")
        name = path.resolve().relative_to(self._folder).as_posix()
        return {split: role for role, split in SPLIT_OF_ROLE.items()}[hashed_split(name)]


def _find_roles_file(folder: Path) -> Path | None:
    for place in [folder, *folder.parents][:4]:
        if (place / "roles.csv").exists():
            return place / "roles.csv"
    return None


def _read_roles(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    except OSError as error:
        raise CorpusError(f"{path}: cannot read the roles: {error.strerror}") from error
    if rows and not {"path", "role"} <= set(rows[0]):
        raise CorpusError(f"{path}: expected the columns path and role, got {', '.join(rows[0])}")
    allowed = {*ROLES, "unused", ""}
    for row in rows:
        if row["role"] not in allowed:
            raise CorpusError(f"{path}: {row['path']}: expected a role of {', '.join(ROLES)}, got {row['role']!r}")
    return {row["path"]: row["role"] for row in rows if row["role"] in ROLES}
