"""Where the results of a batch go, and the batch as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from speechcmd.batch.inputs import STANDARD_INPUT, Recording
from speechcmd.batch.result_folder import ResultFolder, is_folder
from speechcmd.batch.transcription import Job, Plan, run_jobs
from speechcmd.cli.console.batch_report import Report
from speechcmd.cli.console.output import open_output
from speechcmd.cli.console.quiet import quiet_libraries
from speechcmd.files import remove_leftovers
from speechcmd.folder_lock import lock_folder

if TYPE_CHECKING:
    from speechcmd.audio.wav_stream import PcmFormat
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
        """Decide from the command line.

        What may be several recordings (`may_be_several`) gets a folder in a format of one, even if it is
        one today: the same command must not write a file today and a folder tomorrow.

        Raises
        ------
        click.UsageError
            If the options do not fit each other, or the recordings.
        """
        from speechcmd.runtime.output.formats import SUFFIXES, WHOLE_FILE_FORMATS

        n_recordings = len(recordings)
        is_whole = output_format in WHOLE_FILE_FORMATS
        needs_folder = is_whole and (n_recordings > 1 or (may_be_several and output is not None))
        if needs_folder and (output is None or _is_no_folder(Path(output))):
            got = f"{n_recordings}" if n_recordings > 1 else "what may be several"
            raise click.UsageError(
                f"{output_format} is a file of one recording, got {got}; give a folder: -o DIR"
            )
        if n_processes > 1 and len(recordings) > 1 and any(one.path == STANDARD_INPUT for one in recordings):
            raise click.UsageError("standard input beside other recordings needs --jobs 1")
        if output is not None and (needs_folder or is_folder(output)):
            return cls(folder=ResultFolder(Path(output), SUFFIXES[output_format]), resume=resume)
        if resume:
            raise click.UsageError("--resume needs a folder with one result a recording: -o DIR")
        return cls(file=None if output is None else Path(output))


def _is_no_folder(path: Path) -> bool:
    return path.exists() and not path.is_dir()


def raw_format(paths: Sequence[str], rate: int | None, channels: int | None) -> PcmFormat | None:
    """Form of raw samples on standard input.

    Raises
    ------
    click.UsageError
        If the options do not fit each other, or there is no standard input among the paths.
    """
    from speechcmd.audio.wav_stream import PcmFormat

    if rate is None:
        if channels is not None:
            raise click.UsageError("--raw-channels needs --raw-rate")
        return None
    if STANDARD_INPUT not in paths:
        raise click.UsageError("--raw-rate is for standard input: give - as the path")
    return PcmFormat(rate, channels or 1)


def transcribe_all(
    recordings: Sequence[Recording],
    plan: Plan,
    recognizer: Recognizer,
    destination: Destination,
    n_processes: int,
) -> None:
    """Transcribe recordings to where they go; exit status 1 if one failed.

    The one recording of a whole file, if it failed, leaves the file as it was.

    Raises
    ------
    BusyError
        If another process writes into the folder of results.
    """
    with ExitStack() as stack:
        jobs = [Job(recording) for recording in recordings]
        if destination.folder is not None:
            stack.enter_context(lock_folder(destination.folder.path))
            jobs = _jobs_of_folder(recordings, plan, destination.folder, destination.resume)
        _run(jobs, plan, recognizer, destination, n_processes)


def _run(
    jobs: Sequence[Job], plan: Plan, recognizer: Recognizer, destination: Destination, n_processes: int
) -> None:
    from speechcmd.runtime.output.formats import WHOLE_FILE_FORMATS, as_text

    todo = [job.recording for job in jobs]
    with open_output(destination.file) as write:
        with quiet_libraries(), Report(todo, write) as report:
            if destination.folder is None:
                report.text(as_text(plan.transcript.header()))
            run_jobs(jobs, plan, report, recognizer, n_processes)
        if plan.output_format in WHOLE_FILE_FORMATS:
            report.exit_if_failed()  # before the output would be taken for whole
    report.exit_if_failed()


def _jobs_of_folder(
    recordings: Sequence[Recording], plan: Plan, folder: ResultFolder, resume: bool
) -> list[Job]:
    results = folder.results_of(recordings)
    for place in {result.parent for result in results}:
        remove_leftovers(place)
    jobs = [Job(*pair) for pair in zip(recordings, results, strict=True)]
    folder.record_settings(_settings_of(plan), resume)
    if not resume:
        return jobs
    todo = [job for job in jobs if job.result is None or not folder.is_done(job.recording, job.result)]
    click.echo(f"speechcmd: {len(jobs) - len(todo)} of {len(jobs)} recordings were done already", err=True)
    return todo


def _settings_of(plan: Plan) -> dict[str, Any]:
    """All that a result depends on besides its recording."""
    from speechcmd.runtime.model.file import read_model_bytes

    return {
        "format": plan.output_format,
        "model": hashlib.sha256(read_model_bytes(plan.model)).hexdigest(),
        "labels": sorted(plan.labels) if plan.labels else None,
        "decoder": asdict(plan.settings),
        "raw": asdict(plan.raw) if plan.raw else None,
    }
