"""Temperature scaling: a score of 0.9 shall mean right nine times out of ten.

After Guo et al. 2017 (On calibration of modern neural networks, arXiv 1706.04599), but for the loss. What is
scaled are the network's logits; what is fitted is the score that `classify` reports, which is pooled over the
steps of a clip. So the temperature minimises the logarithmic loss of "the answer is right" at that score: it
is least when the score is the probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray, IntArray
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.clips.answers import resample_clip
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.clips.metrics import measure_calibration
from speechcmd.evaluation.streams.trace import change_temperature
from speechcmd.progress import Progress
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.recognition.pooling import PoolingSpans, pool_posteriors
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.runtime.recognition.stream import Steps

_LOWEST, _HIGHEST = 0.05, 20.0  # of the model's own temperature
_LEAST_SCORE = 1e-6


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature, and what it was fitted on."""

    value: float
    n_clips: int
    error_before: float
    """Expected calibration error at the model's own temperature."""
    error_after: float


def fit_temperature(
    recognizer: Recognizer,
    clips: Sequence[LabelledClip],
    on_progress: Progress | None = None,
) -> Temperature:
    """Find the temperature at which the scores of clips are the most likely.

    Raises
    ------
    EvaluationError
        If all answers are right or all are wrong: then no temperature is the best.
    """
    from scipy.optimize import minimize_scalar

    card = recognizer.card
    steps = []
    for number, clip in enumerate(clips, start=1):
        steps.append(_steps_of(recognizer, clip))
        if on_progress is not None:
            on_progress(number, len(clips))
    truth = np.array([card.labels.index(clip.label) for clip in clips])
    _, is_right = score_clips(card, steps, truth, 1.0)
    if is_right.all() or not is_right.any():
        raise EvaluationError(
            f"a temperature needs clips that are answered rightly and wrongly, all {len(clips)} are "
            f"{'right' if is_right.all() else 'wrong'}; give more clips"
        )

    def loss(log_ratio: float) -> float:
        scores, is_right = score_clips(card, steps, truth, float(np.exp(log_ratio)))
        return log_loss(scores, is_right)

    found = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    ratio = float(np.exp(found.x))
    return Temperature(
        value=card.temperature * ratio,
        n_clips=len(clips),
        error_before=measure_calibration(*score_clips(card, steps, truth, 1.0)).ece or 0.0,
        error_after=measure_calibration(*score_clips(card, steps, truth, ratio)).ece or 0.0,
    )


def score_clips(
    card: ModelCard, steps: Sequence[Steps], truth: IntArray, ratio: float
) -> tuple[DoubleArray, BoolArray]:
    """Score of each clip's answer, and whether it is right, at `ratio` times the model's temperature."""
    spans = PoolingSpans.of_card(card)
    pooled = np.stack(
        [
            pool_posteriors(change_temperature(one.posteriors, ratio), one.levels, card.labels, spans)
            for one in steps
        ]
    )
    return pooled.max(axis=1).astype(np.float64), pooled.argmax(axis=1) == truth


def log_loss(scores: DoubleArray, is_right: BoolArray) -> float:
    """Mean of -log of the probability that the score gives to what happened."""
    likely = np.where(is_right, scores, 1 - scores)
    return float(-np.log(np.maximum(likely, _LEAST_SCORE)).mean())


def _steps_of(recognizer: Recognizer, clip: LabelledClip) -> Steps:
    waveform = resample_clip(clip.read(), recognizer.card.sample_rate)
    parts = zip(*recognizer.steps(waveform), strict=True)
    return Steps(*(np.concatenate(column) for column in parts))
