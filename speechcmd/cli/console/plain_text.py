"""Text that a terminal shows and never obeys, on standard output and standard error.

Names of files, devices, models and labels are somebody else's words. They are made harmless in one place, on
their way out, and not by each line that quotes one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from speechcmd.errors import make_visible


class PlainText(io.TextIOWrapper):
    """A stream of text on which what a terminal would act on is written as `\\x1b` and the like."""

    def write(self, text: str, /) -> int:
        """Write text for people."""
        super().write(make_visible(text))
        return len(text)

    def write_data(self, text: str) -> int:
        """Write results: exactly, unless a terminal would read them."""
        return self.write(text) if self.isatty() else super().write(text)

    @property
    def terminal(self) -> TextIO:
        """The same stream for what draws and moves the cursor itself."""
        return cast(TextIO, _Terminal(self))


class _Terminal(io.TextIOBase):
    def __init__(self, stream: PlainText) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        return io.TextIOWrapper.write(self._stream, text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextmanager
def plain_text(stream: TextIO) -> Iterator[TextIO]:
    """Yield the stream as `PlainText` over the same buffer; as it is where it has none."""
    if not isinstance(stream, io.TextIOWrapper):
        yield stream
        return
    stream.flush()
    plain = PlainText(stream.buffer, encoding_of(stream), stream.errors, line_buffering=stream.line_buffering)
    try:
        yield plain
    finally:
        plain.flush()
        plain.detach()  # or the buffer would be closed with it


def encoding_of(stream: TextIO) -> str:
    """Its encoding; UTF-8 for ASCII, where click would write past the stream."""
    return "utf-8" if stream.encoding.lower() in ("ascii", "us-ascii") else stream.encoding


def write_results(stream: TextIO, text: str) -> None:
    """Write results and flush: exactly, unless a terminal would read them."""
    if isinstance(stream, PlainText):
        stream.write_data(text)
    else:
        stream.write(text)
    stream.flush()


def terminal_of(stream: TextIO) -> TextIO:
    """The stream for what moves the cursor itself."""
    return stream.terminal if isinstance(stream, PlainText) else stream
