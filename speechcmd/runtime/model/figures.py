"""Figures of one model file: what `speechcmd card --figures` writes and `speechcmd models --released` shows.

They lie beside the model file, not inside: what was measured bears the digest of the file, and figures
written into the file would change it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from speechcmd.errors import ModelError, printable
from speechcmd.json_toml import parse_json

FIGURES_SCHEMA = 1
QUIET_ENOUGH_DB = 10.0
"""Signal-to-noise ratio from which on the words count for the false reject rate of a released model."""


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion from 0 to 1 of `n` clips or words, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Rate:
    """False accepts an hour, with the 95 % interval of a Poisson rate."""

    per_hour: float
    low: float
    high: float
    n_events: int
    hours: float


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """What was measured on clips with one word each."""

    task: str
    """"own": the words of the model; "12": the official 12 classes; "35": all words."""
    split: str | None
    accuracy: Share
    mean_recall: float
    """Every label with clips counts once."""
    recalls: dict[str, Share]
    """Of the labels with clips."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is heard and missed with all thresholds moved together."""

    false_accepts_per_hour: float | None
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
            if content["schema"] != FIGURES_SCHEMA:
                raise ValueError(f"schema {content['schema']!r:.40}, expected {FIGURES_SCHEMA}")
            clips, stream = content["clips"], content["stream"]
            return cls(
                str(content["name"]),
                str(content["sha256"]),
                None if clips is None else _clips_from(clips),
                None if stream is None else _stream_from(stream),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = printable(str(error), " ").strip()
            raise ModelError(
                f"no figures of this version ({type(error).__name__}: {why:.80})",
                advice="write them with `speechcmd card --figures`",
            ) from None


def _clips_from(content: dict[str, Any]) -> ClipFigures:
    recalls = {str(label): _share(recall) for label, recall in content["recalls"].items()}
    return ClipFigures(
        str(content["task"]),
        content["split"],
        _share(content["accuracy"]),
        float(content["mean_recall"]),
        recalls,
    )


def _stream_from(content: dict[str, Any]) -> StreamFigures:
    points = tuple(
        OperatingPoint(
            None if one["false_accepts_per_hour"] is None else float(one["false_accepts_per_hour"]),
            _rate_or_none(one["false_accepts"]),
            _share_or_none(one["false_reject_rate"]),
            _share_or_none(one["false_reject_rate_at_10_db"]),
        )
        for one in content["points"]
    )
    if not points or points[0].false_accepts_per_hour is not None:
        raise ValueError("the first point is not the model as it is set")
    by_kind = {str(kind): _rate(rate) for kind, rate in content["false_accepts_by_kind"].items()}
    return StreamFigures(points, by_kind, _rate_or_none(content["false_accepts_with_homophones"]))


def _share(content: dict[str, Any]) -> Share:
    return Share(float(content["value"]), float(content["low"]), float(content["high"]), int(content["n"]))


def _share_or_none(content: dict[str, Any] | None) -> Share | None:
    return None if content is None else _share(content)


def _rate(content: dict[str, Any]) -> Rate:
    per_hour, low, high = (float(content[key]) for key in ("per_hour", "low", "high"))
    return Rate(per_hour, low, high, int(content["n_events"]), float(content["hours"]))


def _rate_or_none(content: dict[str, Any] | None) -> Rate | None:
    return None if content is None else _rate(content)
