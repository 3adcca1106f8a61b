"""What worker processes do in tests: in a module that a process which starts anew can import."""

from __future__ import annotations

import os
import signal
import time

from speechcmd.errors import CorpusError
from speechcmd.processes import Emit


def square_slowly_at_first(number: int) -> int:
    time.sleep(0.1 if number == 0 else 0)
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise CorpusError("three is no number")
    return number


def die_while_answering(number: int) -> bytes:
    """The second answer is larger than a pipe, and its process is killed before all of it has been taken."""
    if number == 1:
        signal.setitimer(signal.ITIMER_REAL, 0.2)  # SIGALRM ends a process
    return bytes(50_000_000 if number == 1 else 1)


def own_id(_: int) -> int:
    return os.getpid()


def count_up(number: int, emit: Emit[int]) -> None:
    for count in range(number):
        emit(count)


def wait_to_be_killed(name: str, emit: Emit[int]) -> None:
    emit(os.getpid())
    if name == "long":
        time.sleep(60)


_begun = 0


def begin_with(value: int) -> None:
    global _begun
    _begun = value


def add_begun(number: int) -> int:
    return _begun + number
