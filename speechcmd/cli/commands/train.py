"""`speechcmd train`: a store becomes a run folder with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.options.common import check_length, read_labels
from speechcmd.labels import TEN_WORDS, join_labels

if TYPE_CHECKING:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.training.loop.trainer import EpochMetrics, StepReport

_FOLDER = click.Path(file_okay=False, path_type=Path)

SPEECH_HEARD = "running speech heard"  # between epochs: beside the bar


def _check_unknown(_: click.Context, __: click.Parameter, value: str) -> str:
    if value not in ("auto", "official", "all") and not value.isdecimal():
        raise click.BadParameter(f"expected auto, official, all or a number of clips, got {value!r}")
    return value


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
@click.option(
    "--architecture",
    default="cnn",
    show_default=True,
    help="Network to train; see `speechcmd models`.",
)
@click.option(
    "--words",
    default=join_labels(TEN_WORDS),
    show_default=True,
    callback=read_labels,
    metavar="WORDS",
    help="Words to tell apart; all others become _unknown_.",
)
@click.option(
    "--length",
    callback=check_length,
    help="Window: mean, p95 or seconds from 0.1 to 10.  [default: the store's]",
)
@click.option(
    "--unknown",
    default="auto",
    show_default=True,
    callback=_check_unknown,
    help="Clips of other words: official (10 % of the words, always the same), auto (as many as of the "
    "words if those are few, else official), all, or a number drawn anew each epoch.",
)
@click.option(
    "--negatives",
    type=click.Choice(["auto", "shipped", "none"]),
    default="auto",
    show_default=True,
    help="Shipped speech, other words and noise: auto adds them to stores that have no other words and no "
    "speech.",
)
@click.option(
    "--speech-percent",
    type=click.FloatRange(min=0),
    default=50.0,
    show_default=True,
    help="Windows of running speech as _unknown_, in percent of the words' clips.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Epochs at most.  [default: 40, more if there are few clips]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    help="Clips in a step.  [default: 128, fewer if there are few clips]",
)
@click.option(
    "--optimizer",
    type=click.Choice(["adamw", "adam", "sgd", "rmsprop"]),
    default="adamw",
    show_default=True,
)
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "linear", "step", "constant"]),
    default="cosine",
    show_default=True,
    help="Of the learning rate, after the warm-up.",
)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=2e-3, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.02, show_default=True)
@click.option("--label-smoothing", type=click.FloatRange(0, 0.5), default=0.1, show_default=True)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Stop after this many epochs without a better one on validation clips.  "
    "[default: three eighths of the epochs]",
)
@click.option("--time-shift/--no-time-shift", default=True, help="Move the window by up to 100 ms.")
@click.option("--noise/--no-noise", default=True, help="Mix in background noise.")
@click.option("--gain/--no-gain", default=True, help="Change the level by up to 10 dB.")
@click.option("--spec-augment/--no-spec-augment", default=True, help="Cover a span of frames and of bands.")
@click.option(
    "--model",
    "model_settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Setting of the network, as width=64.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--initial",
    type=_FOLDER,
    help="Begin with the best weights of this run (same network, a common word).",
)
@click.option("--teacher", type=_FOLDER, help="Learn from this run's network too (these words or more).")
@click.option(
    "--feature-cache",
    type=_FOLDER,
    help="Folder to keep log-mel in: computed once, then trained on; faster on a processor.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    help="Cross-validate by speaker: a training for each fold.",
)
@click.option(
    "--learning-curve",
    is_flag=True,
    help="Train on shares of the clips and draw what more would bring.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["auto", "32-true", "bf16-mixed"]),
    default="auto",
    show_default=True,
    help="auto: bf16 on a GPU, float32 elsewhere.",
)
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Loader processes.")
@click.option(
    "--threads", type=click.IntRange(min=0), default=0, help="Threads of torch.  [default: its own choice]"
)
@click.option("--deterministic", is_flag=True, help="Same bits on a GPU too, slower.")
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
    from data_prep.open_store import open_store
    from models.registry import list_architectures
    from speechcmd.cli.options import train_series
    from speechcmd.cli.options.train_settings import make_config
    from speechcmd.folder_lock import lock_folder
    from speechcmd.training.loop.checkpoint import LAST, load_checkpoint
    from speechcmd.training.settings.config import TrainConfig

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
            train_series.cross_validate(opened, config, run, resume, folds)
        elif learning_curve:
            train_series.draw_learning_curve(opened, config, run, resume)
        else:
            _train_one(opened, config, run, resume)


def _train_one(stores: list[Any], config: Any, run: Path, resume: bool) -> None:
    from speechcmd.cli.console.progress import StepProgress
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


def describe_network(network: Any, config: Any) -> str:
    """What is trained, in one line."""
    seconds = network.window_samples / network.frontend.config.sample_rate
    return (
        f"{config.architecture}: {network.count_parameters():,} parameters, window {seconds:.3f} s, "
        f"{len(config.words)} words, _unknown_, _silence_"
    )


def report_training(report: StepReport | EpochMetrics, n_epochs: int, progress: StepProgress) -> None:
    """Move the bar after a batch, print a line after an epoch."""
    from speechcmd.training.loop.trainer import StepReport

    if isinstance(report, StepReport):
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
