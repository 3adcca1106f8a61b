"""What is measured on distorted clips, as `robustness.json` holds it.

Shares are fractions from 0 to 1, and their bounds those of 95 % intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from speechcmd.evaluation.clips.clip_result import ClipMistake, OnClips


@dataclass(frozen=True)
class DrawnClips:
    """How many clips were used, of how many, and the seed that they were drawn with."""

    n_clips: int
    n_all: int
    seed: int


@dataclass(frozen=True)
class CleanAccuracy:
    """Accuracy without any distortion."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class StrengthAccuracy:
    """Accuracy at one strength of a distortion."""

    value: float
    """The strength, as the axis of its condition says."""
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ConditionResult:
    """Accuracy under one distortion."""

    name: str
    axis: str
    """What its strengths are, and their unit."""
    points: tuple[StrengthAccuracy, ...]
    """None where it could not be tried."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RobustnessMeasures:
    """Accuracy on the same clips, clean and distorted."""

    drawn: DrawnClips
    clean: CleanAccuracy
    conditions: tuple[ConditionResult, ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessResult(RobustnessMeasures, OnClips):
    """The content of `robustness.json`."""

    mistakes: tuple[ClipMistake, ...] | UnsetType = UNSET
    """None are kept."""
