"""`speechcmd calibrate`: thresholds that keep a rate of false accepts, into a new model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.options.common import model_option
from speechcmd.cli.options.decoder_options import NumberRange
from speechcmd.cli.options.stream_options import (
    hear_recordings,
    jobs_option,
    say_what_is_measured,
    score_settings,
)

if TYPE_CHECKING:
    from speechcmd.evaluation.calibration.temperature import Temperature
    from speechcmd.evaluation.calibration.thresholds import Calibration, GoalError
    from speechcmd.runtime.model.card import ModelCard
    from speechcmd.runtime.recognition.recognizer import Recognizer

_SPLIT = "validation"


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Model file to write.",
)
@click.option(
    "--false-accepts-per-hour",
    "rate",
    type=NumberRange(0, 10_000, min_open=True),
    required=True,
    metavar="R",
    help="False accepts per hour to keep, of all words together.",
)
@click.option(
    "--confidence",
    type=NumberRange(0.5, 0.9999),
    metavar="C",
    help="Keep it with this confidence, such as 0.95.  [default: as counted]",
)
@click.option(
    "--clips",
    type=click.Path(exists=True, path_type=Path),
    help="Store or folder of clips: also make scores true probabilities on its validation split.",
)
@click.option(
    "--smoothing",
    type=NumberRange(0, 5),
    metavar="SECONDS",
    help="Time over which scores are averaged.  [default: the best of 0.2 to 0.6 s]",
)
@click.option(
    "--max-delay",
    type=NumberRange(0, 5, min_open=True),
    default=0.35,
    show_default=True,
    metavar="SECONDS",
    help="Median time from the end of a word to its hearing that a smoothing may take.",
)
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print what was chosen as one JSON object.")
def calibrate(
    paths: tuple[str, ...],
    model: str | None,
    output: Path,
    rate: float,
    confidence: float | None,
    clips: Path | None,
    smoothing: float | None,
    max_delay: float,
    jobs: int,
    as_json: bool,
) -> None:
    """Choose thresholds that keep a rate of false accepts, and write them into a new model file.

    PATHS are recordings or folders of them, as for evaluate-stream: false accepts are counted in those
    without labels, misses in those with labels (`speechcmd make-stream --split validation` makes one).
    Of a roles.csv, only recordings of role calibrate are taken. Exit status: 1 if no thresholds keep
    the rate, or the hours are too few to prove it.
    """
    from speechcmd.evaluation.calibration.calibrated_model import (
        write_calibrated,  # here: it needs a package of its own
    )
    from speechcmd.evaluation.calibration.thresholds import SMOOTHINGS_S, Goal, GoalError
    from speechcmd.evaluation.calibration.thresholds import calibrate as choose
    from speechcmd.evaluation.streams.recording_set import collect_recordings
    from speechcmd.runtime.model.model_file import read_model_bytes
    from speechcmd.runtime.recognition.recognizer import Recognizer

    if not output.parent.is_dir():
        raise click.UsageError(f"--output: {output.parent}: no such folder")
    recognizer = Recognizer.load(model)
    recordings = collect_recordings(paths, recognizer.card.words, role="calibrate")
    say_what_is_measured(recordings, "calibrate")
    temperature = _fit_temperature(recognizer, clips) if clips else None
    audio = hear_recordings(recognizer, recordings)
    if temperature is not None:
        audio = audio.at_temperature(temperature.value)
    try:
        chosen = choose(
            audio,
            Goal(rate, confidence, max_delay),
            lambda settings: score_settings(audio, settings, jobs),
            smoothings_s=SMOOTHINGS_S if smoothing is None else (smoothing,),
        )
    except GoalError as error:
        _show_curve(error)
        raise
    source = f"{clips.name}, {_SPLIT}" if clips else ""
    card = write_calibrated(recognizer.card, read_model_bytes(model), output, chosen, temperature, source)
    _print(card, chosen, temperature, output, as_json)


def _fit_temperature(recognizer: Recognizer, clips: Path) -> Temperature:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.evaluation.calibration.temperature import fit_temperature
    from speechcmd.evaluation.clips.clip_set import open_clip_set

    clip_set = open_clip_set(clips, "own", _SPLIT, recognizer.labels)
    with StepProgress("clips") as progress:
        return fit_temperature(recognizer, clip_set.clips, progress.update)


def _show_curve(error: GoalError) -> None:
    """What the thresholds that were tried give, every sixth of them."""
    if not error.curve:
        return
    click.echo("   false accepts per hour   words not heard", err=True)
    for point in error.curve[::6]:
        missed = "-" if point.false_reject_rate is None else f"{100 * point.false_reject_rate:.1f} %"
        click.echo(f"{point.false_accepts_per_hour:24.2f} {missed:>17s}", err=True)


def _print(
    card: ModelCard, chosen: Calibration, temperature: Temperature | None, output: Path, as_json: bool
) -> None:
    if as_json:
        click.echo(json.dumps(_facts(card, output)))
        return
    click.echo(f"{output}: {card.measured_on}")
    if chosen.upper_bound is not None and chosen.goal.confidence is not None:
        click.echo(
            f"at most {chosen.upper_bound:.2f} per hour with {100 * chosen.goal.confidence:g} % confidence"
        )
    smoothing_s = chosen.settings.smoothing_steps * card.step_s
    delay = "" if chosen.median_delay_s is None else f", median delay {1_000 * chosen.median_delay_s:.0f} ms"
    click.echo(f"scores averaged over {smoothing_s:.2f} s{delay}")
    click.echo(
        "thresholds: " + ", ".join(f"{word} {card.decoder.of(word).threshold:.4f}" for word in card.words)
    )
    if temperature is not None:
        click.echo(
            f"temperature {temperature.value:.3f}: expected calibration error "
            f"{100 * temperature.error_before:.1f} % -> {100 * temperature.error_after:.1f} %"
        )


def _facts(card: ModelCard, output: Path) -> dict[str, Any]:
    return {
        "path": str(output),
        "thresholds": {word: card.decoder.of(word).threshold for word in card.words},
        "smoothing_s": card.decoder.smoothing_steps * card.step_s,
        "temperature": card.temperature,
        **card.training["calibration"],
    }
