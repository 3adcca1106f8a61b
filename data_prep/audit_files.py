"""What an audit leaves in its store: audit.json, and a picture of the lengths of clips and of the labels."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.audit import Audit
from data_prep.split import SPLITS
from speechcmd.arrays import AnyFloatArray, DoubleArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.files import open_binary, write_text

if TYPE_CHECKING:
    from data_prep.store import Row

# told apart in grey and with any colour vision (Okabe and Ito)
_SPLIT_COLOURS = {"training": "#0072B2", "validation": "#E69F00", "testing": "#009E73"}
_BEFORE_COLOUR = "#9AA5B1"
_AFTER_COLOUR = "#D55E00"
_INK = "#1F2933"
_FAINT = "#7B8794"
_WIDTH_IN = 11.0
_HISTOGRAM_IN = 3.1
_BAR_IN = 0.21
_FRAME_IN = 1.9  # titles, axis labels and margins
_BIN_S = 0.02
_MOST_BARS = 150
_DPI = 130


def save_audit(audit: Audit, rows: Sequence[Row], folder: Path) -> None:
    """Write audit.json and audit.png, each whole or not at all."""
    write_text(folder / "audit.json", json.dumps(audit.to_dict(), indent=1) + "\n")
    draw_audit(rows, folder / "audit.png")


def draw_audit(rows: Iterable[Row], path: Path, sample_rate: int = SAMPLE_RATE) -> None:
    """Draw the word clips among `rows` as PNG; the file appears whole or not at all."""
    import matplotlib as mpl

    # a word with dollars is a word; a letter that no font has is drawn as a box
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _draw_audit(rows, path, sample_rate)


def _draw_audit(rows: Iterable[Row], path: Path, sample_rate: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clips = [row for row in rows if row.kind == "word"]
    bars_in = max(1.2, _BAR_IN * len({row.word for row in clips}))
    height_in = _HISTOGRAM_IN + bars_in + _FRAME_IN
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, height_ratios=[_HISTOGRAM_IN, bars_in])
    before_s = np.array([row.n_samples for row in clips]) / sample_rate
    after_s = np.array([row.n_speech for row in clips]) / sample_rate
    _draw_durations(upper, before_s, after_s)
    _draw_labels(lower, clips)
    with open_binary(path) as file:
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.2)


def _draw_durations(axes: Any, before_s: Any, after_s: Any) -> None:
    _style(axes, "Duration of the clips before and after trimming", grid="y")
    axes.set_xlabel("seconds")
    axes.set_ylabel("clips")
    if not len(before_s):
        return
    bins = bins_of(np.concatenate([before_s, after_s]))
    tallest = []
    for durations_s, colour, name in (
        (before_s, _BEFORE_COLOUR, "before"),
        (after_s, _AFTER_COLOUR, "after"),
    ):
        shown = np.minimum(durations_s, (bins[-2] + bins[-1]) / 2)  # the last bar holds all longer ones
        heights, _, _ = axes.hist(shown, bins=bins, color=colour, alpha=0.8, label=f"{name} trimming")
        tallest.append((float(heights.max()), float(bins[heights.argmax()])))
    _cut_tall_bar(axes, *tallest[0], top=1.3 * tallest[1][0])
    for value_s, name, style in (
        (after_s.mean(), "mean", "-"),
        (np.percentile(after_s, 95), "95 %", "--"),
    ):
        axes.axvline(
            value_s, color=_INK, linewidth=1.3, linestyle=style, label=f"{name} after: {value_s:.2f} s"
        )
    axes.set_xlim(0, bins[-1])
    axes.legend(frameon=False, loc="upper left")


def bins_of(durations_s: AnyFloatArray) -> DoubleArray:
    """Edges of the bars: of 20 ms, or wider where that would be too many. Shape: (at most 155,).

    Few clips among many that are far longer than all others do not press these into one bar.
    """
    usual_s, longest_s = np.percentile(durations_s, (90, 99.5))
    end_s = min(float(longest_s), 3 * float(usual_s))
    width_s = max(_BIN_S, end_s / _MOST_BARS)
    return np.arange(0, end_s + 3 * width_s, width_s)


def _cut_tall_bar(axes: Any, height: float, start_s: float, top: float) -> None:
    """Clips cut at one second make a bar that would press all others flat: cut it, and write its height."""
    if height <= top:
        return
    axes.set_ylim(0, top)
    axes.annotate(f"{int(height):,} ↑", (start_s, top), xytext=(-4, -4), textcoords="offset points",
                  ha="right", va="top", fontsize=9, color=_FAINT)  # fmt: skip


def _draw_labels(axes: Any, clips: Sequence[Row]) -> None:
    _style(axes, "Clips for each label and split", grid="x")
    axes.set_xlabel("clips")
    counts = Counter((row.word, row.split) for row in clips)
    words = sorted({row.word for row in clips}, reverse=True)
    left = np.zeros(len(words))
    for split in SPLITS:
        widths = np.array([counts[word, split] for word in words], dtype=float)
        total = f"{split} ({int(widths.sum()):,})"
        axes.barh(words, widths, left=left, height=0.72, color=_SPLIT_COLOURS[split], label=total)
        left += widths
    for i, total_clips in enumerate(left):
        axes.annotate(f"{int(total_clips):,}", (total_clips, i), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8, color=_FAINT)  # fmt: skip
    axes.margins(x=0.06, y=0.5 / (len(words) + 1))
    axes.legend(frameon=False, ncols=len(SPLITS), loc="lower right", bbox_to_anchor=(1, 1))


def _style(axes: Any, title: str, grid: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.set_axisbelow(True)
    counted = axes.yaxis if grid == "y" else axes.xaxis
    counted.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10]))
    counted.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis=grid, color="#E4E7EB", linewidth=0.8)
