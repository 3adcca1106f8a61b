"""What a terminal shows while listening: level, scores, latency; detections scroll away above it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from speechcmd.cli.console.progress import format_clock
from speechcmd.errors import printable

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.decoder import Detection

REDRAW_S = 0.1
MOST_BARS = 5
HOLD_S = 1.5
FALL_DB_PER_S = 20.0
_LOWEST_DB = -60.0
_LOUD_DB, _TOO_LOUD_DB = -12.0, -3.0
_LEAST_SHOWN_DB = -99.9
_LEAST_SHOWN = 0.005  # a lower score would read 0.00
_NUMBER_CELLS = 12  # beside a bar: two spaces and " -23.4 dB", with one to spare at the edge
_LEVEL = "level"
_HOW_TO_END = "Ctrl-C ends"

_PLAIN = Style()
_FILLED = Style(color="default")  # stands for the colour that a bar is given
_BOLD = Style(bold=True)
_DIM = Style(dim=True)
_TRACK = Style(color="bright_black", dim=True)
_QUIET, _LOUD, _TOO_LOUD = Style(color="green"), Style(color="yellow"), Style(color="red")
_BELOW, _HEARD = Style(color="cyan"), Style(color="green", bold=True)
_MARK = Style(bold=True)
_WARNING = Style(color="yellow", bold=True)

Line = list[Segment]
Cells = list[tuple[str, Style]]


@dataclass(frozen=True, slots=True)
class LiveState:
    """One update of the recogniser."""

    position_s: float
    level_db: float
    """Of the last update, in dB of full scale."""
    peak_db: float
    scores: tuple[tuple[str, float], ...]
    """The best few smoothed posteriors, the highest first."""
    thresholds: Mapping[str, float]
    latency_ms: float
    load: float
    """Share of one core."""
    n_lost: int
    """Samples."""


@dataclass(frozen=True, slots=True)
class _Glyphs:
    """What bars are drawn with, to be told apart without colours; a half cell where the console can."""

    full: str
    half: str
    track: str
    threshold: str
    hold: str


_LINES = _Glyphs("━", "╾", "─", "┃", "│")
_ASCII = _Glyphs("=", "", ".", "|", "|")


class LiveView:
    """Context manager that draws the live part of a terminal.

    Parameters
    ----------
    console
        Where to draw.
    device_line
        What is listened to, in the first line.
    clock
        Seconds; redraws are limited by it.
    """

    def __init__(
        self, console: Console, device_line: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._picture = _Picture(_printable(device_line), _glyphs_of(console))
        self._last_drawn: float | None = None
        self._live = Live(
            self._picture,
            console=console,
            auto_refresh=False,  # the listener's own rhythm: no thread
            transient=True,
            vertical_overflow="crop",
            # what others print there goes above the picture; a log file stays a log file
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: LiveState) -> None:
        """Take the newest state; it is drawn if the last drawing is long enough ago."""
        self._picture.take(state)
        now = self._clock()
        if self._last_drawn is None or now - self._last_drawn >= REDRAW_S:
            self._last_drawn = now
            self._live.refresh()

    def print_detection(self, detection: Detection) -> None:
        """Print a line that stays, above the live part."""
        from speechcmd.runtime.output.lines import format_time

        cells = self._picture.label_cells([detection.label])
        label = set_cell_size(_printable(detection.label), cells)
        self._print(
            (f"{datetime.now():%H:%M:%S}  ", "dim"),
            (f"{format_time(detection.start_s)}  ", "dim"),
            (f"{label}  ", "bold green"),
            f"{detection.score:.2f}",
        )

    def note(self, text: str) -> None:
        """Print a line that stays, above the live part."""
        self._print(_printable(text))

    def warn(self, text: str) -> None:
        """Print a warning that stays, above the live part."""
        self._print(("warning: ", "bold yellow"), _printable(text))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts), highlight=False)
        self._last_drawn = self._clock()  # printing draws the live part as well


class _Picture:
    """The live part as lines of segments: nothing is laid out twice, so a redraw costs little."""

    def __init__(self, device_line: str, glyphs: _Glyphs) -> None:
        self._device_line = device_line
        self._glyphs = glyphs
        self._state: LiveState | None = None
        self._held_db = _LOWEST_DB
        self._held_at_s = 0.0
        self._n_bars = 0
        self._label_cells = len(_LEVEL)

    def take(self, state: LiveState) -> None:
        """Keep a state for the next drawing; every state counts for the held peak."""
        if state.peak_db >= self._hold_db(state.position_s):
            self._held_db, self._held_at_s = state.peak_db, state.position_s
        self._n_bars = max(self._n_bars, min(MOST_BARS, len(state.scores)))
        self._state = state

    def label_cells(self, labels: Iterable[str]) -> int:
        """Cells of the widest label that was ever seen: columns do not jump."""
        self._label_cells = max([self._label_cells, *(cell_len(_printable(label)) for label in labels)])
        return self._label_cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines that fit into the terminal, with a line to spare for the cursor."""
        if self._state is None:
            return
        lines = self._lines(self._state, options.max_width, console.size.height - 1)
        for line in lines[:-1]:
            yield from line
            yield Segment.line()
        yield from lines[-1]

    def _lines(self, state: LiveState, width: int, height: int) -> list[Line]:
        """All lines, or in a small terminal the most useful ones."""
        labels = [label for label, _ in state.scores]
        label_cells = min(self.label_cells([*labels, *state.thresholds]), max(len(_LEVEL), width // 3))
        level = self._level_line(state, label_cells, width - label_cells - _NUMBER_CELLS)
        bars = [
            self._score_line(state, row, label_cells, width - label_cells - _NUMBER_CELLS)
            for row in range(self._n_bars)
        ]
        end = [self._status_line(state, width)]
        room = height - 1 - len(end)
        if room >= len(bars) + 3:
            end.insert(0, [])
        start = [[], self._header_line(state, width)][max(0, 2 + len(bars) - room) :]
        return [*start, level, *bars[: max(0, room)], *end][: max(1, height)]

    def _header_line(self, state: LiveState, width: int) -> Line:
        elapsed = format_clock(int(state.position_s))
        device = set_cell_size(self._device_line, max(0, width - len(elapsed) - 1))
        return [Segment(device, _BOLD), Segment(f" {elapsed}", _DIM)]

    def _level_line(self, state: LiveState, label_cells: int, n_cells: int) -> Line:
        share = _share_of_db(state.level_db)
        cells = self._bar_cells(share, n_cells)
        bar = [
            (char, _style_at(i / n_cells) if style is _FILLED else style)
            for i, (char, style) in enumerate(cells)
        ]
        hold_db = self._hold_db(state.position_s)
        hold_style = _style_at(_share_of_db(hold_db))
        if hold_db > _LOWEST_DB and bar:
            bar[_cell_at(_share_of_db(hold_db), len(bar))] = (self._glyphs.hold, hold_style)
        label = set_cell_size(_LEVEL, label_cells)
        number = f" {max(_LEAST_SHOWN_DB, state.level_db):6.1f} dB"
        return [Segment(f"{label}  ", _DIM), *_merged(bar), Segment(number, _style_at(share))]

    def _score_line(self, state: LiveState, row: int, label_cells: int, n_cells: int) -> Line:
        """One label: its bar and, if it may fire, its threshold; nothing for a score that reads 0.00."""
        if row >= len(state.scores) or state.scores[row][1] < _LEAST_SHOWN:
            return []
        label, score = state.scores[row]
        threshold = state.thresholds.get(label)
        if threshold is None:
            style, text_style = _DIM, _DIM
        elif score >= threshold:
            style, text_style = _HEARD, _HEARD
        else:
            style, text_style = _BELOW, _PLAIN
        bar = [(char, style if old is _FILLED else old) for char, old in self._bar_cells(score, n_cells)]
        if threshold is not None and bar:
            bar[_cell_at(threshold, len(bar))] = (self._glyphs.threshold, _MARK)
        name = set_cell_size(_printable(label), label_cells)
        return [Segment(f"{name}  ", text_style), *_merged(bar), Segment(f" {score:6.2f}", text_style)]

    def _status_line(self, state: LiveState, width: int) -> Line:
        """Long words where they fit."""
        load = state.load * 100
        lost = f"   {state.n_lost} samples lost" if state.n_lost else ""
        text = f"latency {state.latency_ms:.0f} ms   load {load:.1f} % of a core"
        if len(text) + len(lost) + len(_HOW_TO_END) + 1 > width:
            text = f"{state.latency_ms:.0f} ms  {load:.0f} %"
            lost = f"  {state.n_lost} lost" if state.n_lost else ""
        n_spaces = max(1, width - len(text) - len(lost) - len(_HOW_TO_END))
        return [
            Segment(text, _DIM), Segment(lost, _WARNING), Segment(" " * n_spaces + _HOW_TO_END, _DIM)
        ]  # fmt: skip

    def _bar_cells(self, share: float, n_cells: int) -> Cells:
        """Cells of a bar, the filled ones in the style `_FILLED`, which the caller replaces."""
        n_halves = round(min(max(share, 0.0), 1.0) * max(0, n_cells) * 2)
        n_full, has_half = n_halves // 2, n_halves % 2 == 1 and self._glyphs.half != ""
        cells = [(self._glyphs.full, _FILLED)] * n_full + [(self._glyphs.half, _FILLED)] * has_half
        return cells + [(self._glyphs.track, _TRACK)] * (n_cells - len(cells))

    def _hold_db(self, position_s: float) -> float:
        """The last peak stands for a while, then falls."""
        seconds = position_s - self._held_at_s - HOLD_S
        return max(_LOWEST_DB, self._held_db - FALL_DB_PER_S * max(0.0, seconds))


def _glyphs_of(console: Console) -> _Glyphs:
    return _ASCII if console.options.ascii_only else _LINES


def _share_of_db(level_db: float) -> float:
    """Where a level lies on the meter, 0 to 1; not-a-number at the lower end."""
    return min(1.0, 1.0 - max(_LOWEST_DB, level_db) / _LOWEST_DB)


def _style_at(share: float) -> Style:
    """Colour of a place on the meter."""
    if share >= _share_of_db(_TOO_LOUD_DB):
        return _TOO_LOUD
    return _LOUD if share >= _share_of_db(_LOUD_DB) else _QUIET


def _cell_at(share: float, n_cells: int) -> int:
    return round(min(max(share, 0.0), 1.0) * (n_cells - 1))


def _merged(cells: Cells) -> Line:
    """Neighbours of one style become one segment."""
    return [
        Segment("".join(char for char, _ in group), style)
        for style, group in groupby(cells, key=lambda cell: cell[1])
    ]


def _printable(text: str) -> str:
    """Names come from devices and model files: nothing in them may steer the terminal."""
    return printable(text, "?")
