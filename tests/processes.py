"""Starting programs that a test will interrupt."""

from __future__ import annotations

import signal


def heed_interrupts() -> None:
    """To be called in the child: a suite that runs in the background hands on that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
