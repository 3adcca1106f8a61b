"""Worker processes: each has a pipe of its own, and nothing is shared.

So one that is killed ends its pipe, which the parent sees, and can keep nobody waiting: a queue for all hangs
where a worker dies in the middle of an answer. There are no semaphores either, which need /dev/shm.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread, current_thread, main_thread
from typing import Any, TypeVar

from speechcmd.errors import SpeechcmdError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_Event = TypeVar("_Event")
Emit = Callable[[_Event], None]

_END_S = 5.0  # a terminated process is gone in milliseconds
_AHEAD = 3  # results for each process that may wait for their turn


class WorkerLostError(SpeechcmdError):
    """A worker process was killed, or ended by itself: `how` it ended, and the `task` it worked on."""

    def __init__(self, how: str, task: Any = None) -> None:
        super().__init__(f"a worker process {how}")
        self.how = how
        self.task = task


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
    done: dict[int, _Result] = {}
    n_yielded = 0
    results = _emitted(
        partial(_emit_result, function), tasks, n_processes, begin, arguments, start_method,
        lambda n_busy: len(done) + n_busy < _AHEAD * n_processes,
    )  # fmt: skip
    with closing(results):
        for number, result in results:
            done[number] = result
            while n_yielded in done:
                yield done.pop(n_yielded)
                n_yielded += 1


def emit_from_processes(
    function: Callable[[_Task, Emit[_Event]], None],
    tasks: Iterable[_Task],
    n_processes: int,
    *,
    start_method: str | None = None,
) -> Generator[tuple[int, _Event]]:
    """Work on tasks in processes; what `function(task, emit)` emits comes at once, with the task's number.

    Close the generator to end the processes before its end: `contextlib.closing`.

    Raises
    ------
    WorkerLostError
        If a process is killed. What the function raises, is raised here.
    """
    return _emitted(function, tasks, n_processes, None, (), start_method, lambda _: True)


def _emitted(
    function: Callable[[_Task, Emit[_Event]], None],
    tasks: Iterable[_Task],
    n_processes: int,
    begin: Callable[..., object] | None,
    arguments: tuple[Any, ...],
    start_method: str | None,
    is_room: Callable[[int], bool],
) -> Generator[tuple[int, _Event]]:
    """`is_room` says whether one more task may begin while so many processes are busy."""
    left = iter(enumerate(tasks))
    workers: list[_Worker] = []
    try:
        with _interrupts_ignored():  # what is ignored here stays so in the processes
            for _ in range(n_processes):
                workers.append(_Worker(start_method, function, begin, arguments))
        idle = list(workers)
        busy: dict[Any, _Worker] = {}  # by their pipes
        while True:
            while idle and is_room(len(busy)) and (task := next(left, None)):
                worker = idle.pop()
                worker.send(*task)
                busy[worker.pipe] = worker
            if not busy:
                return
            for pipe in wait(list(busy)):
                event = busy[pipe].receive()
                if event is None:
                    idle.append(busy.pop(pipe))
                else:
                    yield event
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, start_method: str | None, *work: Any) -> None:
        context: Any = get_context(start_method)
        self.pipe, end = context.Pipe()
        self._task: Any = None
        self._process = context.Process(target=_work, args=(end, *work), daemon=True)
        self._process.start()
        end.close()  # so that the pipe ends with the process

    def send(self, number: int, task: Any) -> None:
        self._task = task
        try:
            self.pipe.send((number, task))
        except ConnectionError as error:
            raise self._lost() from error

    def receive(self) -> Any:
        """The number of the task and what it emitted; None at its end."""
        try:
            event = self.pipe.recv()
        except (EOFError, OSError) as lost:  # the second in the middle of an answer
            raise self._lost() from lost
        if isinstance(event, Exception):
            raise event
        return event

    def end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        self.pipe.close()

    def _lost(self) -> WorkerLostError:
        self._process.join(_END_S)
        return WorkerLostError(_describe_end(self._process.exitcode), self._task)


def _describe_end(exit_code: int | None) -> str:
    """How a process ended that should not have."""
    was_killed = exit_code is not None and exit_code < 0
    return f"was killed by signal {-(exit_code or 0)}" if was_killed else f"ended with status {exit_code}"


def _emit_result(function: Callable[[_Task], _Result], task: _Task, emit: Emit[_Result]) -> None:
    emit(function(task))


def _work(
    pipe: Connection[Any, Any],
    function: Callable[[Any, Emit[Any]], None],
    begin: Callable[..., object] | None,
    arguments: tuple[Any, ...],
) -> None:
    """Do the tasks that come through the pipe: the main function of a process."""
    _leave_signals_to_parent()
    _end_with_parent()
    try:
        if begin is not None:
            begin(*arguments)
        while True:
            number, task = pipe.recv()
            function(task, partial(_send, pipe, number))
            pipe.send(None)
    except (EOFError, ConnectionError):
        return  # the parent is gone
    except (SpeechcmdError, OSError) as error:
        pipe.send(error)
    except Exception as error:  # of a type that may not survive the pipe
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _send(pipe: Connection[Any, Any], number: int, event: object) -> None:
    pipe.send((number, event))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if current_thread() is not main_thread():  # the others cannot change what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave_signals_to_parent() -> None:
    """Ignore what reaches a whole group of processes, Ctrl-C and a terminal that closes.

    The parent hears it too, and ends its workers in its own order, by SIGTERM. A forked worker gives up the
    parent's handler of that.
    """
    for name in ("SIGINT", "SIGHUP"):  # Windows has no second one
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed one cannot tell."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
