"""A progress bar for work that lasts, on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TextIO

from speechcmd.errors import make_visible

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY_S = 2.0


class AudioProgress:
    """Audio done of a total, with the speed; nothing is drawn in the first two seconds of work.

    Parameters
    ----------
    total_s
        Seconds of audio to do; None if that is unknown.
    file
        Where to draw; nothing is drawn if it is not a terminal.
    delay_s
        Work shorter than this draws nothing.
    """

    def __init__(self, total_s: float | None, file: TextIO | None = None, delay_s: float = DELAY_S) -> None:
        self._file = file or sys.stderr
        self._draws = self._file.isatty()
        self._total_s = total_s
        self._worked_s = self._passed_s = 0.0
        self._began_at = time.monotonic()
        self._delay_s = delay_s
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away for good."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self, seconds: float) -> None:
        """Count more audio as worked on."""
        self._worked_s += seconds
        self._draw()

    def skip(self, seconds: float) -> None:
        """Count more audio (or less) as done that nobody worked on."""
        self._passed_s += seconds
        self._draw()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away while a result is printed: both may share the terminal."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def _draw(self) -> None:
        elapsed_s = time.monotonic() - self._began_at
        if not self._draws or elapsed_s < self._delay_s:
            return
        done_s = self._worked_s + self._passed_s
        note = progress_note(done_s, self._total_s, self._worked_s / max(elapsed_s, 1e-3))
        if self._bar is None:
            self._bar = self._make_bar(note)
        self._bar.update(self._bar.task_ids[0], completed=done_s, note=note)

    def _make_bar(self, note: str) -> Progress:
        from rich.progress import BarColumn, Progress, TextColumn

        from speechcmd.cli.console.console import PlainConsole

        columns = (TextColumn("audio"), BarColumn(20), TextColumn("{task.fields[note]}", markup=False))
        console = PlainConsole(self._file)
        bar = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        bar.add_task("audio", total=self._total_s, note=note)
        bar.start()
        return bar


def progress_note(done_s: float, total_s: float | None, speed: float) -> str:
    """What stands beside the bar: 0:20:00 / 1:00:00   33%   400×   0:00:06 left."""
    speed_text = f"{speed:.0f}×" if speed >= 10 else f"{speed:.1f}×"
    if total_s is None:
        return f"{format_clock(done_s)}   {speed_text}"
    done_s = min(done_s, total_s)
    clocks = f"{format_clock(done_s)} / {format_clock(total_s)}"
    parts = [clocks, f"{100 * done_s / total_s:3.0f}%", speed_text]
    if speed > 0:
        parts.append(f"{format_clock((total_s - done_s) / speed)} left")
    return "   ".join(parts)


def format_clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


class StepProgress:
    """Things done of a known number, with what there is to say about them.

    Drawn on standard error only if that is a terminal, and only after two seconds of work.
    """

    def __init__(self, what: str, file: TextIO | None = None, delay_s: float = DELAY_S) -> None:
        self._what = what
        self._file = file or sys.stderr
        self._begin_at = time.monotonic() + delay_s
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Set how much is done; `note` stands at the end of the line."""
        if self._bar is None and self._file.isatty() and time.monotonic() >= self._begin_at:
            self._bar = self._make_bar()
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0], completed=done, total=total or None, note=make_visible(note)
            )

    def _make_bar(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from speechcmd.cli.console.console import PlainConsole

        columns = (
            TextColumn(self._what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        bar = Progress(*columns, console=PlainConsole(self._file), transient=True)
        bar.add_task(self._what, total=None, note="")
        bar.start()
        return bar
