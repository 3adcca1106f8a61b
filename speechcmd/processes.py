"""Worker processes: each has a pipe of its own, and nothing is shared.

So one that is killed ends its pipe, which the parent sees, and can keep nobody waiting: a queue for all hangs
where a worker dies in the middle of an answer. There are no semaphores either, which need /dev/shm.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, TypeVar

from speechcmd.errors import SpeechcmdError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_END_S = 5.0  # a terminated process is gone in milliseconds
_AHEAD = 3  # results for each process that may wait for their turn


class WorkerLostError(SpeechcmdError):
    """A worker process was killed, or ended by itself."""


def map_in_order(
    function: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    n_processes: int,
    *,
    begin: Callable[..., object] | None = None,
    arguments: tuple[Any, ...] = (),
    start_method: str | None = None,
) -> Iterator[_Result]:
    """Apply a function to tasks in processes; results come in the order of the tasks.

    Parameters
    ----------
    begin
        What each process does first, with `arguments`.
    start_method
        As `multiprocessing.get_context` takes it.

    Raises
    ------
    WorkerLostError
        If a process is killed. What the function raises, is raised here.
    """
    left = iter(enumerate(tasks))
    workers: list[_Worker] = []
    done: dict[int, _Result] = {}
    n_yielded = 0
    try:
        for _ in range(n_processes):
            workers.append(_Worker(start_method, function, begin, arguments))
        idle = list(workers)
        busy: dict[Any, _Worker] = {}  # by their pipes
        while True:
            while idle and len(done) + len(busy) < _AHEAD * n_processes and (task := next(left, None)):
                worker = idle.pop()
                worker.send(task)
                busy[worker.pipe] = worker
            if n_yielded in done:
                yield done.pop(n_yielded)
                n_yielded += 1
                continue  # there is room for a task now
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy.pop(pipe)
                number, done_now = worker.receive()
                done[number] = done_now
                idle.append(worker)
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, start_method: str | None, *work: Any) -> None:
        context: Any = get_context(start_method)
        self.pipe, end = context.Pipe()
        self._process = context.Process(target=_work, args=(end, *work), daemon=True)
        self._process.start()
        end.close()  # so that the pipe ends with the process

    def send(self, task: object) -> None:
        try:
            self.pipe.send(task)
        except ConnectionError as error:
            raise self._lost() from error

    def receive(self) -> Any:
        try:
            number, result, error = self.pipe.recv()
        except (EOFError, OSError) as lost:  # the second in the middle of an answer
            raise self._lost() from lost
        if error is not None:
            raise error
        return number, result

    def end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        self.pipe.close()

    def _lost(self) -> WorkerLostError:
        self._process.join(_END_S)
        return WorkerLostError(f"a worker process {describe_end(self._process.exitcode)}")


def describe_end(exit_code: int | None) -> str:
    """How a process ended that should not have."""
    was_killed = exit_code is not None and exit_code < 0
    return f"was killed by signal {-(exit_code or 0)}" if was_killed else f"ended with status {exit_code}"


def _work(
    pipe: Connection[Any, Any],
    function: Callable[[Any], Any],
    begin: Callable[..., object] | None,
    arguments: tuple[Any, ...],
) -> None:
    """Do the tasks that come through the pipe: the main function of a process."""
    leave_signals_to_parent()
    end_with_parent()
    try:
        if begin is not None:
            begin(*arguments)
        while True:
            number, task = pipe.recv()
            pipe.send((number, function(task), None))
    except (EOFError, ConnectionError):
        return  # the parent is gone
    except (SpeechcmdError, OSError) as error:
        pipe.send((-1, None, error))
    except Exception as error:  # of a type that may not survive the pipe
        pipe.send((-1, None, RuntimeError(f"{type(error).__name__}: {error}")))


def leave_signals_to_parent() -> None:
    """Ignore what reaches a whole group of processes, Ctrl-C and a terminal that closes.

    The parent hears it too, and ends its workers in its own order, by SIGTERM. A forked worker gives up the
    parent's handler of that.
    """
    for name in ("SIGINT", "SIGHUP"):  # Windows has no second one
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_with_parent() -> None:
    """End this process when its parent is gone: a killed one cannot tell."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
