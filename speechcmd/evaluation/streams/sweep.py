"""Many settings on one set of audio: thresholds moved together, tried in several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import Outcome, Scorer
from speechcmd.processes import WorkerLostError, map_in_order
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings

LEAST_THRESHOLD, LARGEST_THRESHOLD = 0.001, 0.9999
_WORTH_PROCESSES = 5.0  # hours times settings: about two seconds of work

_scorer: Scorer  # of a worker process


def shift_thresholds(settings: DecoderSettings, offset: float) -> DecoderSettings:
    """Move all thresholds by the same step on the logit scale; none that moves leaves 0.001 to 0.9999."""
    if offset == 0:
        return settings
    return DecoderSettings(
        default=_shifted(settings.default, offset),
        labels={label: _shifted(own, offset) for label, own in settings.labels.items()},
        smoothing_steps=settings.smoothing_steps,
    )


def _shifted(own: LabelSettings, offset: float) -> LabelSettings:
    return replace(own, threshold=shift_probability(own.threshold, offset))


def shift_probability(probability: float, offset: float) -> float:
    """sigmoid(logit(p) + offset), kept from the ends where no decoder works."""
    return _inside(1 / (1 + math.exp(-(logit(probability) + offset))))


def logit(probability: float) -> float:
    """log(p / (1 - p)) of a threshold, as if it were at least 0.001 and at most 0.9999."""
    inside = _inside(probability)
    return math.log(inside) - math.log1p(-inside)


def _inside(probability: float) -> float:
    return min(max(probability, LEAST_THRESHOLD), LARGEST_THRESHOLD)


def score_all(
    audio: HeardSet,
    settings: Sequence[DecoderSettings],
    *,
    n_processes: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Score many settings, in several processes if the work is worth it; in the order of the settings.

    Raises
    ------
    EvaluationError
        If a process is killed.
    """
    hours = sum(one.duration_s for one in audio.heard) / 3600
    if n_processes == 1 or hours * len(settings) < _WORTH_PROCESSES:
        outcomes: Iterator[Outcome] = map(Scorer(audio).score, settings)
    else:
        outcomes = _in_processes(audio, settings, n_processes)
    done = []
    for outcome in outcomes:
        done.append(outcome)
        if on_progress is not None:
            on_progress(len(done))
    return done


def _in_processes(
    audio: HeardSet, settings: Sequence[DecoderSettings], n_processes: int
) -> Iterator[Outcome]:
    try:
        # a fork would copy onnxruntime's locks
        yield from map_in_order(
            _score, settings, n_processes, begin=_begin, arguments=(audio,), start_method="spawn"
        )
    except WorkerLostError as error:
        raise EvaluationError(
            f"{error} while it tried thresholds (out of memory?); run with --jobs 1"
        ) from error


def _begin(audio: HeardSet) -> None:
    global _scorer
    _scorer = Scorer(audio)


def _score(settings: DecoderSettings) -> Outcome:
    return _scorer.score(settings)
