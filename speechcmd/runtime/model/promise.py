"""What the thresholds of a model file promise: the numbers that `speechcmd calibrate` wrote into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from speechcmd.runtime.model.card import ModelCard
from speechcmd.typed import as_type

CALIBRATION_KEY = "calibration"
NotNegative = Annotated[float, Meta(ge=0, le=1e30)]


@dataclass(frozen=True, slots=True)
class Promise:
    """A rate of false accepts to keep, and what was counted with the thresholds of the file."""

    false_accepts_per_hour: NotNegative
    """The rate that was asked for."""
    confidence: NotNegative | None
    """With which it is kept; None: as counted."""
    n_events: Annotated[int, Meta(ge=0)]
    hours: NotNegative
    rate: NotNegative
    """False accepts per hour: n_events / hours."""
    low: NotNegative
    """95 % interval of the rate (Poisson)."""
    high: NotNegative

    def describe(self) -> str:
        """One line for people."""
        wanted = self.false_accepts_per_hour
        goal = f"for {wanted:g} false accept{'s' * (wanted != 1)} per hour"
        if self.confidence is not None:
            goal += f" with {100 * self.confidence:g} % confidence"
        return (
            f"{goal}: {self.n_events:,} in {self.hours:.2f} h are {self.rate:.2f} per hour, "
            f"95 % interval {self.low:.2f} to {self.high:.2f}"
        )


def promise_of(card: ModelCard) -> Promise | None:
    """Return what a model was calibrated to; None if it was not, or its numbers cannot be read."""
    try:
        return as_type(card.training.get(CALIBRATION_KEY), Promise)
    except ValueError:
        return None
