"""What rich draws on, and what others print there meanwhile: text that is never obeyed."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from speechcmd.cli.console.plain_text import terminal_of
from speechcmd.errors import make_visible


class PlainConsole(Console):
    """A console that moves the cursor itself, and on which printed text cannot.

    While rich draws, lines that others write to standard error come through `print`.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=terminal_of(stream))

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does, but what a terminal would act on is written as `\\x1b` and the like."""
        super().print(*map(_make_plain, objects), **options)


def _make_plain(shown: object) -> object:
    text = shown.plain if isinstance(shown, Text) else shown
    if isinstance(text, str) and make_visible(text) != text:
        return Text(make_visible(text))
    return shown
