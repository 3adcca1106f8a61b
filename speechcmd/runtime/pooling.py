"""One answer for a whole clip, from the posteriors of its steps."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from speechcmd.labels import NEVER_FIRE, SILENCE, UNKNOWN
from speechcmd.runtime.model_card import ModelCard

FloatArray = npt.NDArray[np.float32]

# chosen on validation clips, docs/decisions.md; the two in windows are shares of one
WORD_WINDOWS = 2 / 3  # how long a word must be believed
LONGEST_WORD_S = 0.66  # in a longer window a word is no longer in view, but what is around it
SILENCE_WINDOWS = 1.5  # how long a stretch of silence is looked at
_FLOOR = 1e-2  # no single step may veto a label altogether


def limit_labels(
    posteriors: FloatArray, labels: tuple[str, ...], only_labels: Collection[str]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Keep the asked words; the others count as `_unknown_`, or not at all if the model has no such label.

    Shape: (n_steps, n_labels) -> (n_steps, n_kept), with the labels that are left.
    """
    kept = [index for index, label in enumerate(labels) if label in NEVER_FIRE or label in only_labels]
    limited = posteriors[:, kept]
    left = tuple(labels[index] for index in kept)
    if UNKNOWN in left:
        others = [index for index in range(len(labels)) if index not in kept]
        limited[:, left.index(UNKNOWN)] += posteriors[:, others].sum(axis=1)
    return limited, left


def pooled_steps(card: ModelCard) -> tuple[float, float]:
    """Steps over which a word is averaged, and silence: `word_steps` and `silence_steps`."""
    window_steps = card.window_samples / card.step_samples
    return min(WORD_WINDOWS * window_steps, LONGEST_WORD_S / card.step_s), SILENCE_WINDOWS * window_steps


def pool_posteriors(
    posteriors: FloatArray, labels: tuple[str, ...], word_steps: float, silence_steps: float
) -> FloatArray:
    """Reduce the steps of a clip to one score a label. Shape: (n_steps, n_labels) -> (n_labels,).

    Posteriors are averaged geometrically, so that steps which contradict each other count less than
    under a plain mean. A word is spoken somewhere: it scores its best average over `word_steps`, and so
    does `_unknown_`. Silence must hold everywhere: it scores its worst average over `silence_steps`.
    """
    logs = np.log(posteriors + np.float32(_FLOOR))
    scores: FloatArray = np.exp(_running_mean(logs, word_steps).max(axis=0))
    if SILENCE in labels:
        silence = labels.index(SILENCE)
        scores[silence] = np.exp(_running_mean(logs[:, [silence]], silence_steps).min())
    limited: FloatArray = (scores - np.float32(_FLOOR)).clip(0.0, 1.0)
    return limited


def pick_label(scores: FloatArray, labels: tuple[str, ...]) -> str:
    """The label of the highest score."""
    return labels[int(scores.argmax())]


def _running_mean(values: FloatArray, span_steps: float) -> FloatArray:
    """Mean over each span of steps, over all if there are fewer. Shape: (n_steps, n) -> (n_spans, n)."""
    span = min(max(1, round(span_steps)), len(values))
    sums = np.cumsum(values, axis=0, dtype=np.float64)
    sums[span:] -= sums[:-span].copy()
    means: FloatArray = (sums[span - 1 :] / span).astype(np.float32)
    return means
