"""The audio that a promise of so many false accepts an hour speaks of."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from speechcmd.evaluation.intervals import predictive_interval
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import FalseAccept, Outcome
from speechcmd.evaluation.streams.trade_off import without_homophones

_MOST_EVENTS, _MOST_HOURS = 1_000_000, 1_000_000.0  # a model file may say anything


class Negatives:
    """Recordings without labels, if there are any, else labelled ones outside words; without homophones."""

    def __init__(self, material: HeardSet) -> None:
        self.material = material
        free = {number for number, one in enumerate(material.heard) if one.recording.annotation is None}
        self.are_unlabelled = bool(free)
        self._counted = free or set(range(len(material.heard)))
        heard = tuple(one for number, one in enumerate(material.heard) if number in self._counted)
        self.hours_by_kind = HeardSet(material.card, heard).hours(without_homophones=True)
        self.hours = sum(self.hours_by_kind.values())

    @cached_property
    def digest(self) -> str:
        """Of the audio by its levels, whatever the files are called and in whatever order."""
        levels = [self.material.heard[number].trace.levels for number in self._counted]
        digests = sorted(hashlib.sha256(np.ascontiguousarray(one).data).hexdigest() for one in levels)
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def false_accepts(self, outcome: Outcome) -> list[FalseAccept]:
        """Those of the outcome that fall into this audio."""
        clean = without_homophones(self.material, outcome)
        return [one for one in clean if one.recording in self._counted]


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """Whether other audio bears out what a calibration promised."""

    promised_events: int
    promised_hours: float
    n_events: int
    hours: float
    low: int
    """Fewest events that the promise lets expect in these hours (95 % predictive interval)."""
    high: int

    @property
    def is_kept(self) -> bool:
        """True unless more events came than can be expected."""
        return self.n_events <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return the check for JSON."""
        return asdict(self) | {"is_kept": self.is_kept, "is_within": self.low <= self.n_events <= self.high}


def check_promise(material: HeardSet, outcome: Outcome) -> PromiseCheck | None:
    """Hold a calibrated model to its promise on other audio.

    None for a model without one, with other settings than its own, on the very audio that it was calibrated
    on, or on audio of another sort (labelled recordings, if the promise was made on others).
    """
    promise = material.card.training.get("calibration")
    negatives = Negatives(material)
    if not isinstance(promise, dict) or outcome.settings != material.card.decoder or negatives.hours <= 0:
        return None
    if promise.get("audio") == negatives.digest or promise.get("unlabelled") != negatives.are_unlabelled:
        return None
    n_promised, hours = promise.get("n_events"), promise.get("hours")
    if not (isinstance(n_promised, int) and 0 <= n_promised <= _MOST_EVENTS):
        return None
    if not (isinstance(hours, int | float) and 0 < hours <= _MOST_HOURS):
        return None
    low, high = predictive_interval(n_promised, hours, negatives.hours)
    return PromiseCheck(n_promised, hours, len(negatives.false_accepts(outcome)), negatives.hours, low, high)
