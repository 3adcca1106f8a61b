"""What a learning curve says: whether more data, more capacity or more regularisation would help.

Three questions, each answered yes, no or "cannot be told":

- more data, if twice the clips brought at least `MIN_SLOPE` points on validation;
- more capacity or longer training, if less than `FITTED` percent of the clips that were trained on
  are right, without augmentation;
- more regularisation, if these are at least `WIDE_GAP` points better than validation, and the network
  fits them.

A slope or gap counts if its 95 % interval leaves out zero, and is too small if the interval ends below
the limit; the share of right clips is compared with its whole interval. All else cannot be told. The
intervals are those of the numbers of clips: two trainings of other seeds differ too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from speechcmd.evaluation.intervals import wilson_interval

MIN_SLOPE = 0.5
"""Points of validation accuracy for twice the clips that are worth recording them."""
FITTED = 97.0
"""Percent of the clips trained on that a network large enough gets right; public corpora mislabel some."""
WIDE_GAP = 2.0
"""Points between training and validation that show a network which learns its clips by heart."""

MORE_DATA = "more data"
MORE_CAPACITY = "more capacity or longer training"
MORE_REGULARISATION = "more regularisation"

Interval = tuple[float, float]


@dataclass(frozen=True)
class LearningPoint:
    """A training on a share of the clips. Accuracies of its best checkpoint in percent.

    `training_accuracy` is over `n_known` of the clips that it was trained on, as they are.
    """

    clips_percent: float
    n_clips: int
    n_epochs: int
    n_steps: int
    n_known: int
    training_accuracy: float
    n_validation: int
    validation_accuracy: float


@dataclass(frozen=True)
class Answer:
    """Whether something would help, None if that cannot be told with so few `clips`, and why."""

    remedy: str
    helps: bool | None
    reason: str
    clips: str

    def __str__(self) -> str:
        untold = f"cannot be told with {self.clips}"
        return f"{self.remedy}: {untold if self.helps is None else ('no', 'yes')[self.helps]}; {self.reason}"


def read_curve(points: Sequence[LearningPoint]) -> tuple[Answer, ...]:
    """Answers by the last two points: on half of the clips and on all of them."""
    half, full = points[-2:]
    capacity = _ask_capacity(full)
    return _ask_data(half, full), capacity, _ask_regularisation(full, fits=not capacity.helps)


def summarise(answers: Sequence[Answer]) -> str:
    """One line of what would help."""
    helping = [answer.remedy for answer in answers if answer.helps]
    if helping:
        return f"What would help: {'; '.join(helping)}."
    untold = [f"{answer.remedy} (with {answer.clips})" for answer in answers if answer.helps is None]
    if untold:
        return f"What would help cannot be told: {'; '.join(untold)}."
    return "None of the three would help much; listen to the clips that go wrong, and check their labels."


def accuracy_interval(accuracy: float, n_clips: int) -> Interval:
    """95 % interval of an accuracy in percent over so many clips."""
    low, high = wilson_interval(round(accuracy * n_clips / 100), n_clips)
    return 100 * low, 100 * high


def difference_interval(first: float, n_first: int, second: float, n_second: int) -> Interval:
    """95 % interval of `second` - `first`, accuracies in percent over so many clips each.

    For sets drawn apart (Newcombe 1998, Statistics in Medicine 17:873, method 10); over the same clips it
    is wider than it need be.
    """
    (first_low, first_high), (second_low, second_high) = (
        accuracy_interval(accuracy, n_clips) for accuracy, n_clips in ((first, n_first), (second, n_second))
    )
    difference = second - first
    return (
        difference - math.hypot(second - second_low, first_high - first),
        difference + math.hypot(second_high - second, first - first_low),
    )


def _ask_data(half: LearningPoint, full: LearningPoint) -> Answer:
    slope = full.validation_accuracy - half.validation_accuracy
    low, high = difference_interval(
        half.validation_accuracy, half.n_validation, full.validation_accuracy, full.n_validation
    )
    helps = True if slope >= MIN_SLOPE and low > 0 else False if high < MIN_SLOPE else None
    seen = (
        f"from {half.n_clips:,} to {full.n_clips:,} clips validation changed by {_points(slope, low, high)}"
    )
    return Answer(MORE_DATA, helps, seen, f"{full.n_validation:,} validation clips")


def _ask_capacity(full: LearningPoint) -> Answer:
    low, high = accuracy_interval(full.training_accuracy, full.n_known)
    helps = True if high < FITTED else False if low >= FITTED else None
    seen = (
        f"{full.training_accuracy:.1f} % ({low:.1f} to {high:.1f}) of the clips trained on are right, "
        f"{FITTED:g} % is a good fit"
    )
    return Answer(MORE_CAPACITY, helps, seen, f"{full.n_known:,} training clips")


def _ask_regularisation(full: LearningPoint, fits: bool) -> Answer:
    gap = full.training_accuracy - full.validation_accuracy
    low, high = difference_interval(
        full.validation_accuracy, full.n_validation, full.training_accuracy, full.n_known
    )
    helps = True if gap >= WIDE_GAP and low > 0 else False if high < WIDE_GAP else None
    seen = f"training lies {_points(gap, low, high)} above validation, {WIDE_GAP:g} or more is much"
    if helps is not False and not fits and 100 - full.training_accuracy >= gap:
        # it would make the larger part of the errors larger still
        helps, seen = False, f"{seen}, but the network must first fit its own clips"
    return Answer(MORE_REGULARISATION, helps, seen, f"{full.n_validation:,} validation clips")


def _points(value: float, low: float, high: float) -> str:
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
