"""Standard error without what libraries write past Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def discarded_stderr() -> Iterator[None]:
    """Send what is written to the file descriptor of standard error to nowhere.

    Not for two threads at once: the later one would restore what the earlier one had put there.
    """
    saved = None
    try:
        saved = os.dup(STDERR)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDERR)
        os.close(nowhere)
    except OSError:
        pass  # a program without standard error has nothing to hide
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, STDERR)
            os.close(saved)
