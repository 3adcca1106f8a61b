"""The result of a measurement on streams: operating points, curves, mistakes, as plain data for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speechcmd.errors import printable
from speechcmd.evaluation.intervals import CONFIDENCE, hours_needed
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.negatives import check_promise
from speechcmd.evaluation.streams.outcome import FalseAccept, Fate, Outcome
from speechcmd.evaluation.streams.rates import Rates, count_rates
from speechcmd.evaluation.streams.trade_off import CurvePoint, find_offset, trade_off, without_homophones
from speechcmd.runtime.model.figures import QUIET_ENOUGH_DB

AS_SET = "as the model is set"
SNR = "snr_db"  # as make-stream names it
_MOST_VALUES, _LEAST_WORDS = 8, 5  # of an attribute, and words that have each
_MOST_MISTAKES = 40


@dataclass(frozen=True, eq=False)
class Measurement:
    """All that was tried on one material."""

    material: HeardSet
    offsets: tuple[float, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def as_set(self) -> Outcome:
        """The outcome with the settings as they were asked for."""
        return self.outcomes[self.offsets.index(0.0)]


def stream_result(measurement: Measurement, targets: Sequence[float]) -> dict[str, Any]:
    """Return the result without its provenance.

    Parameters
    ----------
    targets
        False accepts an hour at which the false rejects are wanted.
    """
    material = measurement.material
    overall = trade_off(material, measurement.offsets, measurement.outcomes)
    hours = sum(material.hours(without_homophones=True).values())
    points = [_point(measurement, AS_SET, None, measurement.offsets.index(0.0), hours)]
    for target in targets:
        number = find_offset(overall, target, hours)
        points.append(_point(measurement, _name_of(target), target, number, hours))
    promise = check_promise(material, measurement.as_set)
    curves = {
        word: trade_off(material, measurement.offsets, measurement.outcomes, word)
        for word in material.card.words
    }
    return {
        "kind": "stream",
        "recordings": _recordings(material),
        "hours": material.hours(),
        "n_words": len(material.words),
        "points": points,
        "promise": promise.to_dict() if promise else None,
        "curve": _curve(overall),
        "curves_by_label": {word: _curve(curve) for word, curve in curves.items()},
        "mistakes": find_mistakes(material, measurement.as_set),
    }


def _name_of(target: float) -> str:
    return f"{target:g} false accept{'' if target == 1 else 's'} an hour"


def _curve(curve: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    return [asdict(point) for point in curve]


def _recordings(material: HeardSet) -> list[dict[str, Any]]:
    return [
        {
            "path": printable(str(one.recording.path)),
            "kind": one.recording.kind,
            "duration_s": round(one.duration_s, 3),
            "n_words": len(one.words),
        }
        for one in material.heard
    ]


def _point(
    measurement: Measurement, name: str, target: float | None, number: int | None, hours: float
) -> dict[str, Any]:
    material = measurement.material
    head = {"name": name, "target": target, "reached": number is not None}
    if number is None:
        return head | {"note": f"not reached: {_best_rate(measurement, hours)}"}
    outcome = measurement.outcomes[number]
    clean = without_homophones(material, outcome)
    return head | {
        "offset": measurement.offsets[number],
        "thresholds": {word: outcome.settings.of(word).threshold for word in material.card.words},
        "overall": count_rates(material, outcome).to_dict(),
        "by_label": [count_rates(material, outcome, word).to_dict() for word in material.card.words],
        "by_kind": _by_kind(material, outcome, outcome.false_accepts, material.hours()),
        "without_homophones": {
            "overall": count_rates(material, outcome, false_accepts=clean, hours=hours).to_dict(),
            "by_kind": _by_kind(material, outcome, clean, material.hours(without_homophones=True)),
        }
        if material.has_homophones
        else None,
        "by_attribute": _by_attribute(material, outcome),
        "at_10_db": _at_10_db(material, outcome),
        "note": note_on_hours(target, hours, len(clean)),
    }


def note_on_hours(rate: float | None, hours: float, n_events: int) -> str:
    """What the audio can say about a rate, in a plain sentence; empty if it is long enough."""
    if rate is None:
        rate = max(n_events, 1) / hours if hours else 1.0
    needed = hours_needed(rate, CONFIDENCE)
    if hours >= needed:
        return ""
    return (
        f"{hours:.2f} h of audio outside words are too short for {rate:.3g} false accepts an hour: "
        f"{needed:.1f} h without a single one would show it with {100 * CONFIDENCE:.0f} % confidence"
    )


def _best_rate(measurement: Measurement, hours: float) -> str:
    strictest = len(without_homophones(measurement.material, measurement.outcomes[-1]))
    return f"{strictest} false accepts in {hours:.2f} h are left at the strictest thresholds tried"


def _by_kind(
    material: HeardSet, outcome: Outcome, false_accepts: Sequence[FalseAccept], hours: Mapping[str, float]
) -> list[dict[str, Any]]:
    """False accepts by the kind of audio; the words are in `overall`."""
    nobody = np.zeros(len(material.words), dtype=bool)
    rows = []
    for kind, value in hours.items():
        of_kind = [one for one in false_accepts if one.kind == kind]
        row: Rates = count_rates(material, outcome, among=nobody, false_accepts=of_kind, hours=value)
        rows.append(row.to_dict() | {"kind": kind, "n_duplicates": 0})
    return rows


def _by_attribute(material: HeardSet, outcome: Outcome) -> list[dict[str, Any]]:
    """False rejects by whatever the labels say of the words and takes a few values."""
    names = dict.fromkeys(name for word in material.words for name in word.attributes)
    tables = []
    for name in names:
        values = [word.attributes.get(name) for word in material.words]
        counts = Counter(value for value in values if value is not None)
        if not 2 <= len(counts) <= _MOST_VALUES or min(counts.values()) < _LEAST_WORDS:
            continue
        distinct = sorted(counts, key=lambda one: (str(type(one)), one))
        rows = []
        for value in distinct:
            among = np.array([one == value for one in values])
            words: Sequence[str | None] = (None, *material.card.words)
            counted = [
                count_rates(material, outcome, word, among=among, false_accepts=(), hours=0.0)
                for word in words
            ]
            rows.append({"value": value, "rows": [row.to_dict() | {"n_duplicates": None} for row in counted]})
        tables.append({"attribute": name, "values": rows})
    return tables


def _at_10_db(material: HeardSet, outcome: Outcome) -> dict[str, Any] | None:
    """The words whose labels say that they are at 10 dB signal to noise or better; None if there are none."""
    ratios = [word.attributes.get(SNR) for word in material.words]
    among = np.array(
        [isinstance(ratio, int | float) and ratio >= QUIET_ENOUGH_DB for ratio in ratios], dtype=bool
    )
    if not among.any():
        return None
    return count_rates(material, outcome, among=among, false_accepts=(), hours=0.0).to_dict()


def find_mistakes(material: HeardSet, outcome: Outcome) -> list[dict[str, Any]]:
    """The surest false accepts first, then words that were missed; not more than three of one sort."""
    mistakes: list[dict[str, Any]] = []
    by_score = sorted(outcome.false_accepts, key=lambda one: -one.score)
    mistakes += _few_of_each([_false_entry(material, one) for one in by_score], "heard", "kind")
    missed = [_missed_entry(material, int(index)) for index in np.flatnonzero(outcome.fates == Fate.MISSED)]
    return (mistakes + _few_of_each(missed, "label"))[:_MOST_MISTAKES]


def _few_of_each(entries: Sequence[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    counts: dict[tuple[Any, ...], int] = {}
    kept = []
    for entry in entries:
        sort = tuple(entry[key] for key in keys)
        counts[sort] = counts.get(sort, 0) + 1
        if counts[sort] <= 3:
            kept.append(entry)
    return kept


def _false_entry(material: HeardSet, one: FalseAccept) -> dict[str, Any]:
    recording = material.heard[one.recording].recording
    label = material.words[one.word].label if one.word >= 0 else ""
    what = f"{one.label} instead of {label}" if label else f"{one.label}, said by nobody"
    return {
        "title": f"{what} ({one.kind})",
        "what": "substitution" if label else "false accept",
        "path": printable(str(recording.path)),
        "recording": one.recording,
        "kind": one.kind,
        "label": label,
        "heard": one.label,
        "time_s": round(one.time_s, 3),
        "score": round(one.score, 4),
        "sentence": recording.sentence,
    }


def _missed_entry(material: HeardSet, index: int) -> dict[str, Any]:
    word = material.words[index]
    number = int(material.word_recordings[index])
    recording = material.heard[number].recording
    return {
        "title": f"{word.label}, not heard",
        "what": "miss",
        "path": printable(str(recording.path)),
        "recording": number,
        "kind": recording.kind,
        "label": word.label,
        "heard": "",
        "time_s": round(word.end_s, 3),
        "score": 0.0,
        "sentence": "",
    }
