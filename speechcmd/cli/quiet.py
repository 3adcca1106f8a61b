"""Keep standard error for lines of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what libraries write past Python: the mp3 decoder notes whatever it dislikes of a file.

    Python's own standard error goes on as before.
    """
    from speechcmd.runtime.stderr import STDERR, discarded_stderr

    try:
        is_ours = sys.stderr.fileno() == STDERR
    except (OSError, AttributeError):  # a test or a program that has put something else there
        is_ours = False
    if not is_ours:
        yield
        return
    before = sys.stderr
    before.flush()
    with os.fdopen(os.dup(STDERR), "w", 1, before.encoding, before.errors) as ours, discarded_stderr():
        sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
