"""The measured figures as tables of text: the page and the model card show the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from speechcmd.evaluation.clips.clip_wording import describe_clip_intervals, describe_gap, describe_intervals
from speechcmd.evaluation.wording import (
    NOT_MEASURED,
    NOTHING,
    as_duration,
    as_number,
    as_percent,
    as_percent_interval,
    as_rate,
    as_rate_interval,
    name_attribute,
    name_value,
)

_ROW_HEADER: tuple[str, ...] = (
    "words missed",
    "95 % interval",
    "false accepts an hour",
    "95 % interval",
    "false accepts",
    "hours",
    "wrong word",
    "twice",
    "delay, median",
    "delay, 95 %",
)
_NOT_REACHED = ("not reached", *[NOTHING] * (len(_ROW_HEADER) - 1))


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text; the first columns name the row, the others hold its figures."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    n_names: int = 1


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "", *, n_names: int = 1
) -> Table:
    cells = tuple(tuple(str(cell) for cell in row) for row in rows)
    return Table(title, tuple(header), cells, note, n_names)


def tabulate_labels(result: dict[str, Any]) -> Table:
    """Recall, precision and F1 of each label."""
    header = ("label", "clips", "recall", "95 % interval", "precision", "F1")
    return _table("Each label", header, (
        (row["label"], f"{row['n']:,}", as_percent(row["recall"]),
         as_percent_interval(row["recall_low"], row["recall_high"]),
         as_percent(row["precision"]), as_percent(row["f1"]))
        for row in result["by_label"]
    ), f"Intervals: {describe_clip_intervals(result)}.")  # fmt: skip


def tabulate_confusion(result: dict[str, Any]) -> Table:
    """Clips of each label (rows) by their answer (columns)."""
    labels = result["labels"]
    rows = ((label, *counts) for label, counts in zip(labels, result["confusion"], strict=True))
    return _table("Counts: rows are what it was, columns the answer", ("", *labels), rows)


def tabulate_pairs(result: dict[str, Any]) -> Table:
    """The labels most often confused, with clips to listen to."""
    return _table("Most confused", ("it was", "answer", "listen to", "clips"), (
        (pair["truth"], pair["answer"],
         "; ".join(f"{clip['path']} ({clip['score']:.2f})" for clip in pair["clips"]), pair["n"])
        for pair in result["pairs"]
    ), n_names=3)  # fmt: skip


def tabulate_calibration(result: dict[str, Any]) -> Table:
    """Share of right answers in each range of scores."""
    return _table("Scores and how often they are right", ("score", "clips", "mean score", "right"), (
        (f"{row['low']:.2f}–{row['high']:.2f}", f"{row['n']:,}", as_percent(row["confidence"]),
         as_percent(row["accuracy"]))
        for row in result["calibration"]["bins"]
    ))  # fmt: skip


def tabulate_speakers(result: dict[str, Any]) -> list[Table]:
    """How many speakers reach which accuracy, and those understood worst."""
    speakers = result["by_speaker"]
    if not speakers["n_speakers"]:
        return []
    bars = _table("Speakers by accuracy", ("right", "speakers"), (
        (f"{100 * row['low']:.0f}–{100 * row['high']:.0f} %", row["n"]) for row in speakers["histogram"]
    ))  # fmt: skip
    worst = _table("Speakers understood worst", ("speaker", "clips", "right"), (
        (row["speaker"], row["n"], as_percent(row["accuracy"])) for row in speakers["worst"]
    ))  # fmt: skip
    return [bars, worst]


def tabulate_unknown(result: dict[str, Any]) -> Table | None:
    """Words that are none of the commands: how often each is told from them."""
    unknown = result["unknown_by_word"]
    if not unknown:
        return None
    rows = sorted(unknown["words"], key=lambda row: float(row["accuracy"]))
    return _table(
        f"Other words told from the commands: mean of the words {as_percent(unknown['mean'])}",
        ("word", "clips", "right"),
        ((row["word"], row["n"], as_percent(row["accuracy"])) for row in rows),
    )


def tabulate_groups(result: dict[str, Any]) -> Table:
    """Accuracy of each group, and what is said of the largest gap of each column."""
    rows: list[Sequence[Any]] = []
    for column in result["groups"]:
        rows += [
            (column["column"], row["value"], row["n"], as_percent(row["accuracy"]),
             as_percent_interval(row["low"], row["high"]))
            for row in column["groups"]
        ]  # fmt: skip
        if column["largest_gap"] is not None:
            bounds = as_percent_interval(column["gap_low"], column["gap_high"])
            rows.append((column["column"], "largest gap", "", as_percent(column["largest_gap"]), bounds))
    notes = [f"{column['column']}: {describe_gap(column)}" for column in result["groups"]]
    notes += [
        f"intervals by {column['column']}: {describe_intervals(_named_groups(column))}"
        for column in result["groups"]
        if column["groups"]
    ]
    header = ("column", "group", "clips", "right", "95 % interval")
    return _table("Groups of speakers", header, rows, f"{'. '.join(notes)}.", n_names=2)


def _named_groups(column: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": row["value"], "interval": row["interval"]} for row in column["groups"]]


def tabulate_points(result: dict[str, Any]) -> Table:
    """Each setting of the thresholds."""
    header = ("setting", *_ROW_HEADER)
    notes = [f"{point['name']}: {point['note']}" for point in result["points"] if point["note"]]
    rows = (
        (point["name"], *(_row_cells(point["overall"]) if point["reached"] else _NOT_REACHED))
        for point in result["points"]
    )
    return _table("Settings of the thresholds", header, rows, "; ".join(notes))


def tabulate_stream_labels(point: dict[str, Any]) -> Table:
    """Each label at one setting."""
    header = ("label", "words", "threshold", *_ROW_HEADER)
    return _table(f"Each word, {point['name']}", header, (
        (row["label"], row["n_words"], as_number(point["thresholds"].get(row["label"])), *_row_cells(row))
        for row in point["by_label"]
    ))  # fmt: skip


def _row_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    delay = row["delay_ms"]
    delays = [f"{delay[name]:.0f} ms" for name in ("median", "p95")] if delay else [NOTHING] * 2
    return (
        as_percent(row["false_reject_rate"]),
        as_percent_interval(row["low"], row["high"]),
        as_rate(row["false_accepts_per_hour"]),
        as_rate_interval(row["fa_low"], row["fa_high"]),
        row["n_false"],
        f"{row['hours']:.2f}",
        row["n_substituted"],
        row["n_duplicates"],
        *delays,
    )


def tabulate_kinds(result: dict[str, Any]) -> Table:
    """False accepts by kind of audio at each setting, with and without homophones of the words."""
    header = (
        "setting",
        "audio",
        "sentences",
        "false accepts an hour",
        "95 % interval",
        "false accepts",
        "hours",
    )
    rows: list[Sequence[Any]] = []
    for point in reached_points(result):
        rows += _kind_rows(point["name"], "all", point["by_kind"], point["overall"])
        without = point["without_homophones"]
        if without:
            rows += _kind_rows(point["name"], "without homophones", without["by_kind"], without["overall"])
    return _table("False accepts by kind of audio", header, rows, n_names=3)


def _kind_rows(
    name: str, sentences: str, by_kind: list[dict[str, Any]], overall: dict[str, Any]
) -> list[Sequence[Any]]:
    return [
        (name, row.get("kind", "together"), sentences, as_rate(row["false_accepts_per_hour"]),
         as_rate_interval(row["fa_low"], row["fa_high"]), row["n_false"], f"{row['hours']:.2f}")
        for row in (*by_kind, {**overall, "kind": "together"})
    ]  # fmt: skip


def tabulate_attribute(attribute_name: str, points: Sequence[dict[str, Any]]) -> Table:
    """Words missed by the value of an attribute, for each setting and label."""
    rows: list[Sequence[Any]] = []
    columns: list[str] = []
    for point in points:
        for attribute in point["by_attribute"]:
            if attribute["attribute"] != attribute_name or not attribute["values"]:
                continue
            columns = [name_value(attribute_name, value["value"]) for value in attribute["values"]]
            cells = [{row["label"]: row for row in value["rows"]} for value in attribute["values"]]
            labels = [row["label"] for row in attribute["values"][0]["rows"]]
            rows += [
                (point["name"], label, *(_missed(cell.get(label)) for cell in cells)) for label in labels
            ]
    name = name_attribute(attribute_name)
    note = "Percent missed, of so many words."
    return _table(f"Words missed by {name}", ("setting", "word", *columns), rows, note, n_names=2)


def _missed(row: dict[str, Any] | None) -> str:
    if row is None or row["false_reject_rate"] is None:
        return NOTHING
    return f"{as_percent(row['false_reject_rate'])} of {row['n_words']}"


def tabulate_curve(result: dict[str, Any]) -> Table:
    """The trade-off curves: misses and false accepts an hour for each offset of the logits."""
    curves = {"all words": result["curve"], **result["curves_by_label"]}
    by_offset = [{point["offset"]: point for point in curve} for curve in curves.values()]
    rows = (
        (f"{offset:+.2f}", *(_curve_cell(curve.get(offset)) for curve in by_offset))
        for offset in by_offset[0]
    )
    note = "Words missed / false accepts an hour; an offset is taken from the logits of the words."
    return _table("The curves", ("offset", *curves), rows, note)


def _curve_cell(point: dict[str, Any] | None) -> str:
    if point is None:
        return NOTHING
    return f"{as_percent(point['false_reject_rate'])} / {as_rate(point['false_accepts_per_hour'])}"


def tabulate_recordings(result: dict[str, Any]) -> Table:
    """What was listened to."""
    return _table("Recordings", ("path", "kind", "length", "words"), (
        (row["path"], row["kind"], as_duration(row["duration_s"]), row["n_words"])
        for row in result["recordings"]
    ), n_names=2)  # fmt: skip


def tabulate_robustness(result: dict[str, Any]) -> Table:
    """Accuracy under each distortion, and the distortions that could not be tried."""
    rows = [("none", "", *_accuracy_cells(result["clean"], "value"))]
    for condition in result["conditions"]:
        rows += [
            (condition["name"], f"{as_number(point['value'])} ({condition['axis']})", *_accuracy_cells(point))
            for point in condition["points"]
        ] or [(condition["name"], NOTHING, NOT_MEASURED, NOTHING, 0)]
    notes = [f"{one['name']}: {one['note']}" for one in result["conditions"] if one["note"]]
    notes.append("Intervals: Wilson, which takes clips of one speaker for independent.")
    header = ("distortion", "strength", "right", "95 % interval", "clips")
    return _table("Distortions", header, rows, "; ".join(notes), n_names=2)


def _accuracy_cells(point: dict[str, Any], key: str = "accuracy") -> tuple[Any, ...]:
    return as_percent(point[key]), as_percent_interval(point["low"], point["high"]), point["n"]


def reached_points(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The settings that were found, and so have figures; the first is the model as it is set."""
    return [point for point in result["points"] if point["reached"]]
