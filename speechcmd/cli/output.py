"""Where results go: standard output, line by line, or a file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click


@contextmanager
def open_output(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a line; None is standard output, flushed after each line."""
    if path is None:
        yield click.echo
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda line: _write_line(file.write, line)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_line(write: Callable[[str], int], line: str) -> None:
    write(f"{line}\n")
