"""Keep standard error for lines of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what libraries write past Python: the mp3 decoder notes whatever it dislikes of a file.

    Python's own standard error goes on as before.
    """
    try:
        is_ours = sys.stderr.fileno() == _STDERR
    except (OSError, AttributeError):  # a test or a program that has put something else there
        is_ours = False
    if not is_ours:
        yield
        return
    before = sys.stderr
    before.flush()
    saved = os.dup(_STDERR)
    with os.fdopen(os.dup(_STDERR), "w", 1, before.encoding, before.errors) as ours:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(saved, _STDERR)
            os.close(saved)
