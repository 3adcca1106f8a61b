"""`speechcmd transcribe`: the words in long recordings, with their times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.options.common import load_recognizer, recording_options
from speechcmd.cli.options.decoder_options import decoder_options, decoder_settings

if TYPE_CHECKING:
    from speechcmd.audio.wav_stream import PcmFormat

_FORMATS = ("text", "jsonl", "csv", "srt", "vtt", "textgrid", "audacity")
_OUTPUT_HELP = "Write to this file, or one result a recording into this folder (ends with /)."


@click.command()
@recording_options(*_FORMATS, output_type=click.Path(), output_help=_OUTPUT_HELP)
@decoder_options
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes to use; each does one recording at a time.",
)
@click.option("--resume", is_flag=True, help="Skip recordings whose result is in the output folder.")
@click.option(
    "--raw-rate", type=click.IntRange(1_000, 768_000), help="Standard input is raw 16-bit PCM at this rate."
)
@click.option("--raw-channels", type=click.IntRange(1, 1_024), help="Channels of it.  [default: 1]")
def transcribe(
    paths: tuple[str, ...],
    model: str | None,
    labels: tuple[str, ...] | None,
    output_format: str,
    output: str | None,
    jobs: int,
    resume: bool,
    raw_rate: int | None,
    raw_channels: int | None,
    **decoder: Any,
) -> None:
    """List the words in recordings, with their times.

    PATHS are recordings of any length, rate and channel count, folders of them, patterns, or - for
    standard input, which is read while it comes. Memory does not grow with their length. Subtitles (srt,
    vtt), textgrid (Praat) and audacity (labels) are files of one recording: for several, give a
    folder with -o. Exit status: 0 done, 1 a recording or the model failed, 2 wrong usage.
    """
    from speechcmd.batch.destination import Destination, transcribe_all
    from speechcmd.batch.inputs import find_recordings, may_be_several
    from speechcmd.batch.transcription import TranscriptionPlan
    from speechcmd.cli.console.batch_report import JobReport
    from speechcmd.cli.console.output import open_output
    from speechcmd.cli.console.quiet import quiet_libraries
    from speechcmd.runtime.output.formats import WHOLE_FILE_FORMATS
    from speechcmd.runtime.output.lines import DETECTION_FIELDS, LineFormatter

    raw = _raw_format(paths, raw_rate, raw_channels)
    recognizer = load_recognizer(model, labels)
    recordings = find_recordings(paths)
    destination = Destination.choose(
        output, output_format, recordings, jobs, resume, may_be_several=may_be_several(paths)
    )
    settings = decoder_settings(recognizer.card, **decoder)
    names = [recording.path for recording in recordings]
    lines = LineFormatter(output_format, DETECTION_FIELDS, names, recognizer.card.words)
    plan = TranscriptionPlan(model, labels, settings, output_format, lines, raw)
    with open_output(destination.file) as write:
        with quiet_libraries(), JobReport(write) as report:
            transcribe_all(recordings, plan, recognizer, destination, jobs, report)
        if output_format in WHOLE_FILE_FORMATS:
            report.exit_if_failed()  # before the output would be taken for whole
    report.exit_if_failed()


def _raw_format(paths: tuple[str, ...], rate: int | None, channels: int | None) -> PcmFormat | None:
    """Form of raw samples on standard input."""
    from speechcmd.audio.wav_stream import PcmFormat
    from speechcmd.batch.inputs import STANDARD_INPUT

    if rate is None:
        if channels is not None:
            raise click.UsageError("--raw-channels needs --raw-rate")
        return None
    if STANDARD_INPUT not in paths:
        raise click.UsageError("--raw-rate is for standard input: give - as the path")
    return PcmFormat(rate, channels or 1)
