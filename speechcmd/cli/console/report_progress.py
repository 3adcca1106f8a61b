"""The folder that `--report` names: figures, sounds of the worst mistakes, a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from speechcmd.evaluation.mistakes import Sound
    from speechcmd.evaluation.report.results import Result
    from speechcmd.runtime.recognition.recognizer import Recognizer

report_option = click.option(
    "--report",
    "report_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the figures, the worst mistakes and a page that shows them into DIR.",
)


def prepare_report(folder: Path | None) -> None:
    """Make the report folder, if there shall be one, before hours are spent on what goes into it.

    Raises
    ------
    EvaluationError
        If a result in it cannot be read.
    OSError
        If nothing can be written there.
    """
    from tempfile import TemporaryFile

    from speechcmd.evaluation.report.results import read_results

    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass
    read_results(folder)


def fill_report(folder: Path, result: Result, sounds: Sequence[Sound], recognizer: Recognizer) -> None:
    """Write a result into a report folder, and say where its page is."""
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.evaluation.report.report_folder import write_report

    with StepProgress("report") as progress:
        page = write_report(folder, result, sounds, recognizer, on_progress=progress.update)
    click.echo(f"Report: {page}", err=True)
