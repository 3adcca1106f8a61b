"""Ctrl-C while something is being done."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
from processes import heeding_interrupts

from speechcmd.cli.console.interruption import Interruption

pytestmark = pytest.mark.runtime


@pytest.fixture(autouse=True)
def heed() -> Iterator[None]:
    with heeding_interrupts():
        yield


def is_interrupted(work: Callable[[], object]) -> bool:
    """Whether the work, or what comes right after it, was interrupted."""
    try:
        work()
    except KeyboardInterrupt:
        return True
    return False


def do_held(interruption: Interruption, *work: Callable[[], object]) -> None:
    with interruption.held():
        for one in work:
            one()


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_it_comes_at_once_outside_and_later_inside(number: str) -> None:
    if not hasattr(signal, number):
        pytest.skip("a signal of POSIX")

    def interrupt() -> None:
        signal.raise_signal(getattr(signal, number))

    done: list[str] = []
    with Interruption() as interruption:
        assert is_interrupted(lambda: do_held(interruption, interrupt, lambda: done.append("held")))
        assert not is_interrupted(lambda: do_held(interruption, lambda: done.append("told once")))
        assert is_interrupted(interrupt)
    assert done == ["held", "told once"]


def test_a_second_one_does_not_wait() -> None:
    done: list[str] = []

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    with Interruption() as interruption:
        assert is_interrupted(
            lambda: do_held(interruption, interrupt, interrupt, lambda: done.append("too late"))
        )
    assert done == []


def test_an_error_inside_is_not_hidden() -> None:
    def fail() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError("broken")

    with Interruption() as interruption, pytest.raises(ValueError, match="broken"):
        do_held(interruption, fail)


def test_handlers_are_given_back_and_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interruption():
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
