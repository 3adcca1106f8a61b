"""One recording of a batch: what is done for it, here or in another process, and what that tells."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from speechcmd.audio.wav_stream import PcmFormat
from speechcmd.batch.inputs import STANDARD_INPUT, Recording, open_recording
from speechcmd.errors import AudioError, ModelError, printable
from speechcmd.files import open_text
from speechcmd.runtime.model.card import DecoderSettings
from speechcmd.runtime.output.formats import LineWriter, WholeFileWriter, as_text
from speechcmd.runtime.output.lines import LINE_FORMATS, LineFormatter
from speechcmd.runtime.recognition.recognizer import Recognizer

# of the disk, not of one file: the other results would fail alike
_ERRORS_OF_ALL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass(frozen=True, slots=True)
class Job:
    """One recording, and the file for its result; None is the output that all share."""

    recording: Recording
    result: Path | None = None


@dataclass(frozen=True, slots=True)
class TranscriptionPlan:
    """What is the same for all recordings; it can be sent to another process."""

    model: str | None
    labels: tuple[str, ...] | None
    settings: DecoderSettings
    output_format: str
    lines: LineFormatter
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
Emit = Callable[[Event], None]


def transcribe_recording(recognizer: Recognizer, plan: TranscriptionPlan, job: Job, emit: Emit) -> None:
    """Do one job; what there is to tell goes to `emit`, `Ended` last.

    A failed one leaves no file, neither a part nor the result of an earlier run (unless its recording is
    gone).

    Raises
    ------
    OSError
        If the output that all share, or the disk, cannot be written to: there is no going on.
    """
    path = job.recording.path
    is_line = plan.output_format in LINE_FORMATS
    writer = LineWriter(plan.lines, path) if is_line else WholeFileWriter(plan.output_format)
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
def _open_result(plan: TranscriptionPlan, job: Job, emit: Emit) -> Iterator[Callable[[str], object]]:
    if job.result is None:
        yield lambda text: emit(Found(text)) if text else None
        return
    job.result.parent.mkdir(parents=True, exist_ok=True)
    with open_text(job.result, follow=True) as file:
        file.write(as_text(plan.lines.header()))
        yield file.write
