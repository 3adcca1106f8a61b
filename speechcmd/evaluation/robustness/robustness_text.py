"""Figures of robustness as text for people: a row a condition, 80 columns, percent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap

from speechcmd.errors import printable
from speechcmd.evaluation.robustness.robustness_result import (
    ConditionResult,
    RobustnessResult,
    StrengthAccuracy,
)
from speechcmd.evaluation.wording import as_number, as_percent, as_percent_interval

_NAME_COLUMNS = 31
_VALUE_COLUMNS = 7
_MOST_VALUES = 7
_LONGEST_NAME = 60
_WIDTH = 80


def render_robustness(result: RobustnessResult) -> str:
    """The content of `robustness.json` as a page of text."""
    conditions = result.conditions
    lines = [*_headline(result)]
    for axis, group in groupby(conditions, key=lambda condition: condition.axis):
        lines += ["", *_axis_rows(axis, list(group))]
    notes = {condition.note: condition.name for condition in reversed(conditions) if condition.note}
    lines += [""] * bool(notes)
    lines += [line for note, name in reversed(notes.items()) for line in _wrap(f"{printable(name)}: {note}")]
    return "\n".join(lines)


def _headline(result: RobustnessResult) -> Iterator[str]:
    source, clean, drawn = result.source, result.clean, result.drawn
    split = f", {source.split}" if source.split else ""
    yield f"{result.model.name} on {printable(source.path)}: task {source.task}{split}"
    counts = f"{drawn.n_clips:,} of {drawn.n_all:,} clips"
    yield f"{counts}, drawn evenly over the labels, seed {drawn.seed}"
    bounds = as_percent_interval(clean.low, clean.high)
    yield f"clean: {as_percent(clean.value)} of them right ({bounds}, 95 % interval)"
    widths = [point.high - point.low for condition in result.conditions for point in condition.points]
    if widths:
        yield f"right in each condition, in %; a 95 % interval is at most {100 * max(widths):.1f} points wide"


def _axis_rows(axis: str, conditions: list[ConditionResult]) -> Iterator[str]:
    """Conditions of one axis: a column for each value, or value and accuracy in turn if they are many."""
    values = list(dict.fromkeys(point.value for condition in conditions for point in condition.points))
    if values:
        values.sort(reverse=values[0] > values[-1])
    if len(values) > _MOST_VALUES:
        yield axis
        width = min(_LONGEST_NAME, max(len(printable(condition.name)) for condition in conditions))
        for condition in conditions:
            cells = [f"{as_number(point.value)}: {_cell(point)}" for point in condition.points]
            yield "  ".join([_name_cell(condition, width), *cells])
        return
    yield _row(axis, [as_number(value) for value in values])
    for condition in conditions:
        by_value = {point.value: _cell(point) for point in condition.points}
        yield _row(_name_cell(condition), [by_value.get(value, "") for value in values])


def _row(name: str, cells: list[str]) -> str:
    return (f"{name:<{_NAME_COLUMNS}}" + "".join(f"{cell:>{_VALUE_COLUMNS}}" for cell in cells)).rstrip()


def _name_cell(condition: ConditionResult, width: int = _NAME_COLUMNS - 3) -> str:
    name = printable(condition.name)
    return f"  {name if len(name) <= width else name[: width - 1] + '…':<{width}}"


def _cell(point: StrengthAccuracy) -> str:
    return f"{100 * point.accuracy:.1f}"


def _wrap(text: str) -> list[str]:
    return wrap(text, _WIDTH, subsequent_indent="  ")
