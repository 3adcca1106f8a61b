"""`speechcmd make-stream`: a long recording of which it is known what is said when."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speechcmd.cli.options.common import model_option, read_labels
from speechcmd.cli.options.decoder_options import NumberRange
from speechcmd.errors import printable

if TYPE_CHECKING:
    from speechcmd.evaluation.synthesis.stream_maker import MadeStream

_SNRS_DB, _GAP_S = (-20.0, 50.0), (0.1, 600.0)
_PERCENT = NumberRange(0, 100)


def _split_snrs(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(_numbers(value, *_SNRS_DB, "dB")))


def _split_gap(_: click.Context, __: click.Parameter, value: str) -> tuple[float, float]:
    numbers = _numbers(value, *_GAP_S, "seconds")
    if len(numbers) != 2 or numbers[1] < numbers[0]:
        raise click.BadParameter(f"expected the shortest and the longest pause, such as 0.5,3, got {value!r}")
    return numbers[0], numbers[1]


def _numbers(text: str, lowest: float, highest: float, unit: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(lowest <= number <= highest for number in numbers):
        raise click.BadParameter(
            f"expected numbers from {lowest:g} to {highest:g} ({unit}) with commas between them, got {text!r}"
        )
    return numbers


@click.command()
@click.argument("store", metavar="STORE", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The recording, .wav or .flac; its labels come beside it as .json and .txt.",
)
@click.option("--minutes", type=NumberRange(0.1, 2000), default=60.0, show_default=True, help="Its length.")
@click.option(
    "--split",
    type=click.Choice(["training", "validation", "testing"]),
    default="testing",
    show_default=True,
    help="Part of the store that everything in it is from.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Same seed, same recording.",
)
@click.option(
    "--words",
    callback=read_labels,
    metavar="WORDS",
    help="The keywords, such as yes,no.  [default: those of the model]",
)
@model_option
@click.option(
    "--snr",
    "snrs_db",
    default="20,10,5,0",
    show_default=True,
    callback=_split_snrs,
    help="How far words are above the noise, in dB; each for a while.",
)
@click.option(
    "--gap",
    "gap_s",
    default="0.5,3",
    show_default=True,
    callback=_split_gap,
    help="Shortest and longest pause in seconds.",
)
@click.option(
    "--unknown", type=_PERCENT, help="Percent other words.  [default: 25 if the store has any, else 0]"
)
@click.option(
    "--speech", type=_PERCENT, help="Percent running speech.  [default: 10 if the store has any, else 0]"
)
@click.option(
    "--close",
    type=_PERCENT,
    default=10.0,
    show_default=True,
    help="Percent rows of 2 to 4 words, 0.1 to 0.3 s apart.",
)
@click.option(
    "--repeat",
    type=_PERCENT,
    default=10.0,
    show_default=True,
    help="Percent words said twice, 0.3 s apart.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def make_stream(
    store: Path,
    output: Path,
    minutes: float,
    split: str,
    seed: int,
    words: tuple[str, ...] | None,
    model: str | None,
    snrs_db: tuple[float, ...],
    gap_s: tuple[float, float],
    unknown: float | None,
    speech: float | None,
    close: float,
    repeat: float,
    as_json: bool,
) -> None:
    """Make a long recording of which it is known what is said when.

    Clips of STORE are said at random times over its noise and music: single keywords, some close together,
    some said twice, other words, and running speech (`prepare --speech`), which must hold no keyword: any
    heard in it counts as false. Percent is counted in things said; the rest are single keywords. Measure a
    model on the result with evaluate-stream.
    """
    from data_prep.store import Store
    from speechcmd.cli.console.progress import AudioProgress
    from speechcmd.evaluation.synthesis.stream_maker import make_stream as make
    from speechcmd.evaluation.synthesis.stream_plan import StreamSettings

    settings = StreamSettings(
        tuple(dict.fromkeys(words)) if words else _words_of(model), split, minutes, seed, snrs_db, gap_s,
        unknown=_share(unknown), speech=_share(speech), close=close / 100, repeat=repeat / 100,
    )  # fmt: skip
    if settings.free_share < 0:
        raise click.UsageError("--unknown, --speech, --close and --repeat are more than 100 percent together")
    with AudioProgress(minutes * 60) as progress:
        made = make(Store.open(store), output, settings, progress.advance)
    _print_made(made, as_json)


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _words_of(model: str | None) -> tuple[str, ...]:
    from speechcmd.runtime.model.model_file import load_model_file

    return load_model_file(model)[1].words


def _print_made(made: MadeStream, as_json: bool) -> None:
    import json

    annotation = made.annotation
    json_path, audacity_path = made.label_paths
    words = Counter(word.label for word in annotation.words)
    ratios = Counter(float(word.attributes["snr_db"]) for word in annotation.words)
    others = Counter(str(word.attributes["kind"]) for word in annotation.others)
    if as_json:
        row = {
            "path": str(made.path),
            "labels": [str(json_path), str(audacity_path)],
            "duration_s": annotation.duration_s,
            "words": words,
            "words_by_snr_db": {f"{ratio:g}": n for ratio, n in ratios.items()},
            "unknown": others["unknown"],
            "speech": others["speech"],
        }
        click.echo(json.dumps(row))
        return
    minutes = (annotation.duration_s or 0.0) / 60
    click.echo(f"{printable(str(made.path))}: {minutes:g} minutes, {words.total()} keywords", err=True)
    click.echo(f"  keywords  {', '.join(f'{word} {n}' for word, n in sorted(words.items()))}", err=True)
    levels = ", ".join(f"{n} at {ratio:g} dB" for ratio, n in sorted(ratios.items(), reverse=True))
    click.echo(f"  noise     {levels}", err=True)
    click.echo(f"  besides   {others['unknown']} other words, {others['speech']} times speech", err=True)
    labels = printable(f"{json_path}, for Audacity {audacity_path}")
    click.echo(f"Labels: {labels}", err=True)
