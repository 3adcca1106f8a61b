"""Recordings of one role: audio for training, for thresholds and for figures is kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.split import RoleRule
from speechcmd.errors import EvaluationError


def of_role(place: Path, files: Sequence[Path], role: str) -> list[Path]:
    """Keep the recordings of a role; all, if no `roles.csv` speaks of any of them.

    Parameters
    ----------
    place
        The folder that was given, or the single file. A `roles.csv` in it or above it decides.
    files
        The recordings in the folder; the file itself.
    role
        train, calibrate or figures.

    Raises
    ------
    EvaluationError
        If a single file has another role, or is said to be unused.
    CorpusError
        If the `roles.csv` cannot be used.
    """
    here = place.resolve()  # a link shall not lead round the roles
    rule = RoleRule(here if place.is_dir() else here.parent)
    real = {path: path.resolve() for path in files}
    inside = {path: one for path, one in real.items() if one.is_relative_to(rule.folder)}
    if rule.file is None or not any(rule.speaks_of(one) for one in inside.values()):
        return list(files)
    roles = {path: rule.role_of(one) for path, one in inside.items()}
    if not place.is_dir() and roles[place] != role:
        has = f"has the role {roles[place]}" if roles[place] else "is unused"
        raise EvaluationError(f"{has} in {rule.file}, here recordings of role {role} are needed", path=place)
    return [path for path in files if roles.get(path) == role]
