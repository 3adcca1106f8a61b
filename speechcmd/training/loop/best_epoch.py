"""Which epoch's network is kept: the most right answers, and of as many the least loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """What an epoch is chosen by: a score in percent, of equal ones the lesser loss.

    Few validation clips are soon all right, in an epoch that is far from the best: the loss goes on telling.
    """

    score: float
    loss: float

    @classmethod
    def nothing(cls) -> Choice:
        """What every epoch is better than."""
        return cls(-1.0, math.inf)

    def is_better(self, other: Choice) -> bool:
        """Whether this epoch is kept instead of the other."""
        return (self.score, -self.loss) > (other.score, -other.loss)


def best_of(epochs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The epoch that was kept, of the lines of a metrics.jsonl; older ones have no score of their own."""

    def order(entry: dict[str, Any]) -> tuple[float, float]:
        score = entry.get("score", entry.get("stream_recall", entry["validation_accuracy"]))
        return score, -entry.get("score_loss", math.inf)

    return max(epochs, key=order)
