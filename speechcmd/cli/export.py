"""`speechcmd export`: a run becomes one checked model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from speechcmd.runtime.model_card import DataSource


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Model file to write.",
)
@click.option("--name", default="", help="Name of the model.  [default: the file's]")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the weights.")
@click.option(
    "--data",
    multiple=True,
    metavar="NAME|LICENCE|URL",
    help="A source of the training data; may be repeated.",
)
@click.option("--threshold", type=click.FloatRange(0.05, 1.0), help="Posterior at which a word fires.")
def export(
    run: Path, output: Path, name: str, licence: str, data: tuple[str, ...], threshold: float | None
) -> None:
    """Export the best checkpoint of RUN to one ONNX file: waveform in, logits out.

    The file is compared with torch before it is put in place; if they differ nothing is written.
    """
    import dataclasses

    from speechcmd.training.export import ExportConfig, export_run

    config = ExportConfig(name, licence, tuple(map(_parse_source, data)))
    if threshold is not None:
        config = dataclasses.replace(config, threshold=threshold)
    report = export_run(run, output, config)
    click.echo(
        f"{report.path}: {report.n_bytes / 1e6:.2f} MB, {report.parameters:,} parameters; largest difference "
        f"to torch {report.runtime_difference:.1e} ({report.n_real_clips} real clips among the inputs), "
        f"to single windows {report.window_difference:.1e}"
    )


def _parse_source(text: str) -> DataSource:
    from speechcmd.runtime.model_card import DataSource

    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3 or not all(parts):
        raise click.UsageError(f"--data: expected NAME|LICENCE|URL, got {text!r}")
    return DataSource(*parts)
