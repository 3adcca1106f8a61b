"""What `speechcmd train --folds` and `--learning-curve` do: several trainings and what they say together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.commands.train import SPEECH_HEARD, describe_network, report_training
from speechcmd.cli.console.progress import StepProgress

if TYPE_CHECKING:
    from speechcmd.training.loop.trainer import Trainer
    from speechcmd.training.series.series import Member, Watcher


def cross_validate(stores: list[Any], config: Any, run: Path, resume: bool, n_folds: int) -> None:
    """Train each fold and print the table of them."""
    from speechcmd.training.series import cross_validation

    with StepProgress("train") as progress:
        result = cross_validation.cross_validate(stores, config, n_folds, run, resume, _watcher(progress))
    click.echo(f"{'fold':<10}{'speakers':>10}{'clips':>10}{'accuracy of the best epoch':>28}")
    for fold in result.folds:
        click.echo(f"{fold.name:<10}{fold.n_speakers:>10,}{fold.n_clips:>10,}{fold.accuracy:>26.2f} %")
    click.echo(f"{'mean ± standard deviation':<30}{result.mean:>19.2f} ± {result.deviation:.2f} %")
    click.echo(result.reading)
    click.echo(f"Figures: {run / cross_validation.FOLDS_FILE}")


def draw_learning_curve(stores: list[Any], config: Any, run: Path, resume: bool) -> None:
    """Train on each share of the clips and print what the curve says."""
    from speechcmd.training.series import learning_curve

    with StepProgress("train") as progress:
        curve = learning_curve.trace_learning_curve(stores, config, run, resume, _watcher(progress))
    click.echo(f"{'clips':>10}{'epochs':>8}{'steps':>9}{'training':>12}{'validation':>13}")
    for point in curve.points:
        click.echo(
            f"{point.n_clips:>10,}{point.n_epochs:>8}{point.n_steps:>9,}{point.training_accuracy:>10.2f} %"
            f"{point.validation_accuracy:>11.2f} %"
        )
    for line in curve.reading:
        click.echo(line)
    click.echo(f"Picture: {run / learning_curve.PICTURE_FILE}; figures: {run / learning_curve.CURVE_FILE}")


def _watcher(progress: StepProgress) -> Watcher:
    from speechcmd.training.series.series import Watcher

    def begin(number: int, n_members: int, member: Member, trainer: Trainer) -> None:
        done = f"; {trainer.epoch} of {trainer.config.epochs} epochs are done" if trainer.epoch else ""
        if number == 1:
            click.echo(describe_network(trainer.network, member.config), err=True)
        click.echo(f"Training {number} of {n_members}: {member.what}{done}; {trainer.run.path}", err=True)

    return Watcher(
        begin,
        lambda trainer, report: report_training(report, trainer.config.epochs, progress),
        lambda done, total: progress.update(done, total, "windows of the feature cache"),
        lambda done, total: progress.update(done, total, SPEECH_HEARD),
    )
