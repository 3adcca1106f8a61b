"""Fairness: the same figures for each group of a metadata file."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.clips.answers import Answers
from speechcmd.evaluation.clips.clip_result import Group, GroupColumn, LabelRecall
from speechcmd.evaluation.clips.group_gap import measure_gap
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.clips.metrics import (
    count_confusions,
    join_labels,
    mean_f1,
    measure_labels,
)
from speechcmd.evaluation.clips.share_interval import number_units, share_interval
from speechcmd.labels import SILENCE, normalise_text

KEYS = ("path", "speaker")
NO_ENTRY = "(no entry)"
MOST_NUMBERS = 8  # a column with more different numbers is cut into quartile ranges
MOST_TEXTS = 50  # a column with more different texts (a sentence, a remark) makes no groups
_DIGITS = range(6, 18)  # of a number; with 17 no two numbers look alike

Entry = dict[str, str]


@dataclass(frozen=True)
class Metadata:
    """Rows of a metadata file by what they belong to; None where two rows contradict each other."""

    name: str
    columns: tuple[str, ...]
    by_path: dict[str, Entry | None]
    by_speaker: dict[str, Entry | None]

    def entry_of(self, clip: LabelledClip) -> Entry | None:
        """The row of a clip: by its path, else by its file name, else by its speaker."""
        path, speaker = normalise_text(clip.path), normalise_text(clip.speaker)
        by_path = self.by_path.get(path) or self.by_path.get(PurePosixPath(path).name)
        return by_path or (self.by_speaker.get(speaker) if speaker else None)


def read_metadata(path: Path) -> Metadata:
    """Read a CSV with a column `path` or `speaker`, and any others to group by.

    A path may be the clip's own (`yes/0a7c2a8d_nohash_0.wav`), a longer one that ends so, or a file name.
    Columns without a name are left out.

    Raises
    ------
    EvaluationError
        If it cannot be read, lacks these columns, or has one twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            header = reader.fieldnames = [_name_column(name) for name in reader.fieldnames or ()]
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise EvaluationError(f"cannot read the metadata: {reason}", path=path) from error
    named = [name for name in header if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise EvaluationError(
            f"expected columns of different names, got more than one of {printable(', '.join(twice))}",
            path=path,
            advice="rename or remove one",
        )
    columns = tuple(name for name in named if name not in KEYS)
    if not columns or len(columns) == len(named):
        raise EvaluationError(
            f"expected a CSV with a column path or speaker and others to group by, "
            f"got the columns {printable(', '.join(named)) or 'none'}",
            path=path,
        )
    metadata = Metadata(str(path), columns, {}, {})
    for row in rows:
        _add_row(metadata, {name: (row[name] or "").strip() for name in named})
    return metadata


def _name_column(name: str) -> str:
    name = name.strip()
    return name.casefold() if name.casefold() in KEYS else name


def _add_row(metadata: Metadata, row: Entry) -> None:
    entry = {name: row[name] for name in metadata.columns}
    parts = PurePosixPath(row.get("path", "").replace("\\", "/")).parts
    # a name alone only where the row gives no folder: no/x.wav says nothing of yes/x.wav
    names = ["/".join(parts[first:]) for first in range(max(1, len(parts) - 1))]
    for table, keys in ((metadata.by_path, names), (metadata.by_speaker, [row.get("speaker", "")])):
        for key in filter(None, map(normalise_text, keys)):
            table[key] = entry if table.get(key, entry) == entry else None


def match_metadata(clips: Sequence[LabelledClip], metadata: Metadata) -> list[Entry | None]:
    """The row of each clip, None where it has none.

    Raises
    ------
    EvaluationError
        If no row belongs to any clip.
    """
    entries = [metadata.entry_of(clip) for clip in clips]
    if not any(entries):
        spoken = next((clip for clip in clips if clip.speaker), clips[0])
        raise EvaluationError(
            f"none of its rows belongs to any of the {len(clips):,} clips; those have paths such as "
            f"{printable(spoken.path)} and speakers such as {printable(spoken.speaker) or '(none)'}",
            path=metadata.name,
        )
    return entries


def measure_groups(
    clips: Sequence[LabelledClip],
    answers: Answers,
    labels: Sequence[str],
    metadata: Metadata,
    seed: int = 0,
) -> tuple[GroupColumn, ...]:
    """Accuracy, macro F1 and recalls of each group of each column, and the largest gap of accuracy.

    Clips without a row are the group "(no entry)", but for silence, which nobody speaks. A column that
    makes no groups says why in its note. The gap is as `measure_gap` says.

    Raises
    ------
    EvaluationError
        If no row belongs to any clip.
    """
    entries = match_metadata(clips, metadata)
    counted = [i for i, entry in enumerate(entries) if entry or clips[i].label != SILENCE]
    spoken = [clips[i] for i in counted]
    said = Answers([answers.labels[i] for i in counted], answers.scores[counted], answers.posteriors[counted])
    texts_of = {name: [(entries[i] or {}).get(name, "") for i in counted] for name in metadata.columns}
    return tuple(_measure_column(name, texts, spoken, said, labels, seed) for name, texts in texts_of.items())


def _measure_column(
    column: str,
    texts: Sequence[str],
    clips: Sequence[LabelledClip],
    answers: Answers,
    labels: Sequence[str],
    seed: int,
) -> GroupColumn:
    values, is_right = group_values(texts), answers.are_right(clips)
    if values is None:
        n_texts = len(set(texts) - {""})
        note = f"{n_texts:,} different texts are too many (the most is {MOST_TEXTS}), no groups are made"
        return GroupColumn(column=column, groups=(), note=note)
    members: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        members[value].append(index)
    names = sorted(members, key=_group_order)
    units = number_units([clip.speaker for clip in clips])
    gap = measure_gap(values, [name for name in names if name != NO_ENTRY], is_right, units, seed)
    groups = tuple(_measure_group(name, members[name], clips, answers, labels) for name in names)
    return GroupColumn(column=column, groups=groups, **asdict(gap))


def _measure_group(
    name: str,
    inside: Sequence[int],
    clips: Sequence[LabelledClip],
    answers: Answers,
    labels: Sequence[str],
) -> Group:
    own, said = [clips[i] for i in inside], [answers.labels[i] for i in inside]
    is_right = np.array([one.label == answer for one, answer in zip(own, said, strict=True)], dtype=bool)
    found = share_interval(is_right, [one.speaker for one in own])
    labels = join_labels(labels, said)
    rows = measure_labels(count_confusions([one.label for one in own], said, labels), labels)
    return Group(
        value=name,
        n=len(own),
        accuracy=int(is_right.sum()) / len(own),
        low=found.low,
        high=found.high,
        interval=found.name,
        macro_f1=mean_f1(rows),
        by_label=tuple(LabelRecall(row.label, row.n, row.recall) for row in rows),
    )


def group_values(texts: Sequence[str]) -> list[str] | None:
    """The group of each clip: its text, or the quartile range of its number; None if there are too many."""
    different = set(texts) - {""}
    if len(different) > MOST_NUMBERS and (numbers := _as_numbers(different)) is not None:
        return _cut_into_quartiles(texts, numbers)
    return None if len(different) > MOST_TEXTS else [text or NO_ENTRY for text in texts]


def _as_numbers(texts: set[str]) -> dict[str, float] | None:
    try:
        numbers = {text: float(text) for text in texts}
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers.values())) else None


def _cut_into_quartiles(texts: Sequence[str], numbers: dict[str, float]) -> list[str]:
    given = np.array([numbers[text] for text in texts if text])
    edges = np.quantile(given, [0.25, 0.5, 0.75])
    members: dict[int, list[float]] = defaultdict(list)
    for number in given:
        members[int(np.searchsorted(edges, number))].append(number)
    names = _name_ranges({part: (min(inside), max(inside)) for part, inside in members.items()})
    return [names[int(np.searchsorted(edges, numbers[text]))] if text else NO_ENTRY for text in texts]


def _name_ranges(ranges: dict[int, tuple[float, float]]) -> dict[int, str]:
    """The ranges in words, with as many digits as it takes to tell them apart."""
    names: dict[int, str] = {}
    for digits in _DIGITS:
        names = {part: f"{low:.{digits}g} to {high:.{digits}g}" for part, (low, high) in ranges.items()}
        if len(set(names.values())) == len(names):
            break
    return names


def _group_order(value: str) -> tuple[bool, float, str]:
    """Numbers and ranges by their size, other texts by the alphabet, clips without an entry last."""
    first = value.partition(" to ")[0]
    try:
        return value == NO_ENTRY, float(first), value
    except ValueError:
        return value == NO_ENTRY, math.inf, value
