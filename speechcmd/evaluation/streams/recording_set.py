"""Which recordings a stream is measured on, and what is known of each."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.split import SPLIT_OF_ROLE
from speechcmd.audio.suffixes import ALL_SUFFIXES
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import SUFFIXES, Annotation, read_annotation
from speechcmd.evaluation.streams.homophone import labels_heard_in
from speechcmd.evaluation.streams.role import of_role

TRANSCRIPTS_FILE = "transcripts.csv"
NO_KIND = "recordings"
_FOLDERS_ABOVE = 3
_COLUMNS = {"path", "sentence"}


@dataclass(frozen=True, slots=True)
class GivenRecording:
    """One recording to measure on."""

    path: Path
    kind: str
    """Speech, music, what the asker calls it."""
    annotation: Annotation | None = None
    """What is said in it; None: no keyword at all."""
    sentence: str = ""
    """What is said in it as text, where a transcript says so."""
    heard: frozenset[str] = frozenset()
    """Labels that sound in the sentence: no detection of them counts as false, nor as right."""


@dataclass(frozen=True)
class RecordingSet:
    """All recordings, and how many were left out because their role is another."""

    recordings: tuple[GivenRecording, ...]
    n_other_role: int
    n_transcripts: int


def collect_recordings(
    sources: Sequence[str], labels: Collection[str], *, role: str, truth: Path | None = None
) -> RecordingSet:
    """List the recordings in folders and files.

    Parameters
    ----------
    sources
        Files and folders, whose recordings are of the kind that the folder's name says, or KIND=PATH.
    labels
        Words of the model, looked for in transcripts (`transcripts.csv` in a folder or above it).
    role
        train, calibrate or figures: a `roles.csv` in a folder or above it gives each recording one role;
        recordings of folders that have another are left out, single files refused.
    truth
        Labels of the one recording given; else those that lie beside a recording under its name.

    Raises
    ------
    EvaluationError
        If there is no such recording, none is left, one has another role, or labels cannot be read.
    """
    found: dict[Path, GivenRecording] = {}
    n_other_role = 0
    for source in sources:
        kind, place = _kind_of(source)
        files = list(_files_below(place)) if place.is_dir() else [place]
        n_before = len(found)
        kept = of_role(place, files, role)
        n_other_role += len(files) - len(kept)
        sentences = _Sentences(place)
        for path in kept:
            recording = _describe(path, kind, sentences.of(path), labels, truth)
            _check_split(recording, role)
            found.setdefault(path.resolve(), recording)
        if place.is_dir() and not files:
            raise EvaluationError("expected recordings in the folder, found none", path=place)
        if len(found) == n_before and not kept:
            raise EvaluationError(
                f"expected recordings of role {role}, all {len(files)} in it have another", path=place
            )
    recordings = tuple(found.values())
    if truth is not None and len(recordings) != 1:
        raise EvaluationError(
            f"--truth: expected one recording for its labels, got {len(recordings)}; lay labels beside each "
            "recording under its name"
        )
    return RecordingSet(recordings, n_other_role, sum(bool(one.sentence) for one in recordings))


def _kind_of(source: str) -> tuple[str, Path]:
    """KIND=PATH, or a path whose folder's name is the kind."""
    name, mark, rest = source.partition("=")
    place = Path(source)
    kind = ""
    if mark and name and not place.exists():
        kind, place = name, Path(rest)
    if not place.exists():
        raise EvaluationError("expected a recording or a folder, found nothing", path=place)
    if place.is_dir():
        return kind or place.resolve().name, place
    return kind or NO_KIND, place


def _files_below(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in ALL_SUFFIXES and not name.startswith("."):
                yield Path(base) / name


class _Sentences:
    """What a `transcripts.csv` in a folder or above it says; its paths count from where it lies."""

    def __init__(self, place: Path) -> None:
        folder = (place if place.is_dir() else place.parent).resolve()
        above = [folder, *folder.parents][: _FOLDERS_ABOVE + 1]
        file = next((one / TRANSCRIPTS_FILE for one in above if (one / TRANSCRIPTS_FILE).exists()), None)
        self._base = file.parent if file else folder
        self._sentence_of = dict(_read_sentences(file)) if file else {}

    def of(self, path: Path) -> str:
        full = path.resolve()
        if not self._sentence_of or not full.is_relative_to(self._base):
            return ""
        return self._sentence_of.get(full.relative_to(self._base).as_posix(), "")


def _read_sentences(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            if not set(reader.fieldnames or ()) >= _COLUMNS:
                raise EvaluationError("expected the columns path and sentence", path=path)
            for row in reader:
                yield row["path"], row["sentence"] or ""
    except (OSError, ValueError, csv.Error) as error:
        raise EvaluationError(f"cannot read the transcripts: {error}", path=path) from error


def _check_split(recording: GivenRecording, role: str) -> None:
    """Refuse a recording that `make-stream` made of another split's voices."""
    settings = recording.annotation.settings if recording.annotation else {}
    split = settings.get("split")
    if split in SPLIT_OF_ROLE.values() and split != SPLIT_OF_ROLE[role]:
        raise EvaluationError(
            f"made of the {split} split, here recordings of role {role} ({SPLIT_OF_ROLE[role]}) are needed",
            path=recording.path,
        )


def _describe(
    path: Path, kind: str, sentence: str, labels: Collection[str], truth: Path | None
) -> GivenRecording:
    beside = next((path.with_suffix(end) for end in SUFFIXES if path.with_suffix(end).is_file()), None)
    labels_file = truth or beside
    annotation = read_annotation(labels_file) if labels_file else None
    # who said what is known exactly needs no transcript
    heard = frozenset() if annotation else labels_heard_in(sentence, labels)
    return GivenRecording(path, kind, annotation, sentence, heard)
