"""Figures of one model file: what `speechcmd card --figures` writes and `speechcmd models --released` shows.

They lie beside the model file, not inside: what was measured bears the digest of the file, and figures
written into the file would change it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

from msgspec import Meta

from speechcmd.errors import ModelError
from speechcmd.json_toml import parse_json
from speechcmd.typed import as_type, check_schema

FIGURES_SCHEMA = 1
Proportion = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
QUIET_ENOUGH_DB = 10.0
"""Signal-to-noise ratio from which on the words count for the false reject rate of a released model."""


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion from 0 to 1 of `n` clips or words, with its 95 % interval."""

    value: Proportion
    low: Proportion
    high: Proportion
    n: Count


@dataclass(frozen=True, slots=True)
class Rate:
    """False accepts per hour, with the 95 % interval of a Poisson rate."""

    per_hour: NotNegative
    low: NotNegative
    high: NotNegative
    n_events: Count
    hours: NotNegative


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """What was measured on clips with one word each."""

    task: str
    """"own": the words of the model; "12": the official 12 classes; "35": all words."""
    split: str | None
    accuracy: Share
    mean_recall: Proportion
    """Every label with clips counts once."""
    recalls: dict[str, Share]
    """Of the labels with clips."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is heard and missed with all thresholds moved together."""

    false_accepts_per_hour: NotNegative | None
    """The rate that was asked for; None: the thresholds as they are in the file."""
    false_accepts: Rate | None
    """Outside words, without sentences in which a word of the model sounds; None: not measured, or no
    thresholds reach the rate."""
    false_reject_rate: Share | None
    false_reject_rate_at_10_db: Share | None
    """Of the words at 10 dB signal to noise or better."""


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """What was measured on recordings; the first point is the model as it is set."""

    points: tuple[OperatingPoint, ...]
    false_accepts_by_kind: dict[str, Rate]
    """As the model is set: sentences, music and so on."""
    false_accepts_with_homophones: Rate | None
    """As the model is set, in all recordings; None: no sentence holds a homophone."""

    def __post_init__(self) -> None:
        if not self.points or self.points[0].false_accepts_per_hour is not None:
            raise ValueError("points: expected the model as it is set first")


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one model file."""

    name: str
    sha256: str
    """Of the model file that they were measured on."""
    clips: ClipFigures | None
    stream: StreamFigures | None
    schema: int = FIGURES_SCHEMA

    def to_json(self) -> str:
        """Return the figures as JSON, in lines."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Figures:
        """Read what `to_json` returned.

        Raises
        ------
        ModelError
            If the text holds no figures of this schema.
        """
        try:
            content = parse_json(text)
            check_schema(content, FIGURES_SCHEMA)
            return as_type(content, cls)
        except ValueError as error:
            raise ModelError(
                f"no figures of this version ({error})", advice="write them with `speechcmd card --figures`"
            ) from None
