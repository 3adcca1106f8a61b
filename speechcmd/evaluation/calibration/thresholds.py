"""Thresholds and smoothing that keep a rate of false accepts, chosen by measurement.

False accepts are counted in recordings without labels (no keyword is said in them), if any are given, else in
the labelled ones outside words; misses in the labelled ones. One budget holds for all labels together:

1. every smoothing is tried with thresholds common to all labels; of those that are quick enough the one that
   misses least is taken, in the mean over the rate and some times as many false accepts: the few events of
   the rate alone would choose by luck;
2. the thresholds of the labels relative to each other are chosen where there are enough false accepts to
   count (eight a label on average): of all ways to share these, the one that misses least;
3. then all thresholds move together to the lowest place from which on the rate is kept: from those of step 2,
   from common ones, and from half way between; taken is what misses least, where a label that is never heard
   any more counts for more than its misses.

Ten thresholds tuned on the few events of a low rate would fit these events, not the labels. Where a rate is
to be proved, ways and smoothings are compared at twice its events: the luckiest would be promised too much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.calibration.budget import share_events
from speechcmd.evaluation.intervals import hours_needed, most_events, poisson_interval, rate_upper_bound
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.negatives import Negatives
from speechcmd.evaluation.streams.outcome import Fate, Outcome
from speechcmd.evaluation.streams.rates import false_reject_rate
from speechcmd.evaluation.streams.stream_result import CurvePoint
from speechcmd.evaluation.streams.sweep import logit, shift_probability, shift_thresholds
from speechcmd.evaluation.streams.trade_off import lowest_kept
from speechcmd.labels import name_labels
from speechcmd.runtime.model.card import DecoderSettings

SMOOTHINGS_S = (0.2, 0.28, 0.36, 0.44, 0.52, 0.6)
EVENTS_A_LABEL = 8
# what is chosen at the promised count itself is promised too low: it is chosen at more
_LARGER, _LEAST_EVENTS = 2, 8
_LEAST, _LARGEST = 0.3, 0.9999
_COARSE, _FINE = 24, 72
_MIDDLE = 0.5
_NEAR = (1, 2, 5)  # times the events of the rate: what smoothings are ranked by
_UNHEARD_COST = 0.05  # of the mean false reject rate, a label: better all a little than some not at all
_SHARES = (0.5, 1.0)  # of the way from common thresholds to each label's own

ScoreAll = Callable[[Sequence[DecoderSettings]], list[Outcome]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What shall hold.

    `confidence` None: the point estimate keeps the rate; else its one-sided upper bound does.
    `longest_delay_s` bounds the median time from the end of a word to its decision.
    """

    false_accepts_per_hour: float
    confidence: float | None = None
    longest_delay_s: float = math.inf


@dataclass(frozen=True, eq=False)
class Calibration:
    """Settings that reach a goal, and what was counted with them."""

    settings: DecoderSettings
    goal: Goal
    n_events: int
    hours: float
    rate: float
    low: float
    high: float
    upper_bound: float | None
    """At the goal's confidence."""
    false_reject_rate: float | None
    """Share of all words that were said."""
    median_delay_s: float | None
    hours_by_kind: dict[str, float]
    n_words: int
    are_unlabelled: bool
    """The false accepts were counted in recordings without labels."""
    audio: str
    """Digest of the recordings that they were counted in."""


class GoalError(EvaluationError):
    """No settings reach the goal; `curve` says what they reach."""

    def __init__(self, message: str, curve: Sequence[CurvePoint] = ()) -> None:
        super().__init__(message)
        self.curve = tuple(curve)


def calibrate(
    audio: HeardSet,
    goal: Goal,
    score_all: ScoreAll,
    *,
    smoothings_s: Sequence[float] = SMOOTHINGS_S,
) -> Calibration:
    """Choose thresholds and smoothing.

    Parameters
    ----------
    score_all
        Scores settings on the same audio, in their order.
    smoothings_s
        Times over which posteriors may be averaged.

    Raises
    ------
    GoalError
        If the hours cannot prove the goal, or no settings reach it.
    EvaluationError
        If there is no audio without keywords, or a label is never said.
    """
    negatives = Negatives(audio)
    _check(audio, negatives, goal)
    sweeper = _Sweeper(negatives, goal, score_all)
    steps = dict.fromkeys(audio.card.steps_in(seconds) for seconds in smoothings_s)
    if not audio.words:  # nothing tells what is missed: the labels stay as they are to each other
        asked = [replace(audio.card.decoder, smoothing_steps=next(iter(steps)))] if len(steps) == 1 else []
        ways = sweeper.sweep(asked or [audio.card.decoder], _FINE)
        return _result(negatives, goal, _best_way(sweeper, ways))
    base = audio.card.decoder.override(threshold=_MIDDLE)
    smoothed = [replace(base, smoothing_steps=n_steps) for n_steps in steps]
    delays_s = []
    for settings in _rank_smoothings(sweeper, goal, smoothed):
        best = _best_way(sweeper, _try_ways(sweeper, settings))
        delays_s.append(median_delay_s(best.outcome))
        if delays_s[-1] <= goal.longest_delay_s:
            return _result(negatives, goal, best)
    raise GoalError(
        f"no smoothing answers within {1_000 * goal.longest_delay_s:.0f} ms: the quickest takes "
        f"{1_000 * min(delays_s):.0f} ms (median from the end of a word); allow more"
    )


def _best_way(sweeper: _Sweeper, ways: Sequence[_Sweep]) -> _Sweep:
    """The way that misses least at the rate, where a label that is never heard any more costs extra."""
    kept = [sweep for sweep in ways if sweep.kept is not None]
    if not kept:
        curve = ways[0].curve
        raise GoalError(_why_not(curve, sweeper.goal, sweeper.negatives.hours), curve)
    audio = sweeper.negatives.audio
    return min(kept, key=lambda sweep: sweep.rejected + _UNHEARD_COST * _count_unheard(audio, sweep))


def _check(audio: HeardSet, negatives: Negatives, goal: Goal) -> None:
    """Refuse what cannot be measured or proved."""
    if negatives.hours <= 0:
        raise EvaluationError("no audio without keywords: give recordings of speech, noise and music")
    said = set(audio.word_labels.tolist())
    silent = [word for number, word in enumerate(audio.card.words) if number not in said]
    if said and silent:
        raise EvaluationError(
            f"the labelled recordings hold no {name_labels(silent)}: each word of the model must be said "
            "in them, or there must be none; `speechcmd make-stream` makes a recording with all"
        )
    if _allowed(negatives, goal) < 0:
        needed = hours_needed(goal.false_accepts_per_hour, goal.confidence or 0.0)
        raise GoalError(
            f"{negatives.hours:.2f} h cannot prove a rate of {goal.false_accepts_per_hour:g} per hour "
            f"with {100 * (goal.confidence or 0):g} % confidence: {needed:.1f} h without a single one would"
        )


def _allowed(negatives: Negatives, goal: Goal) -> int:
    return most_events(goal.false_accepts_per_hour, negatives.hours, goal.confidence)


@dataclass(frozen=True, eq=False)
class _Sweep:
    """One way to set the decoder, with all its thresholds moved together."""

    curve: list[CurvePoint]
    outcomes: list[Outcome]
    kept: int | None
    """Number of the lowest point from which on the rate is kept and words are heard, if there is one."""
    rejected: float
    """False reject rate by which ways are compared, between two points of the curve.

    At the rate; if that is to be proved, at about twice as many events: the luckiest way at the very count
    that is promised would be promised too much.
    """
    rejected_near: float
    """Its mean over a few times these events as well."""

    @property
    def outcome(self) -> Outcome:
        """At that point."""
        return self.outcomes[self.kept or 0]


class _Sweeper:
    """Counts what the goal speaks of over moving thresholds."""

    def __init__(self, negatives: Negatives, goal: Goal, score_all: ScoreAll) -> None:
        self.negatives = negatives
        self.goal = goal
        self.allowed = _allowed(negatives, goal)
        proved = max(_LARGER * self.allowed, _LEAST_EVENTS)
        self._compared = self.allowed if goal.confidence is None else proved
        self._score_all = score_all

    def sweep(self, ways: Sequence[DecoderSettings], n_offsets: int) -> list[_Sweep]:
        """Move the thresholds of each way through its grid."""
        words = self.negatives.audio.card.words
        grids = [_grid(settings, words, n_offsets) for settings in ways]
        asked = [
            shift_thresholds(settings, offset)
            for settings, grid in zip(ways, grids, strict=True)
            for offset in grid
        ]
        outcomes = iter(self._score_all(asked))
        sweeps = []
        for grid in grids:
            own = [next(outcomes) for _ in grid]
            curve = [self._point(offset, outcome) for offset, outcome in zip(grid, own, strict=True)]
            kept = _lowest_heard(curve, self.allowed)
            rejected, *more = (_rejected_at(curve, times * self._compared) for times in _NEAR)
            sweeps.append(_Sweep(curve, own, kept, rejected, float(np.mean([rejected, *more]))))
        return sweeps

    def _point(self, offset: float, outcome: Outcome) -> CurvePoint:
        n_false = len(self.negatives.false_accepts(outcome))
        rejected = false_reject_rate(self.negatives.audio, outcome)
        rate = None if math.isnan(rejected) else rejected
        return CurvePoint(offset, rate, n_false / self.negatives.hours, n_false)


def _rank_smoothings(
    sweeper: _Sweeper, goal: Goal, smoothed: Sequence[DecoderSettings]
) -> list[DecoderSettings]:
    """Those that keep the rate and are quick enough first; of these the one that misses least about it."""
    if len(smoothed) == 1:
        return list(smoothed)
    ranks: list[tuple[bool, bool, float, int]] = []
    for sweep in sweeper.sweep(smoothed, _COARSE):
        is_late = median_delay_s(sweep.outcome) > goal.longest_delay_s
        ranks.append((sweep.kept is None, is_late, sweep.rejected_near, len(ranks)))
    return [smoothed[number] for *_, number in sorted(ranks)]


def _try_ways(sweeper: _Sweeper, settings: DecoderSettings) -> list[_Sweep]:
    """Thresholds common to all labels, of each label's own, and half way between.

    Each label's own are chosen where there are enough false accepts to choose by.
    """
    audio = sweeper.negatives.audio
    words = audio.card.words
    (sweep,) = sweeper.sweep([settings], _FINE)
    n_false = np.zeros((len(words), len(sweep.curve)), dtype=np.int64)
    rejected = np.zeros((len(words), len(sweep.curve)))
    for column, outcome in enumerate(sweep.outcomes):
        for one in sweeper.negatives.false_accepts(outcome):
            n_false[words.index(one.label), column] += 1
        for row in range(len(words)):
            fates = outcome.fates[audio.word_labels == row]
            rejected[row, column] = 1 - float((fates == Fate.FOUND).mean())
    chosen = share_events(n_false, rejected, max(_LARGER * sweeper.allowed, EVENTS_A_LABEL * len(words)))
    if chosen is None:
        return [sweep]
    own = [sweep.curve[column].offset for column in chosen]
    ways = [
        settings.override(
            {
                word: shift_probability(settings.of(word).threshold, share * offset)
                for word, offset in zip(words, own, strict=True)
            }
        )
        for share in _SHARES
    ]
    return [sweep, *sweeper.sweep(ways, _FINE)]


def _count_unheard(audio: HeardSet, sweep: _Sweep) -> int:
    """Labels that are said and never heard any more at the rate."""
    heard = set(audio.word_labels[sweep.outcome.fates == Fate.FOUND].tolist())
    return len(set(audio.word_labels.tolist()) - heard)


def _grid(settings: DecoderSettings, words: Sequence[str], n_offsets: int) -> list[float]:
    """Steps on the logit scale that bring the lowest threshold from 0.3 to 0.9999."""
    lowest = logit(min(settings.of(word).threshold for word in words))
    grid: list[float] = np.linspace(logit(_LEAST) - lowest, logit(_LARGEST) - lowest, n_offsets).tolist()
    return grid


def _lowest_heard(curve: Sequence[CurvePoint], allowed: int) -> int | None:
    """Number of the lowest point from which on the allowed events are kept, if any word is heard there."""
    kept = lowest_kept(curve, allowed)
    return None if kept is None or curve[kept].false_reject_rate == 1.0 else kept


def _rejected_at(curve: Sequence[CurvePoint], budget: int) -> float:
    """False reject rate where a budget would be spent, between two points of the curve."""
    number = _lowest_heard(curve, budget)
    if number is None:
        return 1.0
    here = curve[number]
    if number == 0 or here.false_reject_rate is None:
        return here.false_reject_rate or 0.0
    before = curve[number - 1]  # more events than the budget, or it would be kept too
    share = (budget - here.n_false) / max(1, before.n_false - here.n_false)
    return here.false_reject_rate + share * ((before.false_reject_rate or 0.0) - here.false_reject_rate)


def _why_not(curve: Sequence[CurvePoint], goal: Goal, hours: float) -> str:
    heard = [point for point in curve if point.false_reject_rate != 1.0]
    if not heard:
        return "none of the labelled words is heard at any threshold: are these their labels, and its words?"
    fewest = min(heard, key=lambda point: point.n_false)
    return (
        f"no thresholds keep a rate of {goal.false_accepts_per_hour:g} per hour: the strictest at which "
        f"anything is heard give {fewest.n_false} in {hours:.2f} h"
    )


def median_delay_s(outcome: Outcome) -> float:
    """Median time from the end of a found word to its decision; infinite if none is found."""
    delays = outcome.delays_s[outcome.fates == Fate.FOUND]
    return float(np.median(delays)) if len(delays) else math.inf


def _result(negatives: Negatives, goal: Goal, sweep: _Sweep) -> Calibration:
    outcome, point = sweep.outcome, sweep.curve[sweep.kept or 0]
    low, high = poisson_interval(point.n_false, negatives.hours)
    bound = None
    if goal.confidence is not None:
        bound = rate_upper_bound(point.n_false, negatives.hours, goal.confidence)
    delay_s = median_delay_s(outcome)
    return Calibration(
        settings=outcome.settings,
        goal=goal,
        n_events=point.n_false,
        hours=negatives.hours,
        rate=point.n_false / negatives.hours,
        low=low,
        high=high,
        upper_bound=bound,
        false_reject_rate=1 - float((outcome.fates == Fate.FOUND).mean()) if len(outcome.fates) else None,
        median_delay_s=None if math.isinf(delay_s) else delay_s,
        hours_by_kind=negatives.hours_by_kind,
        n_words=len(negatives.audio.words),
        are_unlabelled=negatives.are_unlabelled,
        audio=negatives.digest,
    )
