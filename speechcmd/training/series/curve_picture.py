"""The picture of a learning curve: accuracy against clips and against epochs, with its reading below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechcmd.files import open_binary
from speechcmd.training.loop.best_epoch import best_of
from speechcmd.training.series.curve_reading import LearningPoint, accuracy_interval

TRAINING_COLOUR, VALIDATION_COLOUR = "#6b6b6b", "#1f6fb4"
_SIZE_IN = (10.0, 5.4)
_LINE_LETTERS = 118  # of the reading
_DPI = 110


def draw_learning_curve(
    points: Sequence[LearningPoint], epochs: Sequence[dict[str, Any]], reading: Sequence[str], path: Path
) -> None:
    """Draw a learning curve into a PNG file.

    Parameters
    ----------
    points
        From few clips to all.
    epochs
        Lines of metrics.jsonl of the training on all clips.
    reading
        Lines for below the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    over_clips, over_epochs = figure.subplots(1, 2)
    _draw_over_clips(over_clips, points)
    _draw_over_epochs(over_epochs, epochs)
    lines = [
        part for line in reading for part in textwrap.wrap(line, _LINE_LETTERS, subsequent_indent="    ")
    ]
    figure.supxlabel("\n".join(lines), x=0.015, ha="left", fontsize=9, linespacing=1.5, parse_math=False)
    with open_binary(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def _draw_over_clips(axes: Any, points: Sequence[LearningPoint]) -> None:
    n_clips = [point.n_clips for point in points]
    curves = (
        ("training clips as they are", TRAINING_COLOUR, "s", +1,
         [(point.training_accuracy, point.n_known) for point in points]),
        ("validation", VALIDATION_COLOUR, "o", -1,
         [(point.validation_accuracy, point.n_validation) for point in points]),
    )  # fmt: skip
    for label, colour, mark, side, measured in curves:
        values = [value for value, _ in measured]
        intervals = [accuracy_interval(*each) for each in measured]
        sizes = [[v - low for v, (low, _) in zip(values, intervals, strict=True)],
                 [high - v for v, (_, high) in zip(values, intervals, strict=True)]]  # fmt: skip
        axes.errorbar(n_clips, values, sizes, color=colour, marker=mark, capsize=3, label=label)
        for x, value, (low, high) in zip(n_clips, values, intervals, strict=True):
            axes.annotate(
                f"{value:.1f}", (x, high if side > 0 else low), (0, 5 * side), textcoords="offset points",
                ha="center", va="bottom" if side > 0 else "top", color=colour, fontsize=8.5,
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(n_clips, [f"{n:,}" for n in n_clips])
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.12)
    axes.set(xlabel="training clips (bars: 95 % by the number of clips)", ylabel="accuracy (%)",
             title="same number of steps, more clips")  # fmt: skip
    axes.grid(alpha=0.3)
    _put_legend_below(axes)


def _draw_over_epochs(axes: Any, epochs: Sequence[dict[str, Any]]) -> None:
    numbers = [entry["epoch"] + 1 for entry in epochs]
    for name, colour, label in (
        ("train_accuracy", TRAINING_COLOUR, "training, augmented, while it learns"),
        ("validation_accuracy", VALIDATION_COLOUR, "validation"),
    ):
        accuracies = [entry[name] for entry in epochs]
        axes.plot(numbers, accuracies, color=colour, label=label, marker="." if len(numbers) < 20 else "")
    best = best_of(epochs)
    axes.plot(
        best["epoch"] + 1, best["validation_accuracy"], "o", color=VALIDATION_COLOUR, label="best checkpoint"
    )
    axes.set(xlabel="epoch", ylabel="accuracy (%)", title="all clips, epoch by epoch")
    axes.grid(alpha=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _put_legend_below(axes)


def _put_legend_below(axes: Any) -> None:
    # within the axes it would lie over some curve or number
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, fontsize=8.5)
