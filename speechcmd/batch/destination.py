"""Where the results of a batch go, and the batch as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from speechcmd.batch.inputs import STANDARD_INPUT, Recording
from speechcmd.batch.result_folder import ResultFolder, is_folder
from speechcmd.batch.transcription import Job, TranscriptionPlan
from speechcmd.batch.workers import BatchListener, run_jobs
from speechcmd.errors import UsageError
from speechcmd.files import remove_leftovers
from speechcmd.folder_lock import lock_folder
from speechcmd.runtime.model.model_file import read_model_bytes
from speechcmd.runtime.output.formats import SUFFIXES, WHOLE_FILE_FORMATS, as_text
from speechcmd.runtime.recognition.recognizer import Recognizer


@dataclass(frozen=True, slots=True)
class Destination:
    """Standard output, one file, or a folder with one result a recording."""

    file: Path | None = None
    folder: ResultFolder | None = None
    resume: bool = False

    @classmethod
    def choose(
        cls,
        output: str | None,
        output_format: str,
        recordings: Sequence[Recording],
        n_processes: int,
        resume: bool,
        *,
        may_be_several: bool,
    ) -> Self:
        """Decide from what was asked for.

        What may be several recordings (`may_be_several`) gets a folder in a format of one, even if it is
        one today: the same command must not write a file today and a folder tomorrow.

        Raises
        ------
        UsageError
            If the wishes do not fit each other, or the recordings.
        """
        n_recordings = len(recordings)
        is_whole = output_format in WHOLE_FILE_FORMATS
        needs_folder = is_whole and (n_recordings > 1 or (may_be_several and output is not None))
        if needs_folder and (output is None or _is_no_folder(Path(output))):
            got = f"{n_recordings}" if n_recordings > 1 else "what may be several"
            raise UsageError(
                f"{output_format} is a file of one recording, got {got}", advice="give a folder: -o DIR"
            )
        if n_processes > 1 and n_recordings > 1 and any(one.path == STANDARD_INPUT for one in recordings):
            raise UsageError("standard input beside other recordings needs --jobs 1")
        if output is not None and (needs_folder or is_folder(output)):
            return cls(folder=ResultFolder(Path(output), SUFFIXES[output_format]), resume=resume)
        if resume:
            raise UsageError("--resume needs a folder with one result a recording: -o DIR")
        return cls(file=None if output is None else Path(output))


def _is_no_folder(path: Path) -> bool:
    return path.exists() and not path.is_dir()


def transcribe_all(
    recordings: Sequence[Recording],
    plan: TranscriptionPlan,
    recognizer: Recognizer,
    destination: Destination,
    n_processes: int,
    listener: BatchListener,
) -> None:
    """Transcribe recordings; the listener hears what does not go into a folder of results.

    Raises
    ------
    BusyError
        If another process writes into the folder of results.
    UsageError
        If that folder holds results of other settings and `destination.resume` is set, or two recordings
        would share a result.
    OSError, SpeechcmdError
        As `run_jobs`.
    """
    folder = destination.folder
    if folder is None:
        listener.begin(recordings)
        listener.text(as_text(plan.lines.header()))
        run_jobs([Job(recording) for recording in recordings], plan, listener, recognizer, n_processes)
        return
    with ExitStack() as stack:
        stack.enter_context(lock_folder(folder.path))
        results = folder.results_of(recordings)
        for place in {result.parent for result in results}:
            remove_leftovers(place)
            stack.callback(remove_leftovers, place)  # of processes that were ended
        folder.record_settings(_settings_of(plan), destination.resume)
        todo = [
            Job(recording, result)
            for recording, result in zip(recordings, results, strict=True)
            if not (destination.resume and folder.is_done(recording, result))
        ]
        if destination.resume:
            n_done = len(recordings) - len(todo)
            listener.note(f"speechcmd: {n_done} of {len(recordings)} recordings were done already")
        listener.begin([job.recording for job in todo])
        run_jobs(todo, plan, listener, recognizer, n_processes)


def _settings_of(plan: TranscriptionPlan) -> dict[str, Any]:
    """All that a result depends on besides its recording."""
    return {
        "format": plan.output_format,
        "model": hashlib.sha256(read_model_bytes(plan.model)).hexdigest(),
        "labels": sorted(plan.labels) if plan.labels else None,
        "decoder": asdict(plan.settings),
        "raw": asdict(plan.raw) if plan.raw else None,
    }
