"""What a command says while it works through recordings: results, errors, progress, and the exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import click

from speechcmd.batch.inputs import STANDARD_INPUT, Recording
from speechcmd.cli.console.progress import AudioProgress
from speechcmd.errors import AudioError


class JobReport:
    """Results on the output, the rest on standard error: the listener of a batch.

    Parameters
    ----------
    write
        Takes the text of results.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._n_failed = 0
        self._progress = AudioProgress(None)

    def begin(self, recordings: Sequence[Recording]) -> None:
        """Take the list of all that will be worked on; the other methods take numbers in it."""
        self._durations_s = durations_s(recordings)
        self._read_s = [0.0] * len(recordings)
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
        """Report a recording that could not be read (on)."""
        self._n_failed += 1
        self.note(f"speechcmd: error: {message}")
        self._leave(number)

    def exit_if_failed(self) -> None:
        """End the command with exit status 1 if a recording failed."""
        if self._n_failed:
            self._progress.close()
            click.echo(f"speechcmd: {self._n_failed} of {len(self._read_s)} recordings failed", err=True)
            click.get_current_context().exit(1)

    def _leave(self, number: int) -> None:
        if self._durations_s[number]:  # headers may lie, and what failed is done too
            self._progress.skip(self._durations_s[number] - self._read_s[number])


def durations_s(recordings: Sequence[Recording]) -> list[float]:
    """Lengths from the headers, for a progress bar; zeros where they are unknown or nobody sees a bar."""
    from speechcmd.audio.reading import claimed_duration_s

    durations = [0.0] * len(recordings)
    if not sys.stderr.isatty():
        return durations
    for number, recording in enumerate(recordings):
        if recording.path != STANDARD_INPUT:
            with suppress(AudioError):
                durations[number] = claimed_duration_s(recording.path) or 0.0
    return durations
