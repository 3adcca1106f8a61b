"""What ends a command from outside: Ctrl-C, a service manager, a terminal that closes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

# sent by service managers, and by a terminal that closes (Windows knows only the first)
_END_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGNALS = (signal.SIGINT, *_END_SIGNALS)


class EndedBySignal(KeyboardInterrupt):
    """The command shall end by a signal other than that of Ctrl-C; it is cleaned up in the same way."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `EndedBySignal` when a signal asks for the end; asking once more does not cut the cleaning up.

    Ctrl-C does, for that may hang.
    """
    before = {number: signal.getsignal(number) for number in _END_SIGNALS}

    def end(number: int, _: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's raises for each process that ends now
        raise EndedBySignal(number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells count."""
    return 128 + (interrupt.number if isinstance(interrupt, EndedBySignal) else signal.SIGINT)


class Interruption:
    """Turns the signals into KeyboardInterrupt, inside `with`; inside `held` only at its end.

    A second one inside `held` comes at once: the work may hang.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._is_pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # a program in the background keeps that
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Finish what is inside before the interrupt comes."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_held and not self._is_pending:
            self._is_pending = True
            return
        raise KeyboardInterrupt
