"""`speechcmd train`: a store becomes a run folder with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from speechcmd.cli.options.train_settings import make_config, setting_options
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

_FOLDER = click.Path(file_okay=False, path_type=Path)
_USUAL = AugmentConfig()


@click.command()
@click.argument("stores", type=_FOLDER, nargs=-1, required=True, metavar="STORE...")
@click.option("--run", type=_FOLDER, required=True, help="Folder of the run: checkpoints, metrics, settings.")
@click.option(
    "--recipe",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with settings; options that are given override it.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change one setting, as ema=0.999 or augment.noise_percent=80; overrides all else.",
)
@setting_options(
    "architecture", "words", "length", "unknown", "negatives", "speech_percent", "epochs", "batch_size",
    "optimizer", "schedule", "learning_rate", "weight_decay", "label_smoothing", "patience",
)  # fmt: skip
@click.option(
    "--time-shift/--no-time-shift",
    default=True,
    help=f"Move the window by up to {_USUAL.time_shift_ms:g} ms.",
)
@click.option("--noise/--no-noise", default=True, help="Mix in background noise.")
@click.option("--gain/--no-gain", default=True, help=f"Change the level by up to {_USUAL.gain_db:g} dB.")
@click.option("--spec-augment/--no-spec-augment", default=True, help="Cover a span of frames and of bands.")
@click.option(
    "--model",
    "model_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of the network, as width=64.",
)
@setting_options("seed", "initial", "teacher", "feature_cache")
@click.option(
    "--folds", type=click.IntRange(min=2), help="Cross-validate by speaker: a training for each fold."
)
@click.option(
    "--learning-curve", is_flag=True, help="Train on shares of the clips and draw what more would bring."
)
@setting_options("device", "precision", "workers", "threads", "deterministic")
@click.option(
    "--resume", is_flag=True, help="Go on with the run where it stopped; begins it if there is none."
)
@click.pass_context
def train(
    context: click.Context,
    /,
    stores: tuple[Path, ...],
    run: Path,
    resume: bool,
    folds: int | None,
    learning_curve: bool,
    **options: Any,
) -> None:
    """Train a network on one or more STOREs that `speechcmd prepare` made.

    Ctrl-C at any time; the same command with --resume goes on exactly where it stopped.
    """
    from data_prep.row_source import open_store
    from models.registry import list_architectures
    from speechcmd.folder_lock import lock_folder
    from speechcmd.training.loop.checkpoint import LAST, load_checkpoint

    if folds and learning_curve:
        raise click.UsageError("--folds and --learning-curve: expected one of them, got both")
    if options["architecture"] not in list_architectures():
        names = ", ".join(list_architectures())
        raise click.UsageError(f"--architecture: expected one of {names}, got {options['architecture']!r}")
    opened = [open_store(path) for path in stores]
    with lock_folder(run):
        goes_on = resume and (run / LAST).exists()
        begun = TrainConfig.from_json(load_checkpoint(run / LAST)["config"]) if goes_on else None
        config = make_config(context, options, opened[0].info["length"], begun)
        if folds:
            _cross_validate(opened, config, run, resume, folds)
        elif learning_curve:
            _draw_learning_curve(opened, config, run, resume)
        else:
            _train_one(opened, config, run, resume)


def _train_one(stores: list[Any], config: Any, run: Path, resume: bool) -> None:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.cli.console.training_progress import SPEECH_HEARD, describe_network, report_training
    from speechcmd.training.data.shipped_negatives import describe_negatives
    from speechcmd.training.loop.checkpoint import LAST
    from speechcmd.training.loop.trainer import Trainer

    with StepProgress("train") as progress:
        trainer = Trainer(
            stores,
            config,
            run,
            resume and (run / LAST).exists(),
            lambda done, total: progress.update(done, total, "windows of the feature cache"),
        )
        if note := describe_negatives(trainer.stores):
            click.echo(note, err=True)
        click.echo(describe_network(trainer.network, config), err=True)
        for note in trainer.data.notes:
            click.echo(f"note: {note}", err=True)
        trainer.fit(
            lambda report: report_training(report, trainer.config.epochs, progress),
            lambda done, total: progress.update(done, total, SPEECH_HEARD),
        )
    best = f"validation accuracy {trainer.best_accuracy:.2f} %"
    if config.select == "stream":
        best = f"stream recall {trainer.best.score:.2f} %, with {best},"
    click.echo(f"Best {best} after {trainer.epoch} epochs; {run}")
    click.echo(f"Next: speechcmd export {run} -o {config.architecture}.onnx")


def _cross_validate(stores: list[Any], config: Any, run: Path, resume: bool, n_folds: int) -> None:
    """Train each fold and print the table of them."""
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.cli.console.training_progress import make_watcher
    from speechcmd.training.series import cross_validation

    with StepProgress("train") as progress:
        result = cross_validation.cross_validate(stores, config, n_folds, run, resume, make_watcher(progress))
    click.echo(f"{'fold':<10}{'speakers':>10}{'clips':>10}{'accuracy of the best epoch':>28}")
    for fold in result.folds:
        click.echo(f"{fold.name:<10}{fold.n_speakers:>10,}{fold.n_clips:>10,}{fold.accuracy:>26.2f} %")
    click.echo(f"{'mean ± standard deviation':<30}{result.mean:>19.2f} ± {result.deviation:.2f} %")
    click.echo(result.reading)
    click.echo(f"Figures: {run / cross_validation.FOLDS_FILE}")


def _draw_learning_curve(stores: list[Any], config: Any, run: Path, resume: bool) -> None:
    """Train on each share of the clips and print what the curve says."""
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.cli.console.training_progress import make_watcher
    from speechcmd.training.series import learning_curve

    with StepProgress("train") as progress:
        curve = learning_curve.trace_learning_curve(stores, config, run, resume, make_watcher(progress))
    click.echo(f"{'clips':>10}{'epochs':>8}{'steps':>9}{'training':>12}{'validation':>13}")
    for point in curve.points:
        click.echo(
            f"{point.n_clips:>10,}{point.n_epochs:>8}{point.n_steps:>9,}{point.training_accuracy:>10.2f} %"
            f"{point.validation_accuracy:>11.2f} %"
        )
    for line in curve.reading:
        click.echo(line)
    click.echo(f"Picture: {run / learning_curve.PICTURE_FILE}; figures: {run / learning_curve.CURVE_FILE}")
