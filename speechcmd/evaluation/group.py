"""Fairness: the same figures for each group of a metadata file."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.clip_metric import Bools, measure_accuracy
from speechcmd.evaluation.example import Example
from speechcmd.evaluation.interval import bootstrap_interval
from speechcmd.runtime.model_card import SILENCE

KEYS = ("path", "speaker")
NO_ENTRY = "(no entry)"
MOST_NUMBERS = 8  # a column with more different numbers is cut into quartile ranges
MOST_TEXTS = 50  # a column with more different texts (a sentence, a remark) makes no groups
LEAST_CLIPS = 20  # a smaller group says nothing about the largest gap

Entry = dict[str, str]


@dataclass(frozen=True)
class Metadata:
    """Rows of a metadata file by what they belong to; None where two rows contradict each other."""

    name: str
    columns: tuple[str, ...]
    by_path: dict[str, Entry | None]
    by_speaker: dict[str, Entry | None]

    def entry_of(self, example: Example) -> Entry | None:
        """The row of a clip: by its path, else by its file name, else by its speaker."""
        file = PurePosixPath(example.path).name
        by_path = self.by_path.get(example.path) or self.by_path.get(file)
        return by_path or (self.by_speaker.get(example.speaker) if example.speaker else None)


def read_metadata(path: Path) -> Metadata:
    """Read a CSV with a column `path` or `speaker`, and any others to group by.

    A path may be the clip's own (`yes/0a7c2a8d_nohash_0.wav`), a longer one that ends so, or a file name.

    Raises
    ------
    EvaluationError
        If it cannot be read, or lacks these columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows, header = list(reader), tuple(reader.fieldnames or ())
    except (OSError, ValueError, csv.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise EvaluationError(f"{path}: cannot read the metadata: {reason}") from error
    columns = tuple(name for name in header if name not in KEYS)
    if not columns or len(columns) == len(header):
        raise EvaluationError(
            f"{path}: expected a CSV with a column path or speaker and others to group by, "
            f"got the columns {', '.join(header) or 'none'}"
        )
    metadata = Metadata(str(path), columns, {}, {})
    for row in rows:
        _add_row(metadata, {name: (row[name] or "").strip() for name in header})
    return metadata


def _add_row(metadata: Metadata, row: Entry) -> None:
    entry = {name: row[name] for name in metadata.columns}
    parts = PurePosixPath(row.get("path", "").replace("\\", "/")).parts
    # a name alone only where the row gives no folder: no/x.wav says nothing of yes/x.wav
    names = ["/".join(parts[first:]) for first in range(max(1, len(parts) - 1))]
    for table, keys in ((metadata.by_path, names), (metadata.by_speaker, [row.get("speaker", "")])):
        for key in filter(None, keys):
            table[key] = entry if table.get(key, entry) == entry else None


def match_metadata(examples: Sequence[Example], metadata: Metadata) -> list[Entry | None]:
    """The row of each clip, None where it has none.

    Raises
    ------
    EvaluationError
        If no row belongs to any clip.
    """
    entries = [metadata.entry_of(example) for example in examples]
    if not any(entries):
        spoken = next((example for example in examples if example.speaker), examples[0])
        raise EvaluationError(
            f"{metadata.name}: none of its rows belongs to any of the {len(examples):,} clips; those have "
            f"paths such as {printable(spoken.path)} and speakers such as "
            f"{printable(spoken.speaker) or '(none)'}"
        )
    return entries


def measure_groups(
    examples: Sequence[Example], is_right: Bools, metadata: Metadata, seed: int = 0
) -> list[dict[str, Any]]:
    """Accuracy of each group of each column, and the largest gap with its interval.

    Clips without a row are the group "(no entry)", but for silence, which nobody speaks. The gap is that
    between the best and the worst group of at least 20 clips; its interval comes from drawing speakers anew
    (clips, where there is no speaker) with these two groups kept: one that reaches below 0 shows no gap.

    Raises
    ------
    EvaluationError
        If no row belongs to any clip.
    """
    entries = match_metadata(examples, metadata)
    counted = [i for i, entry in enumerate(entries) if entry or examples[i].label != SILENCE]
    units = _number_units([examples[i] for i in counted])
    measured = []
    for column in metadata.columns:
        values = group_values([(entries[i] or {}).get(column, "") for i in counted])
        if values is not None:
            measured.append(_measure_column(column, values, is_right[counted], units, seed))
    return measured


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
    names = {part: f"{min(inside):g} to {max(inside):g}" for part, inside in members.items()}
    return [names[int(np.searchsorted(edges, numbers[text]))] if text else NO_ENTRY for text in texts]


def _number_units(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """What is drawn anew: the number of each clip's speaker, or one of its own. Shape: (n_clips,)."""
    names = [f"s{one.speaker}" if one.speaker else f"c{index}" for index, one in enumerate(examples)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _measure_column(
    column: str, values: Sequence[str], is_right: Bools, units: npt.NDArray[np.int64], seed: int
) -> dict[str, Any]:
    of_value = np.array(values)
    groups = [
        {"value": value, **_accuracy_of(is_right[of_value == value])}
        for value in sorted(set(values), key=_group_order)
    ]
    large = [group for group in groups if group["n"] >= LEAST_CLIPS and group["value"] != NO_ENTRY]
    gap = low = high = None
    if len(large) > 1:
        best = max(large, key=lambda group: group["accuracy"])
        worst = min(large, key=lambda group: group["accuracy"])
        gap = best["accuracy"] - worst["accuracy"]
        pair = (of_value == best["value"], of_value == worst["value"])
        low, high = _gap_interval(*pair, is_right, units, seed)
    return {"column": column, "largest_gap": gap, "gap_low": low, "gap_high": high, "groups": groups}


def _accuracy_of(is_right: Bools) -> dict[str, Any]:
    found = measure_accuracy(is_right)
    return {"n": found["n"], "accuracy": found["value"], "low": found["low"], "high": found["high"]}


def _group_order(value: str) -> tuple[bool, float, str]:
    """Numbers and ranges by their size, other texts by the alphabet, clips without an entry last."""
    first = value.partition(" to ")[0]
    try:
        return value == NO_ENTRY, float(first), value
    except ValueError:
        return value == NO_ENTRY, math.inf, value


def _gap_interval(
    best: Bools, worst: Bools, is_right: Bools, units: npt.NDArray[np.int64], seed: int
) -> tuple[float | None, float | None]:
    n_units = int(units.max()) + 1
    n_best, n_worst = (np.bincount(units[group], minlength=n_units) for group in (best, worst))
    right_best, right_worst = (
        np.bincount(units[group & is_right], minlength=n_units) for group in (best, worst)
    )

    def gap_of(drawn: npt.NDArray[np.int64]) -> float:
        all_best, all_worst = n_best[drawn].sum(), n_worst[drawn].sum()
        if not all_best or not all_worst:
            return math.nan
        return float(right_best[drawn].sum() / all_best - right_worst[drawn].sum() / all_worst)

    low, high = bootstrap_interval(gap_of, n_units, seed=seed)
    return (None, None) if math.isnan(low) else (low, high)
