"""`speechcmd evaluate`: how often a model is right, on clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speechcmd.cli.console.report_progress import fill_report, prepare_report, report_option
from speechcmd.cli.options.common import model_option
from speechcmd.cli.options.robustness_options import (
    check_robustness,
    robustness_options,
    run_robustness,
)

if TYPE_CHECKING:
    from speechcmd.evaluation.clips.answers import Answers
    from speechcmd.evaluation.clips.clip_result import ClipsResult
    from speechcmd.evaluation.clips.clip_set import ClipSet
    from speechcmd.evaluation.mistakes import Sound
    from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
    from speechcmd.runtime.recognition.recognizer import Recognizer


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@model_option
@click.option(
    "--task",
    type=click.Choice(["own", "12", "35"]),
    default="own",
    show_default=True,
    help="What to recognise: the model's own words, the official 12 classes, or all words.",
)
@click.option(
    "--split",
    type=click.Choice(["testing", "validation", "training"]),
    default="testing",
    show_default=True,
    help="Which clips of a store or a folder.",
)
@click.option(
    "--unknown",
    type=click.Choice(["official", "all"]),
    default="official",
    show_default=True,
    help="Clips of other words: as many as the official rule draws, or all.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draw.")
@click.option(
    "--metadata",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV with a column path or speaker: also measure each group of its other columns.",
)
@robustness_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@report_option
def evaluate(
    source: Path,
    model: str | None,
    task: str,
    split: str,
    unknown: str,
    seed: int,
    metadata: Path | None,
    robustness: bool,
    noises: tuple[str, ...],
    responses: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    report_folder: Path | None,
) -> None:
    """Measure how often a model is right on clips with one word each.

    SOURCE is a store, a folder of clips (word/speaker_nohash_0.wav), or the official 12-class test
    archive, extracted or not. Every clip goes through the model as with `speechcmd classify`.
    """
    from speechcmd.evaluation.clips.clip_set import open_clip_set
    from speechcmd.evaluation.clips.clip_text import render_text
    from speechcmd.evaluation.clips.evaluate_clips import make_clip_result, pick_sounds
    from speechcmd.evaluation.clips.groups import match_metadata, read_metadata
    from speechcmd.evaluation.report.results import to_plain
    from speechcmd.evaluation.robustness.robustness_text import render_robustness
    from speechcmd.runtime.recognition.recognizer import Recognizer

    options = check_robustness(robustness, noises, responses, limit)
    if options is not None and metadata is not None:
        raise click.UsageError("--metadata and --robustness are measured apart; run the command twice")
    recognizer = Recognizer.load(model)
    entries = read_metadata(metadata) if metadata else None
    clip_set = open_clip_set(source, task, split, recognizer.labels, unknown=unknown, seed=seed)
    if entries is not None:
        match_metadata(clip_set.clips, entries)  # a wrong file shall not cost a run
    prepare_report(report_folder)
    result: ClipsResult | RobustnessResult
    sounds: list[Sound] = []
    if options is None:
        answers = _classify(recognizer, clip_set)
        result = make_clip_result(recognizer, model, clip_set, answers, entries)
        sounds = pick_sounds(recognizer, clip_set, answers) if report_folder else []
        text = render_text(result)
    else:
        result = run_robustness(recognizer, model, clip_set, options, seed)
        text = render_robustness(result)
    click.echo(json.dumps(to_plain(result), allow_nan=False) if as_json else text)
    if report_folder is not None:
        fill_report(report_folder, result, sounds, recognizer)


def _classify(recognizer: Recognizer, clip_set: ClipSet) -> Answers:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.evaluation.clips.answers import classify_clips

    with StepProgress("clips") as progress:
        return classify_clips(
            recognizer, clip_set.clips, only_labels=clip_set.words, on_progress=progress.update
        )
