"""Standard output belongs to the results: no library writes between them, and a lost result is an error."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from speechcmd.cli.console.plain_text import PlainText, encoding_of, plain_text
from speechcmd.errors import SpeechcmdError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class StandardOutputError(SpeechcmdError):
    """Results could not be written to standard output."""


@contextmanager
def results_kept_apart() -> Iterator[None]:
    """Let `sys.stdout` be the only way to standard output.

    What a library writes to the file descriptor, past Python, goes to standard error. On a terminal, where a
    person looks at both, all stays as it is. Where one of the streams is closed no file gets its descriptor
    by accident; lines for people go nowhere then, and writing results raises `StandardOutputError`.

    Both are `PlainText` meanwhile: names cannot steer the terminal.
    """
    _fill_closed_descriptors()
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(_STDERR, "w", closefd=False), "utf-8", "replace")
    errors = sys.stderr
    with plain_text(errors) as sys.stderr:
        try:
            with _plain_terminal() if sys.stdout is not None and sys.stdout.isatty() else _moved_results():
                yield
        finally:
            sys.stderr = errors


@contextmanager
def _plain_terminal() -> Iterator[None]:
    before = sys.stdout
    with plain_text(before) as sys.stdout:
        try:
            yield
        finally:
            sys.stdout = before


@contextmanager
def _moved_results() -> Iterator[None]:
    before = sys.stdout
    moved = os.dup(_STDOUT)  # processes that we start do not get it
    os.dup2(_STDERR, _STDOUT)
    encoding = "utf-8" if before is None else encoding_of(before)
    results = sys.stdout = PlainText(io.BufferedWriter(_Results(moved, "w")), encoding, "replace")
    try:
        yield
        results.flush()
    finally:
        sys.stdout = before
        os.dup2(moved, _STDOUT)
        results.close()


def results_descriptor() -> int:
    """The file descriptor of where results go, for comparison with a file."""
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # a program that has put something else there
        return _STDOUT


def _fill_closed_descriptors() -> None:
    """Open the null device in place of what is closed: standard output so that writing fails."""
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == _STDERR else os.O_RDONLY)  # takes the lowest number


class _Results(io.FileIO):
    """Standard output that raises its first failure, and not a second one when Python empties its buffers."""

    _has_failed = False

    def write(self, content: ReadableBuffer, /) -> int:
        """Write bytes and return their number.

        Raises
        ------
        BrokenPipeError
            If the reader has gone.
        StandardOutputError
            If writing fails for another reason.
        """
        if self._has_failed:
            return memoryview(content).nbytes
        try:
            return super().write(content)
        except BrokenPipeError:
            self._has_failed = True
            raise
        except OSError as error:
            self._has_failed = True
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise StandardOutputError(
                f"standard output: {reason}; send the results to a file with room, or to {os.devnull}"
            ) from error
