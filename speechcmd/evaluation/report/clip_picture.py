"""The pictures of what was measured on clips, clean or distorted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechcmd.arrays import IntArray
from speechcmd.evaluation.clips.clip_result import ClipsResult, GroupColumn
from speechcmd.evaluation.report.drawing import (
    COLOURS,
    FAINT,
    GRID,
    INK,
    Picture,
    add_legend,
    dot_of,
    draw_dots,
    draw_heat,
    new_figure,
    to_svg,
)
from speechcmd.evaluation.robustness.robustness_result import (
    CleanAccuracy,
    ConditionResult,
    RobustnessResult,
)
from speechcmd.evaluation.wording import as_percent


def draw_confusion(result: ClipsResult) -> Picture:
    """Counts, on a ground that is the darker the larger their share of the row is."""
    counts = np.array(result.confusion, dtype=np.int64).reshape(len(result.labels), -1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return draw_heat(
        "What was taken for what",
        shares,
        result.labels,
        result.labels,
        axis="answer",
        row_axis="what it was",
        alt=f"Confusion matrix of {len(counts)} labels: {_worst_confusion(result.labels, counts)}",
        texts=[[f"{count}" if count else "" for count in row] for row in counts],
        right=[as_percent(row.recall) for row in result.by_label],
        note="Numbers are clips; on the right the recall: the share of a label's clips that were recognised.",
    )


def _worst_confusion(labels: Sequence[str], counts: IntArray) -> str:
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return "no clip was taken for another label."
    truth, answer = divmod(int(wrong.argmax()), len(labels))
    return (
        f"most often, {wrong[truth, answer]} times, “{labels[truth]}” was taken for “{labels[answer]}”; "
        "the numbers are in the table below."
    )


def draw_recalls(result: ClipsResult) -> Picture:
    """Recall of each label with its interval."""
    dots = [dot_of(row.label, row.recall, row.recall_low, row.recall_high) for row in result.by_label]
    known = [dot.value for dot in dots if dot.value is not None]
    span = f"from {min(known):.1f} to {max(known):.1f} %" if known else "none measured"
    return draw_dots(
        "Recall of each label", dots, "percent recognised, with 95 % interval",
        alt=f"Recall of each label with its interval: {span}.",
        note=f"Intervals: {result.describe_intervals()}.",
    )  # fmt: skip


def draw_reliability(result: ClipsResult) -> Picture:
    """How often answers of each score are right."""
    bins = [row for row in result.calibration.bins if row.n]
    figure, axes = new_figure(3.3)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="score = share that is right")
    largest = max((row.n for row in bins), default=1)
    for row in bins:
        size = 3 + 9 * (row.n / largest) ** 0.5
        axes.plot(row.confidence, row.accuracy, "o", color=COLOURS[0], markersize=size, alpha=0.8)
    axes.plot([row.confidence for row in bins], [row.accuracy for row in bins], color=COLOURS[0], lw=1.2)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="score of the answer", ylabel="share that is right")
    axes.grid(color=GRID, linewidth=0.8)
    add_legend(axes, 1)
    error = as_percent(result.calibration.ece, 2)
    return Picture(
        "Does the score mean what it says?",
        f"Reliability diagram; the expected calibration error is {error}.",
        to_svg(figure),
        note="Dots on the dashed line: of answers with score 0.9, nine in ten are right. "
        f"Large dots hold many clips. Mean distance from the line: {error}.",
    )


def draw_speakers(result: ClipsResult) -> Picture | None:
    """How many speakers are understood how well; None where the clips name no speakers."""
    speakers = result.by_speaker
    if speakers.mean is None:
        return None
    mean, worst = as_percent(speakers.mean), as_percent(speakers.worst_tenth)
    figure, axes = new_figure(2.6)
    for row in speakers.histogram:
        axes.bar(100 * row.low, row.n, width=96 * (row.high - row.low), align="edge", color=COLOURS[0])
    axes.axvline(100 * speakers.mean, color=INK, linewidth=1.3, linestyle="--", label=f"mean {mean}")
    axes.set(xlabel="percent of a speaker's clips that are right", ylabel="speakers")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    add_legend(axes, 1)
    return Picture(
        "Speakers",
        f"Histogram of the accuracy of {speakers.n_speakers} speakers; mean {mean}, worst tenth {worst}.",
        to_svg(figure),
        note=f"The worst tenth of the speakers: {worst} right on average.",
    )


def draw_group(column: GroupColumn) -> Picture:
    """Accuracy of each group of one column of the metadata."""
    dots = [dot_of(f"{row.value} ({row.n})", row.accuracy, row.low, row.high) for row in column.groups]
    gap = column.describe()
    gap = gap[:1].upper() + gap[1:]
    return draw_dots(
        f"Groups: {column.column}", dots, "percent right, with 95 % interval",
        alt=f"Accuracy of the groups of {column.column}. {gap}.", note=f"{gap}.",
    )  # fmt: skip


def draw_conditions(result: RobustnessResult) -> list[Picture]:
    """A curve for each distortion that was tried at several strengths; those tried at one share a picture."""
    clean = result.clean
    curves = [draw_condition(one, clean) for one in result.conditions if len(one.points) > 1]
    single = [(one.name, one.points[0]) for one in result.conditions if len(one.points) == 1]
    if not single:
        return curves
    dots = [
        dot_of("clean", clean.value, clean.low, clean.high),
        *(dot_of(name, point.accuracy, point.low, point.high) for name, point in single),
    ]
    rows = ", ".join(f"{name}: {as_percent(point.accuracy)}" for name, point in single)
    others = draw_dots(
        "At one strength", dots, "percent right, with 95 % interval", alt=f"Accuracy under {rows}."
    )
    return [*curves, others]


def draw_condition(condition: ConditionResult, clean: CleanAccuracy) -> Picture:
    """Accuracy under one kind of distortion, beside that of the clean clips."""
    points = sorted(condition.points, key=lambda point: point.value)
    values = [point.value for point in points]
    figure, axes = new_figure(2.6)
    axes.axhline(100 * clean.value, color=FAINT, linestyle="--", linewidth=1, label="clean")
    low, high = [100 * point.low for point in points], [100 * point.high for point in points]
    axes.fill_between(values, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(values, [100 * point.accuracy for point in points], "o-", color=COLOURS[0], markersize=4,
              label="distorted, with 95 % interval")  # fmt: skip
    axes.set(xlabel=condition.axis, ylabel="percent right", ylim=(0, 102))
    if len(values) <= 7:
        axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.grid(color=GRID, linewidth=0.8)
    add_legend(axes, 2)
    worst = min(points, key=lambda point: point.accuracy)
    return Picture(
        condition.name,
        f"Accuracy against {condition.axis}: {as_percent(worst.accuracy)} at {worst.value:g}, "
        f"{as_percent(clean.value)} clean.",
        to_svg(figure),
        note=condition.note,
    )
