"""Transcribing recordings: what is done for each, here or in another process, and what that tells."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from speechcmd.batch.inputs import STANDARD_INPUT, Recording, open_recording
from speechcmd.cli.console.output import open_output
from speechcmd.errors import AudioError, ModelError, printable

if TYPE_CHECKING:
    from speechcmd.audio.wav_stream import PcmFormat
    from speechcmd.cli.console.batch_report import Report
    from speechcmd.runtime.model.card import DecoderSettings
    from speechcmd.runtime.output.transcript import Transcript
    from speechcmd.runtime.recognition.recognizer import Recognizer

# of the disk, not of one file: the other results would fail alike
_ERRORS_OF_ALL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass(frozen=True, slots=True)
class Job:
    """One recording, and the file for its result; None is the output that all share."""

    recording: Recording
    result: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all recordings; it can be sent to another process."""

    model: str | None
    labels: tuple[str, ...] | None
    settings: DecoderSettings
    output_format: str
    transcript: Transcript
    raw: PcmFormat | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Results for the shared output."""

    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """More audio was read."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A recording is done, or failed."""

    n_words: int = 0
    error: str | None = None


Event = Found | Progressed | Ended


def transcribe_recording(recognizer: Recognizer, plan: Plan, job: Job, emit: Callable[[Event], None]) -> None:
    """Do one job; what there is to tell goes to `emit`, `Ended` last.

    A failed one leaves no file, neither a part nor the result of an earlier run (unless its recording is
    gone).

    Raises
    ------
    OSError
        If the output that all share, or the disk, cannot be written to: there is no going on.
    """
    from speechcmd.runtime.output.formats import LineWriter, WholeFileWriter
    from speechcmd.runtime.output.transcript import LINE_FORMATS

    path = job.recording.path
    is_line = plan.output_format in LINE_FORMATS
    writer = LineWriter(plan.transcript, path) if is_line else WholeFileWriter(plan.output_format)
    n_words, duration_s = 0, 0.0

    def progress(seconds: float) -> None:
        nonlocal duration_s
        duration_s += seconds
        emit(Progressed(seconds))

    try:
        with open_recording(job.recording, plan.raw) as source, _open_result(plan, job, emit) as write:
            detections = recognizer.transcribe(
                source, only_labels=plan.labels, settings=plan.settings, on_progress=progress
            )
            for detection in detections:
                n_words += 1
                write(writer.feed(detection))
            write(writer.finish(duration_s))
    except (AudioError, ModelError, OSError) as error:
        failure = _failure_of_one(job, error)
        if failure is None:
            raise
        if job.result is None:
            emit(Found(writer.fail(failure)))
        else:
            _discard_old_result(job.recording.path, job.result)
        emit(Ended(error=failure))
    else:
        emit(Ended(n_words))


def _failure_of_one(job: Job, error: Exception) -> str | None:
    """What to say of an error of this recording; None if there is no going on with the others."""
    if isinstance(error, AudioError):
        return str(error)
    name = printable(job.recording.path)
    if not isinstance(error, OSError):
        return f"{name}: {error}"
    # without a file of its own it is the output that all share, and a connection is the way to `emit`
    if job.result is None or isinstance(error, ConnectionError) or error.errno in _ERRORS_OF_ALL:
        return None
    file = printable(str(error.filename or job.result))
    return f"{name}: its result cannot be written: {file}: {error.strerror or error}"


def _discard_old_result(path: str, result: Path) -> None:
    """Remove what an earlier run wrote: it is not the result of this one.

    If the recording itself is gone, the old result is all that is left of it, and stays.
    """
    is_there = path == STANDARD_INPUT or os.path.isfile(path)  # noqa: PTH113  # pathlib raises for long names
    with suppress(OSError):
        if is_there and result.is_file():
            result.unlink()


@contextmanager
def _open_result(plan: Plan, job: Job, emit: Callable[[Event], None]) -> Iterator[Callable[[str], None]]:
    from speechcmd.runtime.output.formats import as_text

    if job.result is None:
        yield lambda text: emit(Found(text)) if text else None
        return
    job.result.parent.mkdir(parents=True, exist_ok=True)
    with open_output(job.result) as write:
        write(as_text(plan.transcript.header()))
        yield write


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


def run_jobs(
    jobs: Sequence[Job],
    plan: Plan,
    report: Report,
    recognizer: Recognizer,
    n_processes: int,
) -> None:
    """Do all jobs, in this process or in several; results are written in the order of the jobs."""

    def handle(number: int, event: Event) -> None:
        if isinstance(event, Found):
            report.text(event.text)
        elif isinstance(event, Progressed):
            report.read(number, event.seconds)
        elif event.error is not None:
            report.failed(number, event.error)
        else:
            if event.n_words == 0 and plan.output_format == "text":
                report.note(f"{jobs[number].recording.path}: no word heard")
            report.done(number)

    if min(n_processes, len(jobs)) > 1:
        from speechcmd.batch.workers import run_in_processes

        run_in_processes(min(n_processes, len(jobs)), plan, jobs, InOrder(handle).put)
        return
    for number, job in enumerate(jobs):
        transcribe_recording(recognizer, plan, job, partial(handle, number))
