"""What a command says while it works through recordings: results, errors, progress, and the exit status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import click

from speechcmd.batch.inputs import STANDARD_INPUT, durations_s
from speechcmd.cli.console.progress import AudioProgress

if TYPE_CHECKING:
    from speechcmd.batch.inputs import Recording


class Report:
    """Results on the output, the rest on standard error.

    Parameters
    ----------
    recordings
        All that will be worked on; the methods take their numbers in this list.
    write
        Takes the text of results.
    """

    def __init__(self, recordings: Sequence[Recording], write: Callable[[str], None]) -> None:
        self._recordings = recordings
        self._write = write
        self._durations_s = durations_s(recordings)
        self._read_s = [0.0] * len(recordings)
        self._n_failed = 0
        total_s = sum(self._durations_s)
        is_known = total_s > 0 and all(recording.path != STANDARD_INPUT for recording in recordings)
        self._progress = AudioProgress(total_s if is_known else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    def text(self, text: str) -> None:
        """Write results."""
        if text:
            with self._progress.hidden():
                self._write(text)

    def note(self, line: str) -> None:
        """Tell people something."""
        with self._progress.hidden():
            click.echo(line, err=True)

    def read(self, number: int, seconds: float) -> None:
        """Count more audio of a recording as worked on."""
        self._read_s[number] += seconds
        self._progress.advance(seconds)

    def done(self, number: int) -> None:
        """Count a recording as worked on to its end."""
        if self._read_s[number] == 0:
            self.read(number, self._durations_s[number])
        self._leave(number)

    def failed(self, number: int, message: str) -> None:
        """Tell of a recording that could not be read (on)."""
        self._n_failed += 1
        self.note(f"speechcmd: error: {message}")
        self._leave(number)

    def exit_if_failed(self) -> None:
        """End the command with exit status 1 if a recording failed."""
        if self._n_failed:
            click.echo(f"speechcmd: {self._n_failed} of {len(self._recordings)} recordings failed", err=True)
            click.get_current_context().exit(1)

    def _leave(self, number: int) -> None:
        if self._durations_s[number]:  # headers may lie, and what failed is done too
            self._progress.skip(self._durations_s[number] - self._read_s[number])
