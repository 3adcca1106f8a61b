"""A progress bar for work that lasts, on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY_S = 2.0


class AudioProgress:
    """Seconds of audio done, of a known total; nothing is drawn in the first two seconds of work.

    Parameters
    ----------
    total_s
        Seconds of audio to do.
    file
        Where to draw; nothing is drawn if it is not a terminal.
    delay_s
        Work shorter than this draws nothing.
    """

    def __init__(self, total_s: float, file: TextIO | None = None, delay_s: float = DELAY_S) -> None:
        self._file = file or sys.stderr
        self._draws = self._file.isatty() and total_s > 0
        self._total_s = total_s
        self._done_s = 0.0
        self._begin_at = time.monotonic() + delay_s
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, seconds: float) -> None:
        """Count more audio as done."""
        self.reach(self._done_s + seconds)

    def reach(self, done_s: float) -> None:
        """Set how much is done."""
        self._done_s = min(done_s, self._total_s)
        if self._draws and self._bar is None and time.monotonic() >= self._begin_at:
            self._bar = self._make_bar()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done_s)

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

    def _make_bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("audio"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        console = Console(file=self._file)
        bar = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        bar.add_task("audio", total=self._total_s)
        bar.start()
        return bar


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
            self._bar.update(self._bar.task_ids[0], completed=done, total=total or None, note=note)

    def _make_bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn(self._what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        bar = Progress(*columns, console=Console(file=self._file), transient=True)
        bar.add_task(self._what, total=None, note="")
        bar.start()
        return bar
