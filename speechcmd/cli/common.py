"""What commands share: options, and the loop over recordings of `classify` and `transcribe`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from speechcmd.errors import AudioError, ModelError

if TYPE_CHECKING:
    from speechcmd.audio import AudioSource
    from speechcmd.cli.recording import Recording
    from speechcmd.runtime.recognizer import Recognizer
    from speechcmd.runtime.transcript import Row, Transcript

    # path, audio and a callback for seconds of audio done -> rows
    Process = Callable[[str, AudioSource, Callable[[float], None]], Iterable[Row]]

_Command = TypeVar("_Command", bound=Callable[..., Any])

model_option = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="Name of a released model, or path of a model file.  [default: cnn]",
)


def recording_options(command: _Command) -> _Command:
    """Add the arguments and options that read recordings and write results."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATHS..."),
        model_option,
        click.option("--labels", callback=_split_labels, help="Words that may be heard: yes,no"),
        click.option(
            "--format",
            "output_format",
            type=click.Choice(["text", "jsonl", "csv"]),
            default="text",
            show_default=True,
            help="Form of the results.",
        ),
        click.option("--json", "output_format", flag_value="jsonl", help="Short for --format jsonl."),
        click.option(
            "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the results here."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def load_recognizer(model: str | None, labels: Sequence[str] | None) -> Recognizer:
    """Load the model and check the asked words against it (a wrong word is wrong usage)."""
    from speechcmd.runtime.recognizer import Recognizer

    recognizer = Recognizer.load(model)
    try:
        recognizer.check_labels(labels)
    except ModelError as error:
        raise click.UsageError(str(error)) from error
    return recognizer


def process_recordings(
    recordings: Sequence[Recording], transcript: Transcript, output: Path | None, process: Process
) -> None:
    """Write the rows of each recording; those that fail are listed and passed over, with exit status 1."""
    from speechcmd.cli.output import open_output
    from speechcmd.cli.progress import AudioProgress
    from speechcmd.cli.recording import open_recording
    from speechcmd.runtime.transcript import error_row

    durations = _durations_s(recordings)
    n_failed = 0
    done_s = 0.0
    with open_output(output) as write, AudioProgress(sum(durations)) as progress:

        def write_line(line: str | None) -> None:
            if line is not None:
                with progress.hidden():
                    write(line)

        write_line(transcript.header())
        for recording, seconds in zip(recordings, durations, strict=True):
            try:
                with open_recording(recording) as source:
                    for row in process(recording.path, source, progress.advance):
                        write_line(transcript.line(row))
            except AudioError as error:
                n_failed += 1
                write_line(transcript.line(error_row(recording.path, str(error))))
                with progress.hidden():
                    click.echo(f"speechcmd: error: {error}", err=True)
            done_s += seconds
            progress.reach(done_s)
    if n_failed:
        click.echo(f"speechcmd: {n_failed} of {len(recordings)} recordings failed", err=True)
        click.get_current_context().exit(1)


def _durations_s(recordings: Sequence[Recording]) -> list[float]:
    """Lengths from the headers, for the progress bar; zeros where nobody sees one."""
    from speechcmd.audio import duration_s
    from speechcmd.cli.recording import STANDARD_INPUT

    if not sys.stderr.isatty():
        return [0.0] * len(recordings)
    durations = []
    for recording in recordings:
        try:
            durations.append(0.0 if recording.path == STANDARD_INPUT else duration_s(recording.path))
        except AudioError:
            durations.append(0.0)
    return durations


def check_length(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a length that is neither mean nor p95 nor seconds from 0.1 to 10."""
    if value in (None, "mean", "p95"):
        return value
    try:
        fits = 0.1 <= float(value or "") <= 10.0
    except ValueError:
        fits = False
    if not fits:
        raise click.BadParameter(f"expected mean, p95 or seconds from 0.1 to 10, got {value!r}")
    return value


def _split_labels(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    labels = [label.strip() for label in value.split(",") if label.strip()]
    if not labels:
        raise click.BadParameter("expected words with commas between them, such as yes,no")
    return labels
