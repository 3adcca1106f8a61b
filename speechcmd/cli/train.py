"""`speechcmd train`: a store becomes a run folder with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.common import check_length

if TYPE_CHECKING:
    from speechcmd.cli.progress import StepProgress
    from speechcmd.training.trainer import EpochMetrics, StepReport

_FOLDER = click.Path(file_okay=False, path_type=Path)


def _check_unknown(_: click.Context, __: click.Parameter, value: str) -> str:
    if value not in ("official", "all") and not value.isdecimal():
        raise click.BadParameter(f"expected official, all or a number of clips, got {value!r}")
    return value


@click.command()
@click.argument("store", type=_FOLDER)
@click.option("--run", type=_FOLDER, required=True, help="Folder of the run: checkpoints, metrics, settings.")
@click.option("--architecture", default="cnn", show_default=True, help="cnn or gru.")
@click.option(
    "--words",
    default="yes,no,up,down,left,right,on,off,stop,go",
    show_default=True,
    help="Words to tell apart; all others become _unknown_.",
)
@click.option(
    "--length",
    callback=check_length,
    help="Window: mean, p95 or seconds from 0.1 to 10.  [default: the store's]",
)
@click.option(
    "--unknown",
    default="official",
    show_default=True,
    callback=_check_unknown,
    help="Clips of other words: official (10 % of the words, always the same), all, "
    "or a number drawn anew each epoch.",
)
@click.option(
    "--speech-percent",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Windows of running speech as _unknown_, in percent of the words' clips.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=2), default=128, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=2e-3, show_default=True)
@click.option("--weight-decay", type=click.FloatRange(min=0), default=0.02, show_default=True)
@click.option("--label-smoothing", type=click.FloatRange(0, 0.5), default=0.1, show_default=True)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Stop after this many epochs without a better validation accuracy.",
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
    help="Begin with the best weights of this run (same network, words and window).",
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
def train(store: Path, run: Path, resume: bool, **options: Any) -> None:
    """Train a network on a STORE that `speechcmd prepare` made.

    Ctrl-C at any time; the same command with --resume goes on exactly where it stopped.
    """
    from data_prep.store import Store
    from models.registry import list_architectures
    from speechcmd.cli.progress import StepProgress
    from speechcmd.training.checkpoint import LAST
    from speechcmd.training.trainer import Trainer

    if options["architecture"] not in list_architectures():
        names = ", ".join(list_architectures())
        raise click.UsageError(f"--architecture: expected one of {names}, got {options['architecture']!r}")
    opened = Store.open(store)
    config = _make_config(options, opened.info["length"])
    trainer = Trainer(opened, config, run, resume=resume and (run / LAST).exists())
    click.echo(_describe(trainer.network, config), err=True)
    with StepProgress("train") as progress:
        trainer.fit(lambda report: _report(report, config.epochs, progress))
    click.echo(f"Best validation accuracy {trainer.best_accuracy:.2f} % after {trainer.epoch} epochs; {run}")
    click.echo(f"Next: speechcmd export {run} -o {config.architecture}.onnx")


def _make_config(options: dict[str, Any], store_length: str) -> Any:
    from speechcmd.training.augment import AugmentConfig
    from speechcmd.training.config import TrainConfig

    off = AugmentConfig.off()
    chosen = {
        "time_shift_ms": options.pop("time_shift"),
        "noise_percent": options.pop("noise"),
        "gain_db": options.pop("gain"),
    }
    spec = options.pop("spec_augment")
    chosen |= {"time_masks": spec, "band_masks": spec}
    augment = AugmentConfig(**{name: getattr(off, name) for name, is_on in chosen.items() if not is_on})
    return TrainConfig(
        words=tuple(word.strip() for word in options.pop("words").split(",") if word.strip()),
        length=options.pop("length") or store_length,
        model=dict(map(_parse_setting, options.pop("model_settings"))),
        initial=str(options.pop("initial") or ""),
        n_workers=options.pop("workers"),
        n_threads=options.pop("threads"),
        augment=augment,
        **options,
    )


def _parse_setting(text: str) -> tuple[str, Any]:
    import json

    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise click.UsageError(f"--model: expected NAME=VALUE with a number or list, got {text!r}") from error


def _describe(network: Any, config: Any) -> str:
    seconds = network.window_samples / network.frontend.config.sample_rate
    return (
        f"{config.architecture}: {network.count_parameters():,} parameters, window {seconds:.3f} s, "
        f"{len(config.words)} words, _unknown_, _silence_"
    )


def _report(report: StepReport | EpochMetrics, n_epochs: int, progress: StepProgress) -> None:
    from speechcmd.training.trainer import StepReport

    if isinstance(report, StepReport):
        note = (
            f"epoch {report.epoch + 1}/{n_epochs}  loss {report.loss:.3f}  accuracy {report.accuracy:.1f} %  "
            f"{report.clips_per_s:,.0f} clips/s"
        )
        progress.update(report.epoch * report.n_batches + report.batch, n_epochs * report.n_batches, note)
    else:
        click.echo(
            f"epoch {report.epoch + 1:3d}/{n_epochs}  "
            f"train {report.train_loss:.3f} {report.train_accuracy:5.1f} %  "
            f"validation {report.validation_loss:.3f} {report.validation_accuracy:5.2f} %  "
            f"{report.clips_per_s:,.0f} clips/s",
            err=True,
        )
