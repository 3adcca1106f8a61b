"""Where results go: standard output, piece by piece, or a file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click


@contextmanager
def open_output(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes text; None is standard output, flushed after each piece."""
    if path is None:
        yield lambda text: click.echo(text, nl=False)
        return
    part = part_of(path)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda text: _write(file.write, text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(path.name + ".part")


def _write(write: Callable[[str], int], text: str) -> None:
    write(text)
