"""Keep standard error, and standard output, for lines of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from speechcmd.cli.console.plain_text import PlainText
from speechcmd.cli.console.standard_streams import results_descriptor


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what libraries write past Python: the mp3 decoder notes whatever it dislikes of a file.

    Python's own standard error goes on as before, and so do results.
    """
    from speechcmd.runtime.microphone.native_output import STDERR, STDOUT, discarded

    try:
        is_ours = sys.stderr.fileno() == STDERR
    except (OSError, AttributeError):  # a test or a program that has put something else there
        is_ours = False
    if not is_ours:
        yield
        return
    before = sys.stderr
    before.flush()
    hidden = [STDERR] if results_descriptor() == STDOUT else [STDERR, STDOUT]
    ours = PlainText(os.fdopen(os.dup(STDERR), "wb"), before.encoding, before.errors, line_buffering=True)
    with ours, discarded(*hidden):
        sys.stderr = ours
        try:
            yield
        finally:
            sys.stderr = before
