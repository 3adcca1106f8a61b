"""Several processes for `transcribe`: each loads the model once and takes one recording after the other.

Each process has a pipe of its own, and no lock is shared: one that is killed ends its pipe, which the
parent sees, and can keep nobody waiting.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from speechcmd.batch.transcription import Ended, Event, Job, Plan, transcribe_recording
from speechcmd.errors import SpeechcmdError
from speechcmd.files import remove_leftovers
from speechcmd.processes import describe_end, leave_signals_to_parent

_END_S = 5.0  # a terminated process is gone in milliseconds


def run_in_processes(
    n_processes: int, plan: Plan, jobs: Sequence[Job], on_event: Callable[[int, Event], None]
) -> None:
    """Do jobs in processes; their events come to `on_event` with the number of the job.

    Raises
    ------
    SpeechcmdError
        If a process is killed; also whatever a process could not go on after.
    """
    waiting = deque(enumerate(jobs))
    workers: list[_Worker] = []
    try:
        with _interrupts_ignored():  # what is ignored here stays so in the processes
            for _ in range(n_processes):
                workers.append(_Worker(plan))
        for worker in workers:
            worker.begin(*waiting.popleft())
        while working := {worker.pipe: worker for worker in workers if worker.job is not None}:
            for pipe in wait(list(working)):
                worker = working[pipe]  # type: ignore[index]
                number, event = worker.receive()
                on_event(number, event)
                if isinstance(event, Ended):
                    worker.job = None
                    if waiting:
                        worker.begin(*waiting.popleft())
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, plan: Plan) -> None:
        context = get_context("spawn")
        self.pipe, end = context.Pipe()
        self.job: Job | None = None
        self._process = context.Process(target=work, args=(end, plan), daemon=True)
        self._process.start()
        end.close()  # so that the pipe ends with the process

    def begin(self, number: int, job: Job) -> None:
        self.job = job
        try:
            self.pipe.send((number, job))
        except ConnectionError as error:
            raise self._lost() from error

    def receive(self) -> tuple[int, Event]:
        try:
            message = self.pipe.recv()
        except (EOFError, OSError) as error:  # the second in the middle of a message
            raise self._lost() from error
        if isinstance(message, Exception):
            raise message
        answer: tuple[int, Event] = message
        return answer

    def end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        if self.job is not None and self.job.result is not None:
            # it could not do so itself
            remove_leftovers(self.job.result.parent, of=self.job.result.name)

    def _lost(self) -> SpeechcmdError:
        self._process.join(_END_S)
        how = describe_end(self._process.exitcode)
        path = self.job.recording.path if self.job else ""
        return SpeechcmdError(
            f"{path}: the process that worked on it {how}; "
            "if memory ran out, run again with fewer --jobs (and --resume)"
        )


def work(pipe: Connection[Any, Any], plan: Plan) -> None:
    """Do the jobs that come through the pipe: the main function of a process."""
    from speechcmd.runtime.recognition.recognizer import Recognizer

    leave_signals_to_parent()
    try:
        recognizer = Recognizer.load(plan.model)
        while True:
            number, job = pipe.recv()
            transcribe_recording(recognizer, plan, job, partial(_send, pipe, number))
    except (EOFError, ConnectionError):
        return  # the parent is gone
    except (SpeechcmdError, OSError) as error:
        pipe.send(error)
    except Exception as error:  # of a type that may not survive the pipe
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _send(pipe: Connection[Any, Any], number: int, event: Event) -> None:
    pipe.send((number, event))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
