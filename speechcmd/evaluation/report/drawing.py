"""Drawing for the report: small SVG pictures that a phone can show, in colours that all eyes tell apart."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechcmd.arrays import DoubleArray

WIDTH_IN = 4.5  # shown 366 CSS pixels wide on a phone, a point is 1.1 of them
INK, FAINT, GRID = "#1F2933", "#616E7C", "#E4E7EB"
# told apart with any colour vision (Okabe and Ito), and by their dashes and marks in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B4C9A", "#8C6D31")
DASHES = ("-", "--", "-.", ":")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
FONT_PT = 9.5  # at least 9 CSS pixels on a screen 360 of them wide
_ROW_IN = 0.27
_CELL_IN = 0.35
_NARROW_CELL_IN = 0.21  # without a number in it
_MOST_NUMBERED = 14
_LONGEST_NAME = 24  # half of the picture
_FRAME_IN = 1.0
_STYLE: dict[Any, Any] = {
    "font.size": FONT_PT,
    "svg.fonttype": "none",
    "svg.hashsalt": "speechcmd",
    "axes.titlesize": FONT_PT,
    "text.parse_math": False,  # a name with dollars is a name
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the page."""

    title: str
    alt: str
    """What it shows, for those who do not see it."""
    svg: bytes
    width_in: float = WIDTH_IN
    note: str = ""
    """How to read it."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A value with its interval, and perhaps a second value, in a row of its own."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    second: float | None = None


def dot_of(name: str, *shares: float | None) -> Dot:
    """A share with its bounds, in percent."""
    return Dot(name, *(None if share is None else 100 * share for share in shares))


def draw_dots(
    title: str,
    dots: Sequence[Dot],
    axis: str,
    *,
    alt: str,
    note: str = "",
    second: str = "",
    is_from_zero: bool = False,
) -> Picture:
    """Draw a row for each value, with its interval; values that are None leave their row empty."""
    figure, axes = new_figure(_FRAME_IN + _ROW_IN * len(dots))
    for row, dot in enumerate(dots):
        if dot.value is None:
            continue
        if dot.low is not None and dot.high is not None:
            axes.plot([dot.low, dot.high], [row, row], color=COLOURS[0], linewidth=2, alpha=0.55)
        axes.plot(dot.value, row, "o", color=COLOURS[0], markersize=5)
        if dot.second is not None:
            axes.plot(dot.second, row, "D", color=COLOURS[1], markersize=5, markerfacecolor="white")
    if second:
        axes.plot([], [], "o", color=COLOURS[0], label=second.partition("|")[0])
        axes.plot([], [], "D", color=COLOURS[1], markerfacecolor="white", label=second.partition("|")[2])
        add_legend(axes, 2)
    axes.set_yticks(range(len(dots)), [shorten(dot.name, _LONGEST_NAME) for dot in dots])
    axes.set_ylim(len(dots) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_xlabel(axis)
    axes.locator_params(axis="x", nbins=6)
    if is_from_zero:
        axes.set_xlim(left=0)
    return Picture(title, alt, to_svg(figure), note=note)


def draw_heat(
    title: str,
    values: DoubleArray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    axis: str,
    alt: str,
    texts: Sequence[Sequence[str]],
    note: str = "",
    row_axis: str = "",
    right: Sequence[str] = (),
) -> Picture:
    """Draw a table whose cells are the darker the larger their value (0 to 1) is; nan is left white.

    Tables with many cells come without their texts, and wider. Shape of `values`: (n_rows, n_columns).
    """
    is_numbered = max(values.shape) <= _MOST_NUMBERED
    cell_in = min(_CELL_IN, (WIDTH_IN - _FRAME_IN) / len(columns)) if is_numbered else _NARROW_CELL_IN
    width_in = WIDTH_IN if is_numbered else max(WIDTH_IN, 1.6 + cell_in * len(columns))
    figure, axes = new_figure(1.15 + max(cell_in, _ROW_IN if is_numbered else 0) * len(rows), width_in)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
    for row, column in np.ndindex(*values.shape) if is_numbered else ():
        colour = "white" if values[row, column] > 0.6 else INK
        text = axes.text(column, row, texts[row][column], ha="center", va="center", color=colour)
        text.set(fontsize=FONT_PT, in_layout=False)  # it stays inside anyhow, and measuring it takes time
    steep = 90 if max(len(name) for name in columns) > 3 and len(columns) > 5 else 0
    axes.set_xticks(range(len(columns)), [shorten(name) for name in columns], rotation=steep)
    axes.set_yticks(range(len(rows)), [shorten(name) for name in rows])
    axes.tick_params(length=0)
    axes.set_xlabel(axis)
    axes.set_ylabel(row_axis)
    axes.spines[:].set_visible(False)
    if right:
        beside = axes.secondary_yaxis("right")
        beside.set_yticks(range(len(rows)), right)
        beside.tick_params(length=0, labelsize=FONT_PT, labelcolor=INK)
        beside.spines[:].set_visible(False)
    return Picture(title, alt, to_svg(figure), width_in, note)


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> tuple[Any, Any]:
    """A figure with one pair of axes in the report's style."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        style_axes(axes)
    return figure, axes


def style_axes(axes: Any) -> None:
    """Bring axes to the report's style: few lines, dark text."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=FONT_PT)
    axes.xaxis.label.set(color=INK, size=FONT_PT)
    axes.yaxis.label.set(color=INK, size=FONT_PT)
    axes.set_axisbelow(True)


def add_legend(axes: Any, n_columns: int) -> None:
    """Put a legend above the axes."""
    axes.legend(
        frameon=False, ncols=n_columns, loc="lower left", bbox_to_anchor=(0, 1), fontsize=FONT_PT,
        handlelength=2.2, columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip


def to_svg(figure: Any) -> bytes:
    """Return the figure as an SVG file, the same for the same figure."""
    import matplotlib as mpl
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    content = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # the browser has fonts for more scripts than the one that only measures here
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def shorten(name: str, longest: int = 16) -> str:
    """Cut a name that would press the picture flat."""
    return name if len(name) <= longest else name[: longest - 1] + "…"
