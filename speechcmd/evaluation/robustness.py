"""Accuracy on the same clips when something is done to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from speechcmd.evaluation.clip_result import describe_source
from speechcmd.evaluation.clip_run import Distort, classify_clips
from speechcmd.evaluation.condition import make_conditions
from speechcmd.evaluation.distortion import measure_word_level
from speechcmd.evaluation.example import ClipSet, Example
from speechcmd.evaluation.interval import wilson_interval
from speechcmd.evaluation.noise_source import NoiseFiles
from speechcmd.evaluation.provenance import describe_run
from speechcmd.runtime.model_card import SILENCE
from speechcmd.runtime.recognizer import Recognizer

MOST_CLIPS = 300
_SILENT_WORD_LEVEL = 0.05  # where no clip of the set holds a word: about what words have in recordings


def make_robustness_result(
    recognizer: Recognizer,
    model: str | os.PathLike[str] | None,
    clip_set: ClipSet,
    command: Sequence[str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """The content of `robustness.json`: what all results share, and `measure_robustness(..., **settings)`."""
    return {
        "kind": "robustness",
        **describe_run(recognizer.card, model, command),
        "source": describe_source(clip_set),
        **measure_robustness(recognizer, clip_set, **settings),
    }


def measure_robustness(
    recognizer: Recognizer,
    clip_set: ClipSet,
    *,
    noises: Sequence[NoiseFiles] = (),
    responses: Sequence[Path] = (),
    limit: int = MOST_CLIPS,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure the accuracy on clean clips, and on the same clips in each condition.

    Parameters
    ----------
    noises
        Recordings of noise instead of the built-in white, pink and brown noise.
    responses
        Impulse responses instead of simulated rooms.
    limit
        Most clips to use, drawn evenly over the labels.
    seed
        Of the drawing and of everything random; each clip has its own random numbers.
    on_progress
        Called after each clip with the number of runs done and of all.

    Returns
    -------
    dict
        "drawn" (`n_clips` of `n_all` with `seed`), "clean" (`value`, `low`, `high`, `n`) and "conditions"
        (`name`, `axis`, `points` of `value`, `accuracy`, `low`, `high`, `n`, and `note`).

    Raises
    ------
    AudioError
        If a noise or an impulse response cannot be read.
    EvaluationError
        If one of them is silent, or a clip cannot be classified.
    """
    examples = draw_evenly(clip_set.examples, limit, seed)
    conditions = make_conditions(measure_word_levels(examples), noises=noises, responses=responses, seed=seed)
    n_runs = 1 + sum(len(condition.points) for condition in conditions)
    n_done = 0

    def count(_: int, __: int) -> None:
        nonlocal n_done
        n_done += 1
        if on_progress is not None:
            on_progress(n_done, n_runs * len(examples))

    def measure(key: str, distort: Distort | None) -> dict[str, Any]:
        answers = classify_clips(
            recognizer, examples, only_labels=clip_set.words, distort=distort, on_progress=count
        )
        pairs = zip(answers.labels, examples, strict=True)
        n_right = sum(answer == example.label for answer, example in pairs)
        low, high = wilson_interval(n_right, len(examples))
        return {key: n_right / max(1, len(examples)), "low": low, "high": high, "n": len(examples)}

    clean = measure("value", None)
    measured = [
        {
            "name": condition.name,
            "axis": condition.axis,
            "points": [
                {"value": point.value, **measure("accuracy", point.distort)} for point in condition.points
            ],
            "note": condition.note,
        }
        for condition in conditions
    ]
    drawn = {"n_clips": len(examples), "n_all": len(clip_set.examples), "seed": seed}
    return {"drawn": drawn, "clean": clean, "conditions": measured}


def draw_evenly(examples: Sequence[Example], limit: int, seed: int) -> list[Example]:
    """Draw up to `limit` examples, as evenly over their labels as there are, and keep their order."""
    if len(examples) <= limit:
        return list(examples)
    rng = np.random.default_rng(seed)
    rounds: list[tuple[int, int, int]] = []  # of each example: its turn within its label, and whose turn
    turns: dict[str, int] = {}
    for number in rng.permutation(len(examples)).tolist():
        label = examples[number].label
        turns[label] = turns.get(label, -1) + 1
        rounds.append((turns[label], len(rounds), number))
    chosen = sorted(number for _, _, number in sorted(rounds)[:limit])
    return [examples[number] for number in chosen]


def measure_word_levels(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Level of the word in each clip as an rms, never 0; clips without a word take the median of the words.

    Shape: (n_examples,).
    """
    levels = np.zeros(len(examples))
    for number, example in enumerate(examples):
        waveform = example.read()
        if example.label != SILENCE and len(waveform):
            levels[number] = measure_word_level(waveform)
    spoken = levels[levels > 0]
    levels[levels == 0] = np.median(spoken) if len(spoken) else _SILENT_WORD_LEVEL
    return levels
