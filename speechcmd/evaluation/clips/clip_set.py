"""From a store, a folder of clips or the official test archive to the clips of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_prep.split import SPLITS
from data_prep.store import INDEX_FILE, INFO_FILE
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.clips.clip_source import (
    ClipSource,
    FolderSource,
    StoreSource,
    collect_all,
    draw_clip_set,
)
from speechcmd.evaluation.clips.labelled_clip import ClipSet, Draw, LabelledClip
from speechcmd.evaluation.clips.official_archive import is_official_archive, open_official_archive
from speechcmd.labels import SILENCE, TEN_WORDS, UNKNOWN, name_labels

__all__ = ["TASKS", "ClipSet", "Draw", "LabelledClip", "open_clip_set"]

TASKS = ("own", "12", "35")
UNKNOWN_RULES = ("official", "all")
_MOST_NAMED = 5


def open_clip_set(
    source: Path,
    task: str,
    split: str,
    labels: Sequence[str],
    *,
    unknown: str = "official",
    seed: int = 0,
) -> ClipSet:
    """Collect the clips of a task; audio is read only when a clip is.

    Parameters
    ----------
    source
        A store, a folder in the official layout, or the official 12-class test archive (a tar file, or the
        folder it was extracted to).
    task
        "own": the model's words, `_unknown_` and `_silence_`. "12": the official ten words and these two.
        "35": every word of the source is a label, every clip of the split a clip.
    split
        "training", "validation" or "testing"; the archive is "testing".
    labels
        The model's labels.
    unknown
        "official": as many clips of other words as the official rule says. "all": all of them.

    Raises
    ------
    EvaluationError
        If there is no such source, the model lacks a label of the task, or the split has no clips.
    StoreError, CorpusError
        If the store or the folder cannot be used.
    """
    _check_request(task, split, unknown)
    if not source.exists():
        raise EvaluationError(
            "expected a store, a folder of clips or the official test archive, found nothing", path=source
        )
    if is_official_archive(source):
        return _open_archive(source, task, split, labels, unknown)
    if task == "35":
        rows = _open_source(source, needs_noise=False)
        clips = collect_all(rows, str(source), split)
        _check_labels(task, clips.labels, labels)
        return clips
    wanted = _labels_of(task, labels)
    rows = _open_source(source, needs_noise=SILENCE in wanted)
    return draw_clip_set(rows, str(source), task, split, wanted, unknown, seed)


def _check_request(task: str, split: str, unknown: str) -> None:
    for what, given, known in (
        ("task", task, TASKS),
        ("split", split, SPLITS),
        ("unknown", unknown, UNKNOWN_RULES),
    ):
        if given not in known:
            raise EvaluationError(f"{what}: expected {', '.join(known)}, got {given!r}")


def _open_source(source: Path, *, needs_noise: bool) -> ClipSource:
    if source.is_file():
        raise EvaluationError(
            "expected a store, a folder of clips or the official test archive (.tar.gz), got another file",
            path=source,
            advice="for single recordings there is `speechcmd classify`",
        )
    is_store = any((source / file).exists() for file in (INFO_FILE, INDEX_FILE))
    return StoreSource(source) if is_store else FolderSource(source, needs_noise=needs_noise)


def _open_archive(source: Path, task: str, split: str, labels: Sequence[str], unknown: str) -> ClipSet:
    if task == "35" or unknown != "official" or split != "testing":
        raise EvaluationError(
            "the official test archive holds the testing clips of the 12-class task",
            path=source,
            advice="for another task, split or rule give a store or a folder of all clips",
        )
    return open_official_archive(source, task, _labels_of(task, labels))


def _labels_of(task: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels of a task: its words, then `_unknown_` and `_silence_` if the model knows them."""
    if task == "12":
        wanted = (*TEN_WORDS, UNKNOWN, SILENCE)
        _check_labels(task, wanted, labels)
        return wanted
    extra = [label for label in (UNKNOWN, SILENCE) if label in labels]
    return (*(label for label in labels if label not in (UNKNOWN, SILENCE)), *extra)


def _check_labels(task: str, wanted: Sequence[str], labels: Sequence[str]) -> None:
    missing = [label for label in wanted if label not in labels]
    if missing:
        more = len(missing) - _MOST_NAMED
        lacks = name_labels(missing[:_MOST_NAMED]) + (f" and {more} other labels" if more > 0 else "")
        raise EvaluationError(
            f"task {task}: the model lacks {lacks}; it knows {name_labels(labels)}; "
            "take the task own, or a model of these words"
        )
