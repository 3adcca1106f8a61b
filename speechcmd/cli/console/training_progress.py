"""What a terminal shows of a training: what is trained, how far it is, what each epoch brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
    from speechcmd.training.series.training_series import Member, Watcher

SPEECH_HEARD = "running speech heard"  # between epochs: beside the bar


def describe_network(network: Any, config: Any) -> str:
    """What is trained, in one line."""
    seconds = network.window_samples / network.frontend.config.sample_rate
    return (
        f"{config.architecture}: {network.count_parameters():,} parameters, window {seconds:.3f} s, "
        f"{len(config.words)} words, _unknown_, _silence_"
    )


def report_training(report: BatchReport | EpochMetrics, n_epochs: int, progress: StepProgress) -> None:
    """Move the bar after a batch, print a line after an epoch."""
    from speechcmd.training.loop.trainer import BatchReport

    if isinstance(report, BatchReport):
        note = (
            f"epoch {report.epoch + 1}/{n_epochs}  loss {report.loss:.3f}  accuracy {report.accuracy:.1f} %  "
            f"{report.clips_per_s:,.0f} clips/s"
        )
        progress.update(report.epoch * report.n_batches + report.batch, n_epochs * report.n_batches, note)
    else:
        # both would not fit into 80 columns; the bar shows the speed too
        last = f"{report.clips_per_s:,.0f} clips/s"
        if report.stream_recall is not None:
            last = f"stream {report.stream_recall:.2f} %"
        click.echo(
            f"epoch {report.epoch + 1:3d}/{n_epochs}  "
            f"train {report.train_loss:.3f} {report.train_accuracy:5.1f} %  "
            f"validation {report.validation_loss:.3f} {report.validation_accuracy:5.2f} %  {last}",
            err=True,
        )


def make_watcher(progress: StepProgress) -> Watcher:
    """Who is told how a series of trainings goes."""
    from speechcmd.training.series.training_series import Watcher

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
