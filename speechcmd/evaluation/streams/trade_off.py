"""The trade-off between misses and false accepts, over thresholds that are moved together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechcmd.evaluation.intervals import most_events
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import FalseAccept, Fate, Outcome
from speechcmd.evaluation.streams.stream_result import CurvePoint
from speechcmd.evaluation.streams.sweep import LARGEST_THRESHOLD, logit
from speechcmd.runtime.model.card import DecoderSettings

_LEAST = 0.1  # threshold at the lower end of a curve


def choose_offsets(audio: HeardSet, settings: DecoderSettings, n_offsets: int) -> list[float]:
    """Evenly spaced steps from thresholds of about 0.1 to where nothing is heard; 0 is among them."""
    thresholds = [settings.of(word).threshold for word in audio.card.words]
    columns = [audio.card.labels.index(word) for word in audio.card.words]
    loudest = max(
        (float(one.trace.posteriors[:, columns].max()) for one in audio.heard if len(one.trace.posteriors)),
        default=LARGEST_THRESHOLD,
    )
    low = min(0.0, logit(_LEAST) - logit(min(thresholds)))
    high = max(0.0, logit(min(max(loudest, _LEAST), LARGEST_THRESHOLD)) - logit(min(thresholds)))
    return sorted({0.0, *np.linspace(low, high, max(2, n_offsets - 1)).round(4).tolist()})


def trade_off(
    audio: HeardSet, offsets: Sequence[float], outcomes: Sequence[Outcome], label: str | None = None
) -> tuple[CurvePoint, ...]:
    """The curve of one label, or of all together, a point an offset.

    False accepts in recordings in which the label sounds (for all: any label) are left out, with the hours.
    """
    hours = sum(audio.hours(label=label, without_homophones=label is None).values())
    points = []
    for offset, outcome in zip(offsets, outcomes, strict=True):
        n_false = len(without_homophones(audio, outcome, label))
        rejected = _reject_rate(audio, outcome, label)
        points.append(CurvePoint(offset, rejected, n_false / hours if hours else None, n_false))
    return tuple(points)


def without_homophones(audio: HeardSet, outcome: Outcome, label: str | None = None) -> list[FalseAccept]:
    """False accepts outside the recordings in which the label (for None: any label) sounds."""
    kept = []
    for one in outcome.false_accepts:
        sounds = audio.heard[one.recording].recording.heard
        is_clean = not sounds if label is None else one.label == label and label not in sounds
        if is_clean:
            kept.append(one)
    return kept


def find_offset(curve: Sequence[CurvePoint], rate: float, hours: float) -> int | None:
    """Number of the lowest point from which on the rate is kept; None if there is none."""
    if hours <= 0:
        return None
    return lowest_kept(curve, most_events(rate, hours, None))


def lowest_kept(curve: Sequence[CurvePoint], allowed: int) -> int | None:
    """Number of the lowest point from which on no more false accepts come than allowed; None for none."""
    kept = None
    for number in range(len(curve) - 1, -1, -1):
        if curve[number].n_false > allowed:
            break
        kept = number
    return kept


def _reject_rate(audio: HeardSet, outcome: Outcome, label: str | None) -> float | None:
    fates = outcome.fates
    if label is not None:
        fates = fates[audio.word_labels == audio.card.words.index(label)]
    return 1 - float((fates == Fate.FOUND).mean()) if len(fates) else None
