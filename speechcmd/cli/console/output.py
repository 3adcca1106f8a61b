"""Where results go: standard output, piece by piece, or a file that appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from speechcmd.cli.console.plain_text import write_results
from speechcmd.cli.console.standard_streams import results_descriptor
from speechcmd.files import open_text

_NAMES_OF_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")  # libraries write there, and we elsewhere


@contextmanager
def open_output(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes text; None is standard output, flushed after each piece.

    A file keeps what it held unless the block ends without an error. A symbolic link stays one: the file
    that it leads to is written. A device, a pipe, or what standard output goes to already, is written to
    directly, for it must not be replaced.

    Raises
    ------
    OSError
        If the file cannot be written, or is a folder.
    """
    if path is None or str(path) in _NAMES_OF_STDOUT:
        yield lambda text: write_results(sys.stdout, text)
        return
    if _is_where_results_go(path):
        with path.open("a", encoding="utf-8", newline="\n") as file:
            yield lambda text: _write_and_flush(file, text)
        return
    with open_text(path, follow=True) as new:
        yield lambda text: _write(new, text)


def _is_where_results_go(path: Path) -> bool:
    """A shell appends to a file that the user names with -o too: it must not be replaced."""
    try:
        return os.path.samestat(path.stat(), os.fstat(results_descriptor()))
    except OSError:
        return False  # there is no such file, or standard output is closed


def _write(file: TextIO, text: str) -> None:
    file.write(text)


def _write_and_flush(file: TextIO, text: str) -> None:
    file.write(text)
    file.flush()
