"""The measured figures as tables of text: the page and the model card show the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.streams.stream_result import (
    AcceptRates,
    CurvePoint,
    NotReached,
    Point,
    Rates,
    StreamResult,
    all_rates,
)
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
    "false accepts per hour",
    "95 % interval",
    "false accepts",
    "hours",
    "wrong word",
    "duplicates",
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


def tabulate_labels(result: ClipsResult) -> Table:
    """Recall, precision and F1 of each label."""
    header = ("label", "clips", "recall", "95 % interval", "precision", "F1")
    return _table("Each label", header, (
        (row.label, f"{row.n:,}", as_percent(row.recall),
         as_percent_interval(row.recall_low, row.recall_high), as_percent(row.precision), as_percent(row.f1))
        for row in result.by_label
    ), f"Intervals: {result.describe_intervals()}.")  # fmt: skip


def tabulate_confusion(result: ClipsResult) -> Table:
    """Clips of each label (rows) by their answer (columns)."""
    rows = ((label, *counts) for label, counts in zip(result.labels, result.confusion, strict=True))
    return _table("Counts: rows are what it was, columns the answer", ("", *result.labels), rows)


def tabulate_pairs(result: ClipsResult) -> Table:
    """The labels most often confused, with clips to listen to."""
    return _table("Most confused", ("it was", "answer", "listen to", "clips"), (
        (pair.truth, pair.answer, "; ".join(f"{clip.path} ({clip.score:.2f})" for clip in pair.clips), pair.n)
        for pair in result.pairs
    ), n_names=3)  # fmt: skip


def tabulate_calibration(result: ClipsResult) -> Table:
    """Share of right answers in each range of scores."""
    return _table("Scores and how often they are right", ("score", "clips", "mean score", "right"), (
        (f"{row.low:.2f}–{row.high:.2f}", f"{row.n:,}", as_percent(row.confidence), as_percent(row.accuracy))
        for row in result.calibration.bins
    ))  # fmt: skip


def tabulate_speakers(result: ClipsResult) -> list[Table]:
    """How many speakers reach which accuracy, and those understood worst."""
    speakers = result.by_speaker
    bars = _table("Speakers by accuracy", ("right", "speakers"), (
        (f"{100 * row.low:.0f}–{100 * row.high:.0f} %", row.n) for row in speakers.histogram
    ))  # fmt: skip
    worst = _table("Speakers understood worst", ("speaker", "clips", "right"), (
        (row.speaker, row.n, as_percent(row.accuracy)) for row in speakers.worst
    ))  # fmt: skip
    return [bars, worst]


def tabulate_unknown(result: ClipsResult) -> Table | None:
    """Words that are none of the commands: how often each is kept apart from them."""
    unknown = result.unknown_by_word
    if not unknown:
        return None
    title = f"Other words kept apart from the commands: mean of the words {as_percent(unknown.mean)}"
    rows = sorted(unknown.words, key=lambda row: row.accuracy)
    return _table(
        title, ("word", "clips", "right"), ((row.word, row.n, as_percent(row.accuracy)) for row in rows)
    )


def tabulate_groups(result: ClipsResult) -> Table:
    """Accuracy of each group, and what is said of the largest gap of each column."""
    rows: list[Sequence[Any]] = []
    for one in result.groups:
        rows += [
            (one.column, row.value, row.n, as_percent(row.accuracy), as_percent_interval(row.low, row.high))
            for row in one.groups
        ]
        if one.largest_gap is not None:
            bounds = as_percent_interval(one.gap_low, one.gap_high)
            rows.append((one.column, "largest gap", "", as_percent(one.largest_gap), bounds))
    notes = [f"{one.column}: {one.describe()}" for one in result.groups]
    notes += [f"intervals by {one.column}: {one.describe_intervals()}" for one in result.groups if one.groups]
    header = ("column", "group", "clips", "right", "95 % interval")
    return _table("Groups of speakers", header, rows, f"{'. '.join(notes)}.", n_names=2)


def tabulate_points(result: StreamResult) -> Table:
    """Each setting of the thresholds."""
    notes = [f"{point.name}: {point.note}" for point in result.points if point.note]
    rows = (
        (point.name, *(_NOT_REACHED if isinstance(point, NotReached) else _row_cells(point.overall)))
        for point in result.points
    )
    return _table("Settings of the thresholds", ("setting", *_ROW_HEADER), rows, "; ".join(notes))


def tabulate_stream_labels(point: Point) -> Table:
    """Each label at one setting."""
    header = ("label", "words", "threshold", *_ROW_HEADER)
    return _table(f"Each word, {point.name}", header, (
        (row.label, row.n_words, as_number(point.thresholds.get(row.label)), *_row_cells(row))
        for row in point.by_label
    ))  # fmt: skip


def _row_cells(row: Rates) -> tuple[Any, ...]:
    delay = row.delay_ms
    delays = (f"{delay.median:.0f} ms", f"{delay.p95:.0f} ms") if delay else (NOTHING, NOTHING)
    return (
        as_percent(row.false_reject_rate),
        as_percent_interval(row.low, row.high),
        *_accept_cells(row),
        row.n_substituted,
        row.n_duplicates,
        *delays,
    )


def _accept_cells(row: Rates) -> tuple[Any, ...]:
    bounds = as_rate_interval(row.fa_low, row.fa_high)
    return as_rate(row.false_accepts_per_hour), bounds, row.n_false, f"{row.hours:.2f}"


def tabulate_kinds(result: StreamResult) -> Table:
    """False accepts by kind of audio at each setting, with and without homophones of the words."""
    header = ("setting", "audio", "sentences", *_ROW_HEADER[2:6])
    rows = []
    for point in result.reached:
        parts = [("all", AcceptRates(point.overall, point.by_kind))]
        if point.without_homophones:
            parts.append(("without homophones", point.without_homophones))
        rows += [
            (point.name, kind, sentences, *_accept_cells(row))
            for sentences, accepts in parts
            for kind, row in all_rates(accepts)
        ]
    return _table("False accepts by kind of audio", header, rows, n_names=3)


def tabulate_attribute(attribute: str, points: Sequence[Point]) -> Table:
    """Words missed by the value of an attribute, for each setting and label."""
    rows: list[Sequence[Any]] = []
    columns: list[str] = []
    for point in points:
        values = point.values_of(attribute)
        if not values:
            continue
        columns = [name_value(attribute, value.value) for value in values]
        cells = [{row.label: row for row in value.rows} for value in values]
        rows += [
            (point.name, row.label, *(_missed(cell.get(row.label)) for cell in cells))
            for row in values[0].rows
        ]
    title = f"Words missed by {name_attribute(attribute)}"
    note = "Percent missed, of so many words."
    return _table(title, ("setting", "word", *columns), rows, note, n_names=2)


def _missed(row: Rates | None) -> str:
    if row is None or row.false_reject_rate is None:
        return NOTHING
    return f"{as_percent(row.false_reject_rate)} of {row.n_words}"


def tabulate_curve(result: StreamResult) -> Table:
    """The trade-off curves: misses and false accepts per hour for each offset of the logits."""
    curves = {"all words": result.curve, **result.curves_by_label}
    by_offset = [{point.offset: point for point in curve} for curve in curves.values()]
    rows = (
        (f"{offset:+.2f}", *(_curve_cell(curve.get(offset)) for curve in by_offset))
        for offset in by_offset[0]
    )
    note = "Words missed / false accepts per hour; an offset is taken from the logits of the words."
    return _table("The curves", ("offset", *curves), rows, note)


def _curve_cell(point: CurvePoint | None) -> str:
    if point is None:
        return NOTHING
    return f"{as_percent(point.false_reject_rate)} / {as_rate(point.false_accepts_per_hour)}"


def tabulate_recordings(result: StreamResult) -> Table:
    """What was listened to."""
    return _table("Recordings", ("path", "kind", "length", "words"), (
        (row.path, row.kind, as_duration(row.duration_s), row.n_words) for row in result.recordings
    ), n_names=2)  # fmt: skip


def tabulate_robustness(result: RobustnessResult) -> Table:
    """Accuracy under each distortion, and the distortions that could not be tried."""
    clean = result.clean
    rows = [("none", "", as_percent(clean.value), as_percent_interval(clean.low, clean.high), clean.n)]
    for condition in result.conditions:
        rows += [
            (condition.name, f"{as_number(point.value)} ({condition.axis})", as_percent(point.accuracy),
             as_percent_interval(point.low, point.high), point.n)
            for point in condition.points
        ] or [(condition.name, NOTHING, NOT_MEASURED, NOTHING, 0)]  # fmt: skip
    notes = [f"{one.name}: {one.note}" for one in result.conditions if one.note]
    notes.append("Intervals: Wilson, which takes clips of one speaker for independent.")
    header = ("distortion", "strength", "right", "95 % interval", "clips")
    return _table("Distortions", header, rows, "; ".join(notes), n_names=2)
