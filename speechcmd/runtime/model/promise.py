"""What the thresholds of a model file promise: the numbers that `speechcmd calibrate` wrote into it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speechcmd.runtime.model.card import ModelCard

CALIBRATION_KEY = "calibration"
_NUMBERS = ("false_accepts_per_hour", "hours", "rate", "low", "high")


@dataclass(frozen=True, slots=True)
class Promise:
    """A rate of false accepts to keep, and what was counted with the thresholds of the file."""

    false_accepts_per_hour: float
    """The rate that was asked for."""
    confidence: float | None
    """With which it is kept; None: as counted."""
    n_events: int
    hours: float
    rate: float
    """False accepts an hour: n_events / hours."""
    low: float
    """95 % interval of the rate (Poisson)."""
    high: float

    def describe(self) -> str:
        """One line for people."""
        wanted = self.false_accepts_per_hour
        goal = f"for {wanted:g} false accept{'s' * (wanted != 1)} an hour"
        if self.confidence is not None:
            goal += f" with {100 * self.confidence:g} % confidence"
        return (
            f"{goal}: {self.n_events:,} in {self.hours:.2f} h are {self.rate:.2f} an hour, "
            f"95 % interval {self.low:.2f} to {self.high:.2f}"
        )


def promise_of(card: ModelCard) -> Promise | None:
    """Return what a model was calibrated to; None if it was not, or its numbers cannot be read."""
    found = card.training.get(CALIBRATION_KEY)
    if not isinstance(found, Mapping):
        return None
    wanted, hours, rate, low, high = (_number(found.get(key)) for key in _NUMBERS)
    n_events = found.get("n_events")
    if wanted is None or hours is None or rate is None or low is None or high is None:
        return None
    if not isinstance(n_events, int) or isinstance(n_events, bool):
        return None
    return Promise(wanted, _number(found.get("confidence")), n_events, hours, rate, low, high)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < math.inf else None
