"""`speechcmd card`: the model card, from what was measured."""

from __future__ import annotations

from pathlib import Path

import click

from speechcmd.errors import EvaluationError


@click.command()
@click.argument("model")
@click.option(
    "--report",
    "report_folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder with the figures, as `evaluate --report DIR` writes it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the card there instead of standard output.",
)
@click.option(
    "--notes",
    "notes_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Markdown to set into the card: what only a person can say.",
)
@click.option(
    "--figures",
    "figures_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the main figures as JSON, as released models have them.",
)
def card(
    model: str,
    report_folder: Path,
    output: Path | None,
    notes_file: Path | None,
    figures_file: Path | None,
) -> None:
    """Write the model card of MODEL in Markdown, from measured figures only.

    The figures come from a report folder of `evaluate` and `evaluate-stream`; they must have been
    measured on this very model file. What was not measured is said to be so.
    """
    from speechcmd.cli.console.output import open_output
    from speechcmd.evaluation.report.markdown_card import make_card
    from speechcmd.evaluation.report.released_figures import make_figures
    from speechcmd.runtime.model.model_file import load_model_file

    notes = _read_notes(notes_file) if notes_file else ""
    model_bytes, model_card = load_model_file(model)
    text = make_card(model_card, model_bytes, report_folder, notes)
    if figures_file is not None:
        figures = make_figures(model_card, model_bytes, report_folder).to_json()
        with open_output(figures_file) as write:
            write(figures)
    with open_output(output) as write:
        write(text)


def _read_notes(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EvaluationError(
            f"expected Markdown in UTF-8, got other bytes ({error.reason})", path=path
        ) from error
