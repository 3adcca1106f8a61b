"""All recordings of a batch, one after the other or in several processes, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol

from speechcmd.batch.inputs import Recording
from speechcmd.batch.transcription import (
    Emit,
    Ended,
    Event,
    Found,
    Job,
    Progressed,
    TranscriptionPlan,
    transcribe_recording,
)
from speechcmd.errors import SpeechcmdError
from speechcmd.runtime.recognition.recognizer import Recognizer


class BatchListener(Protocol):
    """Who hears what happens, and tells people. Recordings are known by their numbers in `begin`."""

    def begin(self, recordings: Sequence[Recording]) -> None:
        """All that will be worked on."""

    def text(self, text: str) -> None:
        """Results for the output that all recordings share."""

    def read(self, number: int, seconds: float) -> None:
        """More audio of a recording was worked on."""

    def note(self, line: str) -> None:
        """Something that people may want to know."""

    def done(self, number: int) -> None:
        """A recording was worked on to its end."""

    def failed(self, number: int, message: str) -> None:
        """A recording could not be read (on), or its result not be written."""


def run_jobs(
    jobs: Sequence[Job],
    plan: TranscriptionPlan,
    listener: BatchListener,
    recognizer: Recognizer,
    n_processes: int,
) -> None:
    """Do all jobs, in this process or in several; results are reported in the order of the jobs.

    Raises
    ------
    OSError
        If the output that all share, or the disk, cannot be written to.
    SpeechcmdError
        If a process is killed; also whatever a process could not go on after.
    """
    n_processes = min(n_processes, len(jobs))

    def handle(number: int, event: Event) -> None:
        if isinstance(event, Found):
            listener.text(event.text)
        elif isinstance(event, Progressed):
            listener.read(number, event.seconds)
        elif event.error is not None:
            listener.failed(number, event.error)
        else:
            if event.n_words == 0 and plan.output_format == "text":
                listener.note(f"{jobs[number].recording.path}: no word heard")
            listener.done(number)

    if n_processes <= 1:
        for number, job in enumerate(jobs):
            transcribe_recording(recognizer, plan, job, partial(handle, number))
        return
    from speechcmd.processes import (  # time that one process need not spend
        WorkerLostError,
        emit_from_processes,
    )

    in_order = InOrder(handle)
    # a fork would copy onnxruntime's locks
    events = emit_from_processes(_Transcriber(plan), jobs, n_processes, start_method="spawn")
    try:
        with closing(events):
            for number, event in events:
                in_order.put(number, event)
    except WorkerLostError as error:
        raise SpeechcmdError(
            f"the process that worked on it {error.how}",
            path=error.task.recording.path if error.task else None,
            advice="if memory ran out, run again with fewer --jobs (and --resume)",
        ) from error


class _Transcriber:
    """What a process does; it loads the model for its first recording."""

    def __init__(self, plan: TranscriptionPlan) -> None:
        self._plan = plan
        self._recognizer: Recognizer | None = None

    def __call__(self, job: Job, emit: Emit) -> None:
        if self._recognizer is None:
            self._recognizer = Recognizer.load(self._plan.model)
        transcribe_recording(self._recognizer, self._plan, job, emit)


class InOrder:
    """Hands on what comes from several recordings at once as if they were done one after the other.

    Progress is handed on at once.
    """

    def __init__(self, handle: Callable[[int, Event], None]) -> None:
        self._handle = handle
        self._current = 0
        self._waiting: dict[int, list[Event]] = {}

    def put(self, number: int, event: Event) -> None:
        """Take an event of the recording of this number."""
        if isinstance(event, Progressed):
            self._handle(number, event)
            return
        self._waiting.setdefault(number, []).append(event)
        while ready := self._waiting.pop(self._current, []):
            for one in ready:
                self._handle(self._current, one)
            if not isinstance(ready[-1], Ended):
                return
            self._current += 1
