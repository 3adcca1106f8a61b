"""Standard output and standard error without what libraries write past Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

STDOUT, STDERR = 1, 2


@contextmanager
def discarded(*descriptors: int) -> Iterator[None]:
    """Send what is written to these file descriptors to nowhere.

    Not for two threads at once: the later one would restore what the earlier one had put there.
    """
    with ExitStack() as stack:
        for descriptor in descriptors:
            stack.enter_context(_discarded(descriptor))
        yield


@contextmanager
def _discarded(descriptor: int) -> Iterator[None]:
    saved = None
    try:
        saved = os.dup(descriptor)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    except OSError:
        pass  # a program whose descriptor is closed has nothing to hide
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, descriptor)
            os.close(saved)
