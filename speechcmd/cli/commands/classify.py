"""`speechcmd classify`: one answer for each clip."""

from __future__ import annotations

from pathlib import Path

import click

from speechcmd.cli.options.common import load_recognizer, recording_options


@click.command()
@recording_options(
    "text",
    "jsonl",
    "csv",
    output_type=click.Path(dir_okay=False, path_type=Path),
    output_help="Write the results to this file.",
)
def classify(
    paths: tuple[str, ...],
    model: str | None,
    labels: tuple[str, ...] | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Say which word each clip holds.

    PATHS are recordings of any length, rate and channel count, folders of them, patterns, or - for
    standard input. Words left out by --labels count as _unknown_. Exit status: 0 done, 1 a clip or
    the model failed, 2 wrong usage.
    """
    from speechcmd.batch.classification import classify_all
    from speechcmd.batch.inputs import find_recordings
    from speechcmd.cli.console.batch_report import JobReport
    from speechcmd.cli.console.output import open_output
    from speechcmd.cli.console.quiet import quiet_libraries
    from speechcmd.runtime.output.lines import CLIP_FIELDS, LineFormatter

    recognizer = load_recognizer(model, labels)
    recordings = find_recordings(paths)
    names = [recording.path for recording in recordings]
    lines = LineFormatter(output_format, CLIP_FIELDS, names, recognizer.labels)
    with open_output(output) as write, quiet_libraries(), JobReport(write) as report:
        classify_all(recordings, recognizer, labels, lines, report)
    report.exit_if_failed()
