"""Accuracy on the same clips when something is done to them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speechcmd.evaluation.clips.answers import Distort, classify_clips
from speechcmd.evaluation.clips.evaluate_clips import describe_source
from speechcmd.evaluation.clips.labelled_clip import ClipSet, LabelledClip
from speechcmd.evaluation.clips.metrics import measure_accuracy
from speechcmd.evaluation.provenance import describe_run
from speechcmd.evaluation.robustness.condition import ClipFacts, make_conditions
from speechcmd.evaluation.robustness.distortion import WordPlace, find_word
from speechcmd.evaluation.robustness.noise_source import NoiseFiles
from speechcmd.evaluation.robustness.robustness_result import (
    CleanAccuracy,
    ConditionResult,
    DrawnClips,
    RobustnessMeasures,
    RobustnessResult,
    StrengthAccuracy,
)
from speechcmd.labels import SILENCE
from speechcmd.progress import Progress
from speechcmd.runtime.recognition.recognizer import Recognizer

MOST_CLIPS = 300
_SILENT_WORD_LEVEL = 0.05  # where no clip of the set holds a word: about what words have in recordings


def make_robustness_result(
    recognizer: Recognizer,
    model: str | os.PathLike[str] | None,
    clip_set: ClipSet,
    command: Sequence[str] | None = None,
    **settings: Any,
) -> RobustnessResult:
    """The content of `robustness.json`: what all results share, and `measure_robustness(..., **settings)`."""
    return RobustnessResult(
        **vars(describe_run(recognizer.card, model, command)),
        **vars(measure_robustness(recognizer, clip_set, **settings)),
        source=describe_source(clip_set),
    )


def measure_robustness(
    recognizer: Recognizer,
    clip_set: ClipSet,
    *,
    noises: Sequence[NoiseFiles] = (),
    responses: Sequence[Path] = (),
    limit: int = MOST_CLIPS,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> RobustnessMeasures:
    """Measure the accuracy on clea clips, and on the same clips in each condition.

    Parameters
    ----------
    noises
        Recordings of noise instead of the built-in white, pink and brown noise.
    responses
        Impulse responses instead of simulated rooms.
    limit
        Most clips to use, drawn evenly over the labels.
    seed
        Of the drawing and of everything random. Each clip has its own random numbers, by its path: another
        model or limit changes nothing for it.
    on_progress
        Called after each clip with the number of runs done and of all.

    Raises
    ------
    AudioError
        If a noise or an impulse response cannot be read.
    EvaluationError
        If one of them is silent, or a clip cannot be classified.
    """
    clips = draw_evenly(clip_set.clips, limit, seed)
    conditions = make_conditions(find_facts(clips, seed), noises=noises, responses=responses, seed=seed)
    n_runs = 1 + sum(len(condition.points) for condition in conditions)
    n_done = 0

    def count(_: int, __: int) -> None:
        nonlocal n_done
        n_done += 1
        if on_progress is not None:
            on_progress(n_done, n_runs * len(clips))

    def measure(distort: Distort | None) -> tuple[float, float, float, int]:
        answers = classify_clips(
            recognizer, clips, only_labels=clip_set.words, distort=distort, on_progress=count
        )
        found = measure_accuracy(answers.are_right(clips), [clip.speaker for clip in clips])
        return found.value or 0.0, found.low, found.high, found.n

    clean = CleanAccuracy(*measure(None))
    measured = [
        ConditionResult(
            condition.name,
            condition.axis,
            tuple(StrengthAccuracy(point.value, *measure(point.distort)) for point in condition.points),
            condition.note,
        )
        for condition in conditions
    ]
    drawn = DrawnClips(len(clips), len(clip_set.clips), seed)
    return RobustnessMeasures(drawn=drawn, clean=clean, conditions=tuple(measured))


def draw_evenly(clips: Sequence[LabelledClip], limit: int, seed: int) -> list[LabelledClip]:
    """Draw up to `limit` clips, as evenly over their labels as there are, and keep their order.

    A larger limit draws the same ones and others.
    """
    turns: Counter[str] = Counter()
    rounds: list[tuple[int, int, int]] = []
    for key, number in sorted((_seed_of(clip, seed), number) for number, clip in enumerate(clips)):
        label = clips[number].label
        rounds.append((turns[label], key, number))  # its turn within its label, and whose turn
        turns[label] += 1
    return [clips[number] for number in sorted(number for _, _, number in sorted(rounds)[:limit])]


def find_facts(clips: Sequence[LabelledClip], seed: int) -> list[ClipFacts]:
    """Find the words, their levels never 0: a clip without a word takes all of it, at the median level."""
    words = [_find_word(clip) for clip in clips]
    levels = [word.level for word in words if word.level > 0]
    usual = float(np.median(levels)) if levels else _SILENT_WORD_LEVEL
    heard = (word if word.level > 0 else replace(word, level=usual) for word in words)
    return [ClipFacts(_seed_of(clip, seed), word) for clip, word in zip(clips, heard, strict=True)]


def _find_word(clip: LabelledClip) -> WordPlace:
    waveform = clip.read()
    if clip.label != SILENCE and len(waveform):
        return find_word(waveform)
    return WordPlace(0, len(waveform), 0.0)


def _seed_of(clip: LabelledClip, seed: int) -> int:
    name = f"{seed}\n{clip.path}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest(), "big")
