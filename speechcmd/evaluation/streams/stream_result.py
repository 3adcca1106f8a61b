"""What is measured on recordings, as `stream.json` holds it.

Shares are fractions from 0 to 1, rates are per hour, bounds are those of 95 % intervals; what cannot be
divided is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from speechcmd.evaluation.mistakes import Mistake
from speechcmd.evaluation.provenance import Provenance
from speechcmd.evaluation.streams.annotation import Attribute

AS_SET = "as the model is set"
SNR = "snr_db"  # as make-stream names it


@dataclass(frozen=True, slots=True)
class Delay:
    """From the end of a word to its decision, in ms."""

    median: float
    p95: float
    median_low: float
    median_high: float


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What is missed and falsely accepted of one label, or of all together."""

    label: str
    n_words: int
    n_found: int
    false_reject_rate: float | None
    low: float | None
    high: float | None
    n_substituted: int
    n_duplicates: int | None
    n_false: int
    """Detections of this label that nobody said, those in place of another word included."""
    hours: float
    false_accepts_per_hour: float | None
    fa_low: float | None
    fa_high: float | None
    delay_ms: Delay | None


@dataclass(frozen=True, kw_only=True)
class KindRates(Rates):
    """False accepts in one kind of audio."""

    kind: str


@dataclass(frozen=True)
class AcceptRates:
    """False accepts in a part of the recordings."""

    overall: Rates
    by_kind: tuple[KindRates, ...]


@dataclass(frozen=True)
class ValueRates:
    """What is missed of the words that have one value of an attribute."""

    value: Attribute
    rows: tuple[Rates, ...]
    """All words together first, then each label."""


@dataclass(frozen=True)
class AttributeRates:
    """What is missed by the values of an attribute of the words."""

    attribute: str
    values: tuple[ValueRates, ...]


class Point(Struct, frozen=True, kw_only=True, tag_field="reached", tag="yes"):
    """One setting of the thresholds, and what was counted with it."""

    name: str
    target: float | None
    """False accepts per hour that were asked for; None: the model as it is set."""
    offset: float
    """Step on the logit scale by which all thresholds are moved."""
    thresholds: dict[str, float]
    overall: Rates
    by_label: tuple[Rates, ...]
    by_kind: tuple[KindRates, ...]
    without_homophones: AcceptRates | None
    """What promises are about; None where no sentence holds a homophone."""
    by_attribute: tuple[AttributeRates, ...]
    at_10_db: Rates | None = None
    """Of the words at 10 dB signal to noise or better."""
    note: str
    """What the audio is too short for."""

    @property
    def promised(self) -> AcceptRates:
        """The false accepts that promises are about: without sentences that hold a homophone."""
        return self.without_homophones or AcceptRates(self.overall, self.by_kind)

    def values_of(self, attribute: str) -> tuple[ValueRates, ...]:
        """What is missed by the values of one attribute; empty if it was not measured."""
        return next((one.values for one in self.by_attribute if one.attribute == attribute), ())


class NotReached(Struct, frozen=True, kw_only=True, tag_field="reached", tag="no"):
    """A rate of false accepts that no thresholds keep."""

    name: str
    target: float
    note: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What all thresholds moved by one step on the logit scale give."""

    offset: float
    false_reject_rate: float | None
    false_accepts_per_hour: float | None
    n_false: int


@dataclass(frozen=True, kw_only=True)
class PromiseCheck:
    """Whether other audio bears out what a calibration promised."""

    promised_events: int
    promised_hours: float
    n_events: int
    hours: float
    low: int
    """Fewest events that the promise lets expect in these hours (95 % predictive interval)."""
    high: int
    is_kept: bool
    """No more events came than can be expected."""
    is_within: bool
    """Nor fewer."""

    def describe(self) -> str:
        """What was promised and what came, without the number of events that came."""
        verdict = "as promised" if self.is_within else "fewer than promised" if self.is_kept else "BROKEN"
        return (
            f"false accepts in {self.hours:.2f} h without keywords, where {self.low} to {self.high} are to "
            f"be expected (95 %) after {self.promised_events} in {self.promised_hours:.2f} h of "
            f"calibration: {verdict}"
        )


@dataclass(frozen=True)
class MeasuredRecording:
    """One of the recordings."""

    path: str
    kind: str
    duration_s: float
    n_words: int


@dataclass(frozen=True, kw_only=True)
class StreamMistake(Mistake):
    """A word that was missed, or heard where nobody said it."""

    what: str
    """"false accept", "substitution" or "miss"."""
    recording: int
    """Number of the recording."""
    kind: str
    label: str
    """What was said; "" for nothing."""
    heard: str
    time_s: float
    sentence: str
    """What is said in the recording, where a transcript says so."""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What stands beside the sound; a word that was not heard has no score."""
        score, file = super().facts
        scores = [] if self.what == "miss" else [score]
        said = [("what", self.what), ("word", self.label), ("heard", self.heard)]
        return [*said, *scores, ("at second", f"{self.time_s:.2f}"), ("in", self.sentence), file]


@dataclass(frozen=True, kw_only=True)
class StreamMeasures:
    """All figures of recordings."""

    recordings: tuple[MeasuredRecording, ...]
    hours: dict[str, float]
    """Outside words, by kind of audio."""
    n_words: int
    points: tuple[Point | NotReached, ...]
    """The model as it is set first."""
    promise: PromiseCheck | None = None
    curve: tuple[CurvePoint, ...]
    curves_by_label: dict[str, tuple[CurvePoint, ...]]
    mistakes: tuple[StreamMistake, ...] = ()

    def __post_init__(self) -> None:
        if not self.points or not isinstance(self.points[0], Point):
            raise ValueError("points: expected the model as it is set first")

    @property
    def reached(self) -> list[Point]:
        """The settings that were found."""
        return [point for point in self.points if isinstance(point, Point)]

    @property
    def own(self) -> Point:
        """The model as it is set."""
        return self.reached[0]


@dataclass(frozen=True, kw_only=True)
class StreamResult(StreamMeasures, Provenance):
    """The content of `stream.json`."""


def all_rates(accepts: AcceptRates) -> Sequence[tuple[str, Rates]]:
    """The false accepts of each kind of audio by its name, and those of all together."""
    return [*((row.kind, row) for row in accepts.by_kind), ("together", accepts.overall)]
