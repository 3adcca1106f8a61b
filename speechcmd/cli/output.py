"""Where results go: standard output, piece by piece, or a file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from speechcmd.cli.standard_streams import results_descriptor

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
        yield lambda text: click.echo(text, nl=False)
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if _must_stay(path):
        with path.open("a", encoding="utf-8", newline="\n") as file:
            yield lambda text: _write(file.write, text, file.flush)
        return
    part = part_of(path)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda text: _write(file.write, text)
        part.replace(_link_target(path))
    finally:
        with suppress(OSError):  # it would hide the error that says more
            part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    target = _link_target(path)
    return target.with_name(target.name + ".part")


def _link_target(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _must_stay(path: Path) -> bool:
    """Whether there is something that another file must not take the place of."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(there.st_mode):
        return True
    try:
        return os.path.samestat(there, os.fstat(results_descriptor()))  # a shell appends to a file
    except OSError:
        return False  # standard output is closed


def _write(write: Callable[[str], int], text: str, flush: Callable[[], None] | None = None) -> None:
    write(text)
    if flush is not None:
        flush()
