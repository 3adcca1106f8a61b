"""What is measured on clips, as `clips.json` holds it.

Shares are fractions from 0 to 1, and their bounds those of 95 % intervals; what cannot be divided is None.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from speechcmd.evaluation.clips.labelled_clip import Draw
from speechcmd.evaluation.clips.share_interval import name_ways
from speechcmd.evaluation.mistakes import Mistake
from speechcmd.evaluation.provenance import Provenance
from speechcmd.evaluation.wording import as_percent


@dataclass(frozen=True, kw_only=True)
class MeasuredClips:
    """The set of clips that was measured."""

    path: str
    """The source, as it was given."""
    task: str
    """"own": the words of the model; "12": the official 12 classes; "35": all words."""
    split: str
    """"" where the source has no splits."""
    n_clips: int
    draw: Draw | None
    voices: str = ""
    """What the figures do not say, if voices of this split trained too."""


@dataclass(frozen=True, kw_only=True)
class OnClips(Provenance):
    """What results of clips share, clean or distorted."""

    source: MeasuredClips


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The share of right answers."""

    value: float | None
    low: float
    high: float
    interval: str
    """How it was found."""
    n: int
    """Clips."""
    n_right: int


@dataclass(frozen=True, kw_only=True)
class LabelMeasures:
    """How often one label is recognised."""

    label: str
    n: int
    """Clips of it."""
    precision: float
    recall: float | None
    f1: float | None
    recall_low: float | None = None
    recall_high: float | None = None
    interval: str | None = None
    """How that of the recall was found."""


@dataclass(frozen=True)
class ScoredClip:
    """A clip to listen to, and the score of its answer."""

    path: str
    score: float


@dataclass(frozen=True)
class ConfusedPair:
    """Clips of one label that were all taken for another."""

    truth: str
    answer: str
    n: int
    clips: tuple[ScoredClip, ...]
    """A few of them, the highest score first."""


@dataclass(frozen=True)
class ScoreBin:
    """The clips whose answers have scores over `low` and up to `high`."""

    low: float
    high: float
    n: int
    confidence: float | None
    """Mean score."""
    accuracy: float | None


@dataclass(frozen=True)
class ScoreCalibration:
    """Whether scores are probabilities of being right."""

    ece: float | None
    """Expected calibration error."""
    bins: tuple[ScoreBin, ...]


@dataclass(frozen=True)
class Bar:
    """The number of speakers whose accuracy lies from `low` up to `high`."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class SpeakerAccuracy:
    """How often one speaker is understood."""

    speaker: str
    n: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class SpeakerSpread:
    """How much speakers differ; each counts once."""

    n_speakers: int
    mean: float | None
    """Of their accuracies."""
    sd: float | None
    """Of their accuracies (n - 1)."""
    worst_tenth: float | None
    """Mean over the worst tenth of them, rounded up."""
    histogram: tuple[Bar, ...]
    worst: tuple[SpeakerAccuracy, ...]


@dataclass(frozen=True)
class WordAccuracy:
    """How often one word that is no command is kept apart from the commands."""

    word: str
    n: int
    accuracy: float


@dataclass(frozen=True)
class UnknownWords:
    """`_unknown_` by the words that stand for it, the worst first."""

    mean: float
    """Every word counts once."""
    words: tuple[WordAccuracy, ...]


@dataclass(frozen=True)
class LabelRecall:
    """How often one label is recognised within a group."""

    label: str
    n: int
    recall: float | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Clips that have one entry of the metadata in common."""

    value: str
    n: int
    accuracy: float
    low: float
    high: float
    interval: str
    macro_f1: float | None
    by_label: tuple[LabelRecall, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The difference of accuracy between the best and the worst group."""

    largest_gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    chance: float | None = None
    """Share of shuffles that give at least this gap."""
    note: str = ""
    """Why something of it is missing."""

    def describe(self) -> str:
        """The gap and what chance does, or why none is reported."""
        if self.largest_gap is None:
            return self.note
        gap = f"largest gap {100 * self.largest_gap:.1f} points"
        if self.chance is None:
            return f"{gap}; {self.note}"
        bounds = ""
        if self.gap_low is not None and self.gap_high is not None:
            bounds = f" (95 % interval {100 * self.gap_low:.1f} to {100 * self.gap_high:.1f})"
        return f"{gap}{bounds}; a gap this large comes by chance in {as_percent(self.chance)} of shuffles"


@dataclass(frozen=True, kw_only=True)
class GroupColumn(Gap):
    """The groups that one column of the metadata makes."""

    column: str
    groups: tuple[Group, ...]

    def describe_intervals(self) -> str:
        """How the intervals of its groups were found."""
        return name_ways((group.value, group.interval) for group in self.groups)


@dataclass(frozen=True, kw_only=True)
class ClipMeasures:
    """All figures of a set of answers."""

    labels: tuple[str, ...]
    """Those of the task, then answers beyond them."""
    accuracy: Accuracy
    macro_f1: float | None
    by_label: tuple[LabelMeasures, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Clips of each true label (rows) and each answer (columns)."""
    pairs: tuple[ConfusedPair, ...]
    """The most frequent ones."""
    calibration: ScoreCalibration
    by_speaker: SpeakerSpread
    unknown_by_word: UnknownWords | None
    """None without clips of `_unknown_`."""

    def __post_init__(self) -> None:
        if [len(self.labels)] * len(self.labels) != [len(row) for row in self.confusion]:
            raise ValueError("confusion: expected a row and a column for each of the labels")

    @property
    def measured_labels(self) -> list[tuple[LabelMeasures, float]]:
        """The labels that have clips, with their recalls."""
        return [(row, row.recall) for row in self.by_label if row.recall is not None]

    @property
    def mean_recall(self) -> float | None:
        """Mean recall of the labels that have clips, each counted once; None without clips."""
        recalls = [recall for _, recall in self.measured_labels]
        return sum(recalls) / len(recalls) if recalls else None

    def describe_intervals(self) -> str:
        """How the intervals of the accuracy and of the recalls were found."""
        labels = ((row.label, row.interval) for row in self.by_label)
        return name_ways([("all clips", self.accuracy.interval), *labels])


@dataclass(frozen=True, kw_only=True)
class ClipMistake(Mistake):
    """A clip that was taken for another label."""

    truth: str
    answer: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What stands beside the sound."""
        return [("it was", self.truth), ("answer", self.answer), *super().facts]


@dataclass(frozen=True, kw_only=True)
class ClipsResult(ClipMeasures, OnClips):
    """The content of `clips.json`."""

    groups: tuple[GroupColumn, ...]
    """Of each column of the metadata."""
    mistakes: tuple[ClipMistake, ...] | UnsetType = UNSET
    """In a report: some to listen to."""
