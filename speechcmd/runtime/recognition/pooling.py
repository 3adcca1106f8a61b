"""One answer for a whole clip, from the posteriors of its steps and from how loud it is there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.labels import NEVER_FIRE, SILENCE, UNKNOWN
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.recognition.level_history import hop_samples

# chosen on validation clips, docs/explanation/why-runtime.md; the two in windows are shares of one
WORD_WINDOWS = 2 / 3  # how long a word must be believed
LONGEST_WORD_S = 0.66  # in a longer window a word is no longer in view, but what is around it
SILENCE_WINDOWS = 1.5  # how long a stretch of silence is looked at
QUIETER_DB = 3.0  # than the likeliest word: there is less to hear there, so it cannot be another word
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


@dataclass(frozen=True)
class PoolingSpans:
    """Over how many steps a word is averaged, and silence; hops of a window, and from a step to the next."""

    word_steps: float
    silence_steps: float
    window_hops: int
    step_hops: int

    @classmethod
    def of_card(cls, card: ModelCard) -> PoolingSpans:
        """Those of a model file."""
        return cls.of_model(card.window_samples, card.step_samples, hop_samples(card), card.sample_rate)

    @classmethod
    def of_model(
        cls, window_samples: int, step_samples: int, hop_samples: int, sample_rate: int
    ) -> PoolingSpans:
        """Those of a model with such a window and step, whose levels are measured hop by hop."""
        window_steps, step_s = window_samples / step_samples, step_samples / sample_rate
        return cls(
            min(WORD_WINDOWS * window_steps, LONGEST_WORD_S / step_s),
            SILENCE_WINDOWS * window_steps,
            window_samples // hop_samples,
            step_samples // hop_samples,
        )


def pool_posteriors(
    posteriors: FloatArray, levels: FloatArray, labels: tuple[str, ...], spans: PoolingSpans
) -> FloatArray:
    """Reduce the steps of a clip to one score a label.

    Posteriors are averaged geometrically, so that steps which contradict each other count less than
    under a plain mean. A word is spoken somewhere: it scores its best average over `word_steps`.
    `_unknown_` scores its best too, but only where it is about as loud as where the likeliest word is: a
    half-seen word and the quiet beside it are no other word. Silence must hold everywhere: it scores its
    worst average over `silence_steps`.

    Shape: (n_steps, n_labels), (n_hops,) in dB from the first step's window on -> (n_labels,).
    """
    logs = np.log(posteriors + np.float32(_FLOOR))
    means = _running_mean(logs, spans.word_steps)
    best: FloatArray = means.max(axis=0)
    words = [index for index, label in enumerate(labels) if label not in NEVER_FIRE]
    if UNKNOWN in labels and words:
        loudness = _loudness(levels, len(posteriors), spans)
        likeliest = means[:, words].max(axis=1).argmax()
        unknown = labels.index(UNKNOWN)
        best[unknown] = means[loudness >= loudness[likeliest] - QUIETER_DB, unknown].max()
    scores: FloatArray = np.exp(best)
    if SILENCE in labels:
        silence = labels.index(SILENCE)
        scores[silence] = np.exp(_running_mean(logs[:, [silence]], spans.silence_steps).min())
    limited: FloatArray = (scores - np.float32(_FLOOR)).clip(0.0, 1.0)
    return limited


def pick_label(scores: FloatArray, labels: tuple[str, ...]) -> str:
    """The label of the highest score."""
    return labels[int(scores.argmax())]


def _loudness(levels: FloatArray, n_steps: int, spans: PoolingSpans) -> FloatArray:
    """Level in dB of what lies in the middle of the windows, over each span of a word. Shape: (n_spans,)."""
    power = 10.0 ** (levels.astype(np.float64) / 10)
    missing = (n_steps - 1) * spans.step_hops + spans.window_hops - len(power)
    power = np.pad(power, (0, max(0, missing)), mode="edge")
    weights = np.hanning(spans.window_hops + 2)[1:-1]
    in_windows = np.convolve(power, weights / weights.sum(), mode="valid")[:: spans.step_hops][:n_steps]
    loudness: FloatArray = 10 * np.log10(_running_mean(in_windows[:, None], spans.word_steps)[:, 0])
    return loudness


def _running_mean(values: FloatArray, span_steps: float) -> FloatArray:
    """Mean over each span of steps, over all if there are fewer. Shape: (n_steps, n) -> (n_spans, n)."""
    span = min(max(1, round(span_steps)), len(values))
    sums = np.cumsum(values, axis=0, dtype=np.float64)
    sums[span:] -= sums[:-span].copy()
    means: FloatArray = (sums[span - 1 :] / span).astype(np.float32)
    return means
