"""Starting programs that a test will interrupt, and rights that a test gives up."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_CAPABILITIES_VERSION = 0x20080522  # linux/capability.h, 64 bits in two words
_READS_EVERYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def find_speechcmd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs that a test starts import speechcmd as this process does, wherever they run."""
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))


def heed_interrupts() -> None:
    """To be called in the child: a suite that runs in the background hands on that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def heeding_interrupts() -> Iterator[None]:
    """The same for signals that a test sends to itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def held_to_permissions() -> Iterator[None]:
    """Nothing is done for a plain user; root, who may read everything, gives that up for a while.

    Another user would not do: he may not read speechcmd itself where that lies in a private folder.
    """
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root reads everything here")
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    _check(libc.capget(header, words))
    before = words[0]
    words[0] = before & ~_READS_EVERYTHING
    _check(libc.capset(header, words))
    try:
        yield
    finally:
        words[0] = before
        _check(libc.capset(header, words))


def _check(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
