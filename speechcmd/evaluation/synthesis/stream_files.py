"""Where a synthetic recording and its labels are put: beside nothing that they would belong to by mistake.

Labels lie beside a recording under its name, so a recording of the same name in another format would
become theirs, and labels drawn by hand would be lost.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from speechcmd.audio.suffixes import ALL_SUFFIXES
from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.streams.annotation import Annotation, read_annotation
from speechcmd.files import place_file

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
_SAME_TIME_S = 1e-5  # more than a label track rounds by
_SETTING = "store_digest"  # only labels that make-stream wrote say which store they are from


def label_paths(path: Path) -> tuple[Path, Path]:
    """Where the labels of a recording lie: ours, and those for Audacity."""
    return path.with_suffix(".json"), path.with_suffix(".txt")


def check_target(path: Path) -> None:
    """Refuse, before any work, a name under which something else lies.

    Raises
    ------
    EvaluationError
        If the suffix is another, a folder has one of the names, a recording in another format has the
        name, or labels that `make_stream` did not write lie there.
    OSError
        If there is no such folder.
    """
    name = printable(str(path))
    if path.suffix.lower() not in FORMATS:
        raise EvaluationError("expected a name that ends with .wav or .flac", path=name)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    for target in (path, *label_paths(path)):
        if target.is_dir():
            raise EvaluationError(
                "is a folder", path=target, advice=f"choose another name for {printable(path.name)}"
            )
    for other in path.parent.iterdir():
        if _is_other_recording(other, path):
            raise EvaluationError(
                f"lies there already and would get the labels of {printable(path.name)}",
                path=other,
                advice="choose another name",
            )
    _check_labels(path)


def put_in_place(files: Sequence[Path], targets: Sequence[Path]) -> None:
    """Move files to where they belong: all of them, or none is left there.

    Raises
    ------
    OSError
        If one cannot be moved.
    """
    placed: list[Path] = []
    try:
        for file, target in zip(files, targets, strict=True):
            place_file(file, target)
            placed.append(target)
    except OSError:
        for target in placed:
            target.unlink(missing_ok=True)
        raise


def _is_other_recording(other: Path, path: Path) -> bool:
    if other.stem != path.stem or other.suffix.lower() not in ALL_SUFFIXES or other.name == path.name:
        return False
    return not (path.exists() and other.samefile(path))  # where large and small letters are one


def _check_labels(path: Path) -> None:
    json_path, audacity_path = label_paths(path)
    ours: Annotation | None = None
    if json_path.exists():
        ours = _read_own(json_path)
        if ours is None:
            raise _not_ours(json_path)
    if audacity_path.exists() and (ours is None or not _are_same(ours, audacity_path)):
        raise _not_ours(audacity_path)


def _read_own(path: Path) -> Annotation | None:
    try:
        annotation = read_annotation(path)
    except EvaluationError:
        return None
    return annotation if _SETTING in annotation.settings else None


def _are_same(ours: Annotation, audacity_path: Path) -> bool:
    """Whether a label track is as it was written, or was changed by hand since."""
    try:
        found = read_annotation(audacity_path).words
    except EvaluationError:
        return False
    return len(found) == len(ours.words) and all(
        one.label == printable(other.label, " ")
        and abs(one.start_s - other.start_s) < _SAME_TIME_S
        and abs(one.end_s - other.end_s) < _SAME_TIME_S
        for one, other in zip(found, ours.words, strict=True)
    )


def _not_ours(path: Path) -> EvaluationError:
    return EvaluationError(
        "make-stream did not write these labels, or not so",
        path=path,
        advice="move them away or choose another name",
    )
