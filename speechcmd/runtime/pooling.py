"""One answer for a whole clip, from the posteriors of its steps."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from speechcmd.runtime.model_card import NEVER_FIRE, SILENCE, UNKNOWN

FloatArray = npt.NDArray[np.float32]

_SMOOTHING_STEPS = 3  # a single outlying step must not decide about a clip
_ENOUGH = 0.5


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


def pool_posteriors(posteriors: FloatArray, labels: tuple[str, ...]) -> FloatArray:
    """Reduce the steps of a clip to one score a label. Shape: (n_steps, n_labels) -> (n_labels,).

    The posteriors are averaged over three steps. A word is spoken somewhere, so it scores its highest
    average, and so does `_unknown_`; silence must last, so `_silence_` scores its mean.
    """
    span = min(_SMOOTHING_STEPS, len(posteriors))
    windows = np.lib.stride_tricks.sliding_window_view(posteriors, span, axis=0)
    scores: FloatArray = windows.mean(axis=-1).max(axis=0)
    if SILENCE in labels:
        silence = labels.index(SILENCE)
        scores[silence] = posteriors[:, silence].mean()
    return scores


def pick_label(scores: FloatArray, labels: tuple[str, ...]) -> str:
    """The best word if it scores at least 0.5, else `_unknown_` if that does, else the highest score."""
    by_label = dict(zip(labels, scores.tolist(), strict=True))
    best = max((label for label in labels if label not in NEVER_FIRE), key=by_label.__getitem__)
    if by_label[best] >= _ENOUGH:
        return best
    if by_label.get(UNKNOWN, 0.0) >= _ENOUGH:
        return UNKNOWN
    return max(labels, key=by_label.__getitem__)
