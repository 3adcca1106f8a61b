"""The pictures of what was measured on recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speechcmd.evaluation.report.drawing import (
    COLOURS,
    DASHES,
    FAINT,
    GRID,
    INK,
    MARKS,
    Dot,
    Picture,
    add_legend,
    dot_of,
    draw_dots,
    draw_heat,
    new_figure,
    shorten,
    to_svg,
)
from speechcmd.evaluation.streams.stream_result import CurvePoint, Point, Rates, StreamResult
from speechcmd.evaluation.wording import as_duration, as_percent, as_rate, name_attribute, name_value

RATES_ASKED = (0.5, 1.0, 5.0)  # false accepts per hour
_MOST_LABELS = 12  # more lines cannot be told apart
_MOST_COLUMNS = 8


def draw_trade_off(result: StreamResult) -> Picture:
    """False reject rate against false accepts per hour over all thresholds."""
    overall = _points_of(result.curve)
    labels = list(result.curves_by_label.items())[:_MOST_LABELS]
    shown = [(label, _points_of(curve)) for label, curve in labels]
    lowest = _lowest_rate([overall, *(curve for _, curve in shown)])
    figure, axes = new_figure(3.9 + 0.17 * (len(shown) // 3))
    for rate in RATES_ASKED:
        axes.axvline(rate, color=FAINT, linewidth=0.8, linestyle=":")
    for index, (label, curve) in enumerate(shown):
        rates, misses = _drawable(curve, lowest)
        axes.plot(rates, misses, color=COLOURS[index % len(COLOURS)], linestyle=DASHES[index % len(DASHES)],
                  linewidth=1, marker=MARKS[index % len(MARKS)], markevery=0.23, markersize=3.5,
                  label=shorten(label))  # fmt: skip
    axes.plot(*_drawable(overall, lowest), color=INK, linewidth=2.6, label="all words")
    row = result.own.overall
    _mark_own(axes, row, lowest)
    axes.set_xscale("log")
    axes.set(xlabel="false accepts per hour", ylabel="percent of the words missed", ylim=(-2, 102))
    ticks = [0.1, 0.5, 1, 5, 20, 100, 500]
    shown_ticks = [tick for tick in ticks if tick > lowest * 1.5]
    axes.set_xticks([lowest, *shown_ticks], ["0", *(f"{tick:g}" for tick in shown_ticks)])
    axes.minorticks_off()
    axes.grid(color=GRID, linewidth=0.6)
    add_legend(axes, 3)
    return Picture(
        "Misses against false accepts",
        f"Trade-off curve. As the model is set it misses {as_percent(row.false_reject_rate)} of the words "
        f"with {as_rate(row.false_accepts_per_hour)} false accepts per hour.",
        to_svg(figure),
        note="Each point of a line is one setting of the thresholds: further left fewer false accepts, "
        "further down fewer misses. The star is the model as it is set; dotted lines: 0.5, 1 and 5 per hour. "
        "Lines of single words count the false accepts of that word alone.",
    )


def _points_of(curve: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    """False accepts per hour and percent of the words missed."""
    return [
        (point.false_accepts_per_hour, 100 * point.false_reject_rate)
        for point in curve
        if point.false_accepts_per_hour is not None and point.false_reject_rate is not None
    ]


def _lowest_rate(curves: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Where zero is drawn: a logarithmic axis has no place for it."""
    rates = [rate for curve in curves for rate, _ in curve if rate > 0]
    return min([0.25, *(rate / 2 for rate in rates)])


def _drawable(curve: Sequence[tuple[float, float]], lowest: float) -> tuple[list[float], list[float]]:
    return [max(rate, lowest) for rate, _ in curve], [miss for _, miss in curve]


def _mark_own(axes: Any, row: Rates, lowest: float) -> None:
    rate, miss = row.false_accepts_per_hour, row.false_reject_rate
    if rate is not None and miss is not None:
        axes.plot(max(rate, lowest), 100 * miss, "*", color=COLOURS[1], markersize=15,
                  markeredgecolor="white", zorder=5, linestyle="none", label="as it is set")  # fmt: skip


def draw_misses(point: Point) -> Picture:
    """Missed words of each label at one setting."""
    dots = [dot_of(row.label, row.false_reject_rate, row.low, row.high) for row in point.by_label]
    overall = as_percent(point.overall.false_reject_rate)
    return draw_dots(
        "Words missed", dots, "percent missed, with 95 % interval", is_from_zero=True,
        alt=f"Words missed for each label, {point.name}: {overall} of all.",
        note=f"{point.name.capitalize()}.",
    )  # fmt: skip


def draw_kinds(point: Point) -> Picture:
    """False accepts per hour by kind of audio."""
    dots = [
        Dot(
            f"{row.kind} ({as_duration(3_600 * row.hours)})",
            row.false_accepts_per_hour,
            row.fa_low,
            row.fa_high,
        )
        for row in point.by_kind
        if row.hours
    ]
    rows = ", ".join(f"{dot.name}: {as_rate(dot.value)}" for dot in dots)
    return draw_dots(
        "False accepts by kind of audio", dots, "per hour, with 95 % interval", is_from_zero=True,
        alt=f"False accepts per hour: {rows}.", note=f"{point.name.capitalize()}.",
    )  # fmt: skip


def draw_delays(point: Point) -> Picture | None:
    """Time from the end of a word until it is reported; None if none was found."""
    delays = [(row.label, row.delay_ms) for row in point.by_label]
    if not any(delay for _, delay in delays):
        return None
    dots = [
        Dot(label, delay.median, delay.median_low, delay.median_high, delay.p95)
        if delay
        else Dot(label, None)
        for label, delay in delays
    ]
    overall = point.overall.delay_ms
    summary = f"median {overall.median:.0f} ms, 95 % under {overall.p95:.0f} ms" if overall else ""
    return draw_dots(
        "Delay", dots, "milliseconds from the end of the word", is_from_zero=True,
        alt=f"Delay from the end of a word until it is reported: {summary}.",
        second="median, with 95 % interval|95 % are faster",
        note=f"All words: {summary}.",
    )  # fmt: skip


def draw_attribute(point: Point, attribute: str) -> Picture | None:
    """Missed words by the value of an attribute and by label; None for a single value or for too many."""
    values = point.values_of(attribute)
    if not 2 <= len(values) <= _MOST_COLUMNS:
        return None
    labels = [row.label for row in values[0].rows]
    found = [{row.label: row.false_reject_rate for row in value.rows} for value in values]
    table = [[column.get(label) for column in found] for label in labels]
    name = name_attribute(attribute)
    return draw_heat(
        f"Words missed by {name}: {point.name}",
        np.array(table, dtype=np.float64),
        labels,
        [name_value(attribute, value.value) for value in values],
        axis=name,
        texts=[["" if share is None else f"{100 * share:.0f}" for share in row] for row in table],
        alt=f"Percent of the words missed by {name} and word, {point.name}; numbers: the table below.",
        note="Percent missed.",
    )
