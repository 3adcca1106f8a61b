"""`speechcmd export`: a run becomes one checked model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.labels import name_labels

if TYPE_CHECKING:
    from speechcmd.runtime.model.card import DataSource
    from speechcmd.training.export.quantisation import Int8Config, Int8Report


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
@click.option(
    "--store",
    "stores",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the run's store is now, if it was moved; several in the order of the training.",
)
@click.option("--threshold", type=click.FloatRange(0.05, 1.0), help="Posterior at which a word fires.")
@click.option("--balance", is_flag=True, help="Shift each label's score so that validation clips fit best.")
@click.option(
    "--int8", is_flag=True, help="Store the layers in 8 bits: a smaller file, a little less accurate."
)
@click.option(
    "--calibration-clips",
    type=click.IntRange(1),
    metavar="N",
    help="Training clips that int8 takes its ranges from.  [default: 500]",
)
@click.option(
    "--most-loss",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="Accuracy that int8 may lose on validation clips.  [default: 0.3]",
)
def export(
    run: Path,
    output: Path,
    name: str,
    licence: str,
    data: tuple[str, ...],
    stores: tuple[Path, ...],
    threshold: float | None,
    balance: bool,
    int8: bool,
    calibration_clips: int | None,
    most_loss: float | None,
) -> None:
    """Export the best checkpoint of RUN to one ONNX file: waveform in, logits out.

    The file is compared with torch before it is put in place; if they differ nothing is written. With
    --int8 it is also compared with the float network on the run's validation clips.
    """
    import dataclasses

    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.training.export.onnx_export import ExportConfig, export_run

    config = ExportConfig(
        name, licence, tuple(map(_parse_source, data)), balance=balance,
        int8=_int8_config(int8, calibration_clips, most_loss), stores=stores,
    )  # fmt: skip
    if threshold is not None:
        config = dataclasses.replace(config, threshold=threshold)
    with StepProgress("clips") as progress:
        report = export_run(run, output, config, progress.update)
    click.echo(
        f"{report.path}: {report.n_bytes / 1e6:.2f} MB, {report.parameters:,} parameters; largest difference "
        f"to torch {report.runtime_difference:.1e} ({report.n_real_clips} real clips among the inputs), "
        f"to single windows {report.window_difference:.1e}{', both before int8' if int8 else ''}"
    )
    if report.balance is not None:
        found = report.balance
        click.echo(
            f"balanced: {found.before:.2f} -> {found.after:.2f} % of the {found.n_clips} validation clips "
            "that it was fitted to"
        )
    if report.int8 is not None:
        click.echo(_describe_int8(report.int8))


def _int8_config(int8: bool, calibration_clips: int | None, most_loss: float | None) -> Int8Config | None:
    from speechcmd.training.export.quantisation import Int8Config

    given = {"n_calibration_clips": calibration_clips, "most_loss_points": most_loss}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if changes and not int8:
        raise click.UsageError(
            "--calibration-clips and --most-loss are for --int8; give it, or leave them out"
        )
    return Int8Config(**changes) if int8 else None


def _describe_int8(report: Int8Report) -> str:
    loss, (low, high) = report.loss, report.loss.interval_points
    before, after = report.float_time, report.int8_time
    recurrent = f" ({report.n_recurrent} recurrent)" if report.n_recurrent else ""
    n_float = report.n_layers - report.n_int8_layers
    missing = name_labels(report.missing_words)
    unheard = (f"  not heard {missing}: no clip of it in a store of audio",) if missing else ()
    lines = (
        f"int8: {report.n_int8_layers} of {report.n_layers} layers, {n_float} in float{recurrent}; "
        f"ranges from {report.n_calibration_clips} training clips",
        f"  size      {report.float_bytes / 1e6:.2f} -> {report.int8_bytes / 1e6:.2f} MB",
        f"  accuracy  {loss.first_accuracy:.2f} -> {loss.second_accuracy:.2f} % "
        f"of {loss.n_clips} validation clips",
        f"  loss      {loss.points:.2f} points (95 %: {low:.2f} to {high:.2f}); right in float alone "
        f"{loss.first_only}, in int8 alone {loss.second_only}",
        f"  time      {before.window_ms:.2f} -> {after.window_ms:.2f} ms a window, "
        f"{before.second_ms:.2f} -> {after.second_ms:.2f} ms a second of a long signal",
    )
    return "\n".join([*lines, *unheard])


def _parse_source(text: str) -> DataSource:
    from speechcmd.runtime.model.card import DataSource

    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3 or not all(parts):
        raise click.UsageError(f"--data: expected NAME|LICENCE|URL, got {text!r}")
    return DataSource(*parts)
