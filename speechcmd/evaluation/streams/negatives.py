"""The audio that a promise of so many false accepts per hour speaks of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from msgspec import Meta

from speechcmd.evaluation.intervals import predictive_interval
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import FalseAccept, Outcome
from speechcmd.evaluation.streams.stream_result import PromiseCheck
from speechcmd.evaluation.streams.trade_off import without_homophones
from speechcmd.runtime.model.promise import CALIBRATION_KEY
from speechcmd.typed import as_type


@dataclass(frozen=True)
class _Promised:
    """What a calibration wrote into a model file of what it counted."""

    n_events: Annotated[int, Meta(ge=0, le=1_000_000)]
    hours: Annotated[float, Meta(gt=0, le=1_000_000)]
    audio: str | None = None
    """Digest of the audio in which it counted."""
    unlabelled: bool | None = None


class Negatives:
    """Recordings without labels, if there are any, else labelled ones outside words; without homophones."""

    def __init__(self, audio: HeardSet) -> None:
        self.audio = audio
        free = {number for number, one in enumerate(audio.heard) if one.recording.annotation is None}
        self.are_unlabelled = bool(free)
        self._counted = free or set(range(len(audio.heard)))
        heard = tuple(one for number, one in enumerate(audio.heard) if number in self._counted)
        self.hours_by_kind = HeardSet(audio.card, heard).hours(without_homophones=True)
        self.hours = sum(self.hours_by_kind.values())

    @cached_property
    def digest(self) -> str:
        """Of the audio by its levels, whatever the files are called and in whatever order."""
        levels = [self.audio.heard[number].trace.levels for number in self._counted]
        digests = sorted(hashlib.sha256(np.ascontiguousarray(one).data).hexdigest() for one in levels)
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def false_accepts(self, outcome: Outcome) -> list[FalseAccept]:
        """Those of the outcome that fall into this audio."""
        clean = without_homophones(self.audio, outcome)
        return [one for one in clean if one.recording in self._counted]


def check_promise(audio: HeardSet, outcome: Outcome) -> PromiseCheck | None:
    """Hold a calibrated model to its promise on other audio.

    None for a model without one, with other settings than its own, on the very audio that it was calibrated
    on, or on audio of another sort (labelled recordings, if the promise was made on others).
    """
    negatives = Negatives(audio)
    try:
        promise = as_type(audio.card.training.get(CALIBRATION_KEY), _Promised)
    except ValueError:  # a model file may say anything
        return None
    if outcome.settings != audio.card.decoder or negatives.hours <= 0:
        return None
    if promise.audio == negatives.digest or promise.unlabelled != negatives.are_unlabelled:
        return None
    low, high = predictive_interval(promise.n_events, promise.hours, negatives.hours)
    n_events = len(negatives.false_accepts(outcome))
    return PromiseCheck(
        promised_events=promise.n_events,
        promised_hours=promise.hours,
        n_events=n_events,
        hours=negatives.hours,
        low=low,
        high=high,
        is_kept=n_events <= high,
        is_within=low <= n_events <= high,
    )
