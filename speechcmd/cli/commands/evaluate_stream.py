"""`speechcmd evaluate-stream`: misses, false accepts per hour and delays on long recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.console.report_progress import fill_report, prepare_report, report_option
from speechcmd.cli.options.common import model_option
from speechcmd.cli.options.decoder_options import decoder_options, decoder_settings
from speechcmd.cli.options.stream_options import (
    hear_recordings,
    jobs_option,
    say_what_is_measured,
    score_settings,
)

if TYPE_CHECKING:
    from speechcmd.evaluation.streams.heard import HeardSet
    from speechcmd.evaluation.streams.stream_result import StreamResult
    from speechcmd.runtime.model.card import DecoderSettings

_ROLES = ("figures", "calibrate", "train")
_SOUNDS = 12


def _rates(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        rates = tuple(float(part) for part in value.split(","))
    except ValueError:
        rates = (0.0,)
    if not all(0 < rate <= 10_000 for rate in rates):
        raise click.BadParameter(
            f"expected rates above 0 with commas between them, such as 0.5,1,5; got {value!r}"
        )
    return rates


@click.command("evaluate-stream")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@model_option
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Labels of the one recording (.json of make-stream, .txt of Audacity).",
)
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="figures",
    show_default=True,
    help="Which recordings of a roles.csv to take.",
)
@click.option(
    "--at",
    "targets",
    default="0.5,1,5",
    show_default=True,
    callback=_rates,
    metavar="RATES",
    help="False accepts per hour at which to show what is missed.",
)
@click.option(
    "--offsets",
    "n_offsets",
    type=click.IntRange(2, 200),
    default=100,
    show_default=True,
    help="Thresholds to try for the curves.",
)
@decoder_options
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@report_option
def evaluate_stream(
    paths: tuple[str, ...],
    model: str | None,
    truth: Path | None,
    role: str,
    targets: tuple[float, ...],
    n_offsets: int,
    jobs: int,
    as_json: bool,
    report_folder: Path | None,
    **decoder: Any,
) -> None:
    """Measure on recordings how often words are missed, and heard where nobody said them.

    PATHS are recordings or folders of them; KIND=PATH names what they are, else the folder's name does.
    Labels lie beside a recording under its name (stream.json, stream.txt). A recording without labels
    holds no keyword: whatever is heard in it is false. A transcripts.csv (path, sentence) in a folder
    or above it tells where a word sounds like a command (know, no). The words and the thresholds are
    those of the model unless options say otherwise.
    """
    from speechcmd.evaluation.report.results import to_plain
    from speechcmd.evaluation.streams.excerpt import sounds_of
    from speechcmd.evaluation.streams.recording_set import collect_recordings
    from speechcmd.evaluation.streams.stream_text import render_stream
    from speechcmd.runtime.recognition.recognizer import Recognizer

    recognizer = Recognizer.load(model)
    settings = decoder_settings(recognizer.card, **decoder)
    recordings = collect_recordings(paths, recognizer.card.words, role=role, truth=truth)
    say_what_is_measured(recordings, role)
    prepare_report(report_folder)
    audio = hear_recordings(recognizer, recordings)
    result = _measure(audio, settings, model, targets, n_offsets, jobs)
    click.echo(json.dumps(to_plain(result), allow_nan=False) if as_json else render_stream(result))
    if report_folder is not None:
        files = [one.recording.path for one in audio.heard]
        sounds = sounds_of(result.mistakes[:_SOUNDS], files, recognizer.card)
        fill_report(report_folder, result, sounds, recognizer)


def _measure(
    audio: HeardSet,
    settings: DecoderSettings,
    model: str | None,
    targets: tuple[float, ...],
    n_offsets: int,
    jobs: int,
) -> StreamResult:
    from speechcmd.evaluation.provenance import describe_run
    from speechcmd.evaluation.streams.evaluate_streams import Measurement, make_stream_result
    from speechcmd.evaluation.streams.sweep import shift_thresholds
    from speechcmd.evaluation.streams.trade_off import choose_offsets

    offsets = choose_offsets(audio, settings, n_offsets)
    outcomes = score_settings(audio, [shift_thresholds(settings, offset) for offset in offsets], jobs)
    measurement = Measurement(audio, tuple(offsets), tuple(outcomes))
    return make_stream_result(describe_run(audio.card, model), measurement, targets)
