"""`speechcmd card`: the model card, from what was measured."""

from __future__ import annotations

from pathlib import Path

import click


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
def card(model: str, report_folder: Path, output: Path | None) -> None:
    """Write the model card of MODEL in Markdown, from measured figures only.

    The figures come from a report folder of `evaluate` and `evaluate-stream`; they must have been
    measured on this very model file. What was not measured is said to be so.
    """
    from speechcmd.cli.output import open_output
    from speechcmd.evaluation.card import make_card
    from speechcmd.runtime.model_file import load_model_file

    model_bytes, model_card = load_model_file(model)
    text = make_card(model_card, model_bytes, report_folder)
    with open_output(output) as write:
        write(text)
