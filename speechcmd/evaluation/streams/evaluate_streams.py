"""A measurement on recordings: operating points, curves, mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speechcmd.arrays import BoolArray
from speechcmd.errors import printable
from speechcmd.evaluation.intervals import CONFIDENCE, hours_needed
from speechcmd.evaluation.provenance import Provenance
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.negatives import check_promise
from speechcmd.evaluation.streams.outcome import FalseAccept, Fate, Outcome
from speechcmd.evaluation.streams.rates import count_rates
from speechcmd.evaluation.streams.stream_result import (
    AS_SET,
    SNR,
    AcceptRates,
    AttributeRates,
    KindRates,
    MeasuredRecording,
    NotReached,
    Point,
    Rates,
    StreamMeasures,
    StreamMistake,
    StreamResult,
    ValueRates,
)
from speechcmd.evaluation.streams.trade_off import find_offset, trade_off, without_homophones
from speechcmd.runtime.model.figures import QUIET_ENOUGH_DB

_MOST_VALUES, _LEAST_WORDS = 8, 5  # of an attribute, and words that have each
_MOST_MISTAKES = 40
_MOST_OF_A_SORT = 3


@dataclass(frozen=True, eq=False)
class Measurement:
    """All that was tried on one set of audio."""

    audio: HeardSet
    offsets: tuple[float, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def as_set(self) -> Outcome:
        """The outcome with the settings as they were asked for."""
        return self.outcomes[self.offsets.index(0.0)]


def make_stream_result(run: Provenance, measurement: Measurement, targets: Sequence[float]) -> StreamResult:
    """The content of `stream.json`; the parameters are those of `measure_stream`."""
    return StreamResult(**vars(run), **vars(measure_stream(measurement, targets)))


def measure_stream(measurement: Measurement, targets: Sequence[float]) -> StreamMeasures:
    """All figures of recordings.

    Parameters
    ----------
    targets
        False accepts per hour at which the false rejects are wanted.
    """
    audio, offsets, outcomes = measurement.audio, measurement.offsets, measurement.outcomes
    overall = trade_off(audio, offsets, outcomes)
    hours = sum(audio.hours(without_homophones=True).values())
    points: list[Point | NotReached] = [_point(measurement, AS_SET, None, offsets.index(0.0), hours)]
    for target in targets:
        number = find_offset(overall, target, hours)
        if number is None:
            note = f"not reached: {_best_rate(measurement, hours)}"
            points.append(NotReached(name=_name_of(target), target=target, note=note))
        else:
            points.append(_point(measurement, _name_of(target), target, number, hours))
    return StreamMeasures(
        recordings=tuple(
            MeasuredRecording(
                printable(str(one.recording.path)),
                one.recording.kind,
                round(one.duration_s, 3),
                len(one.words),
            )
            for one in audio.heard
        ),
        hours=audio.hours(),
        n_words=len(audio.words),
        points=tuple(points),
        promise=check_promise(audio, measurement.as_set),
        curve=overall,
        curves_by_label={word: trade_off(audio, offsets, outcomes, word) for word in audio.card.words},
        mistakes=find_mistakes(audio, measurement.as_set),
    )


def _name_of(target: float) -> str:
    return f"{target:g} false accept{'' if target == 1 else 's'} per hour"


def _point(measurement: Measurement, name: str, target: float | None, number: int, hours: float) -> Point:
    audio, outcome = measurement.audio, measurement.outcomes[number]
    clean = without_homophones(audio, outcome)
    apart = None
    if audio.has_homophones:
        apart = AcceptRates(
            count_rates(audio, outcome, false_accepts=clean, hours=hours),
            _by_kind(audio, outcome, clean, audio.hours(without_homophones=True)),
        )
    return Point(
        name=name,
        target=target,
        offset=measurement.offsets[number],
        thresholds={word: outcome.settings.of(word).threshold for word in audio.card.words},
        overall=count_rates(audio, outcome),
        by_label=tuple(count_rates(audio, outcome, word) for word in audio.card.words),
        by_kind=_by_kind(audio, outcome, outcome.false_accepts, audio.hours()),
        without_homophones=apart,
        by_attribute=tuple(_by_attribute(audio, outcome)),
        at_10_db=_at_10_db(audio, outcome),
        note=note_on_hours(target, hours, len(clean)),
    )


def note_on_hours(rate: float | None, hours: float, n_events: int) -> str:
    """What the audio can say about a rate, in a plain sentence; empty if it is long enough."""
    if rate is None:
        rate = max(n_events, 1) / hours if hours else 1.0
    needed = hours_needed(rate, CONFIDENCE)
    if hours >= needed:
        return ""
    return (
        f"{hours:.2f} h of audio outside words are too short for {rate:.3g} false accepts per hour: "
        f"{needed:.1f} h without a single one would show it with {100 * CONFIDENCE:.0f} % confidence"
    )


def _best_rate(measurement: Measurement, hours: float) -> str:
    strictest = len(without_homophones(measurement.audio, measurement.outcomes[-1]))
    return f"{strictest} false accepts in {hours:.2f} h are left at the strictest thresholds tried"


def _by_kind(
    audio: HeardSet, outcome: Outcome, false_accepts: Sequence[FalseAccept], hours: Mapping[str, float]
) -> tuple[KindRates, ...]:
    """False accepts by the kind of audio; the words are in `overall`."""
    nobody = np.zeros(len(audio.words), dtype=bool)
    rows = []
    for kind, value in hours.items():
        of_kind = [one for one in false_accepts if one.kind == kind]
        row = count_rates(audio, outcome, among=nobody, false_accepts=of_kind, hours=value)
        rows.append(KindRates(**vars(row) | {"n_duplicates": 0}, kind=kind))
    return tuple(rows)


def _by_attribute(audio: HeardSet, outcome: Outcome) -> Iterator[AttributeRates]:
    """False rejects by whatever the labels say of the words and takes a few values."""
    for name in dict.fromkeys(name for word in audio.words for name in word.attributes):
        values = [word.attributes.get(name) for word in audio.words]
        counts = Counter(value for value in values if value is not None)
        if not 2 <= len(counts) <= _MOST_VALUES or min(counts.values()) < _LEAST_WORDS:
            continue
        rows = []
        for value in sorted(counts, key=lambda one: (str(type(one)), one)):
            among = np.array([one == value for one in values])
            words = (None, *audio.card.words)
            rows.append(ValueRates(value, tuple(_missed(audio, outcome, among, word) for word in words)))
        yield AttributeRates(name, tuple(rows))


def _missed(audio: HeardSet, outcome: Outcome, among: BoolArray, word: str | None = None) -> Rates:
    """What is missed of some words, without any hours."""
    row = count_rates(audio, outcome, word, among=among, false_accepts=(), hours=0.0)
    return replace(row, n_duplicates=None)


def _at_10_db(audio: HeardSet, outcome: Outcome) -> Rates | None:
    """The words whose labels say that they are at 10 dB signal to noise or better; None if there are none."""
    ratios = [word.attributes.get(SNR) for word in audio.words]
    among = np.array(
        [isinstance(ratio, int | float) and ratio >= QUIET_ENOUGH_DB for ratio in ratios], dtype=bool
    )
    return count_rates(audio, outcome, among=among, false_accepts=(), hours=0.0) if among.any() else None


def find_mistakes(audio: HeardSet, outcome: Outcome) -> tuple[StreamMistake, ...]:
    """The surest false accepts first, then words that were missed; not more than three of one sort."""
    by_score = sorted(outcome.false_accepts, key=lambda one: -one.score)
    false = [_false_accept(audio, one) for one in by_score]
    missed = [_missed_word(audio, int(index)) for index in np.flatnonzero(outcome.fates == Fate.MISSED)]
    kept = [
        *_few_of_each([((one.heard, one.kind), one) for one in false]),
        *_few_of_each([(one.label, one) for one in missed]),
    ]
    return tuple(kept[:_MOST_MISTAKES])


def _few_of_each(mistakes: Sequence[tuple[Hashable, StreamMistake]]) -> Iterator[StreamMistake]:
    counts: Counter[Hashable] = Counter()
    for sort, mistake in mistakes:
        counts[sort] += 1
        if counts[sort] <= _MOST_OF_A_SORT:
            yield mistake


def _false_accept(audio: HeardSet, one: FalseAccept) -> StreamMistake:
    recording = audio.heard[one.recording].recording
    label = audio.words[one.word].label if one.word >= 0 else ""
    what = f"{one.label} instead of {label}" if label else f"{one.label}, said by nobody"
    return StreamMistake(
        title=f"{what} ({one.kind})",
        what="substitution" if label else "false accept",
        path=printable(str(recording.path)),
        recording=one.recording,
        kind=one.kind,
        label=label,
        heard=one.label,
        time_s=round(one.time_s, 3),
        score=round(one.score, 4),
        sentence=recording.sentence,
    )


def _missed_word(audio: HeardSet, index: int) -> StreamMistake:
    word = audio.words[index]
    number = int(audio.word_recordings[index])
    recording = audio.heard[number].recording
    return StreamMistake(
        title=f"{word.label}, not heard",
        what="miss",
        path=printable(str(recording.path)),
        recording=number,
        kind=recording.kind,
        label=word.label,
        heard="",
        time_s=round(word.end_s, 3),
        score=0.0,
        sentence="",
    )
