"""What a model says of itself: the JSON that travels inside the model file under the key `speechcmd`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any

from msgspec import Meta

from speechcmd.errors import JOINERS, ModelError, is_printable
from speechcmd.json_toml import parse_json
from speechcmd.labels import NEVER_FIRE, normalise_label
from speechcmd.typed import as_type, check_schema

SCHEMA = 1
METADATA_KEY = "speechcmd"
FLOAT32, INT8 = "float32", "int8"
INT8_TOLERANCE = 0.5
"""Of the check vector of an int8 network: a value that is rounded the other way moves a logit that far."""

# no model of ours comes near the limits; a damaged or hostile card must not make us allocate gigabytes
Count = Annotated[int, Meta(ge=1, lt=2**31, description="a whole number above 0")]
FewSteps = Annotated[int, Meta(ge=1, le=1_000)]
Proportion = Annotated[float, Meta(gt=0, le=1)]
Logit = Annotated[float, Meta(ge=-1e30, le=1e30, description="a number")]  # fits float32
Precision = Annotated[str, Meta(pattern=f"^({FLOAT32}|{INT8})$", description=f"{FLOAT32} or {INT8}")]

_ADVICE = "re-export the model"
_LONGEST_WINDOW_S = 10
_LONGEST_LABEL = 80
_ADDED_LATER = {"precision"}  # files of earlier versions lack it


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """When one label fires; every time in steps counts model outputs."""

    threshold: Proportion = 0.7
    """Smoothed posterior at which the label fires."""
    release_ratio: Proportion = 0.7
    """It can fire again once its smoothed posterior was below threshold * release_ratio."""
    refractory_s: Annotated[float, Meta(ge=0, le=3_600)] = 0.2
    """Least distance between the peaks of two detections."""
    min_steps: FewSteps = 2
    """Steps at or above the threshold without which it does not fire."""

    @property
    def release(self) -> float:
        """Smoothed posterior below which the label can fire again."""
        return self.threshold * self.release_ratio


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """How posteriors become detections."""

    default: LabelSettings = LabelSettings()
    labels: dict[str, LabelSettings] = field(default_factory=dict)
    """Labels with settings of their own; all others use `default`."""
    smoothing_steps: FewSteps = 5
    """Model outputs over which posteriors are averaged."""

    def of(self, label: str) -> LabelSettings:
        """Settings of one label."""
        return self.labels.get(label, self.default)

    def override(self, thresholds: Mapping[str, float] | None = None, **changes: Any) -> DecoderSettings:
        """Return settings in which every label has the changed values.

        Parameters
        ----------
        thresholds
            Thresholds of single labels, applied last.
        **changes
            Fields of `LabelSettings`, for all labels.
        """
        labels = {label: replace(own, **changes) for label, own in self.labels.items()}
        changed = replace(self, default=replace(self.default, **changes), labels=labels)
        own = {
            normalise_label(label): replace(changed.of(normalise_label(label)), threshold=value)
            for label, value in (thresholds or {}).items()
        }
        return replace(changed, labels={**labels, **own})


@dataclass(frozen=True, slots=True)
class DataSource:
    """One corpus that the weights were trained on."""

    name: str
    licence: str
    url: str


@dataclass(frozen=True, slots=True)
class CheckVector:
    """Known answer: the logits of `check_signals`, recomputed whenever the model is loaded."""

    n_samples: Count
    logits: tuple[tuple[tuple[Logit, ...], ...], ...]
    """Shape (2, n_steps, n_labels): the quiet signal, then the loud one."""
    tolerance: Proportion = 1e-3
    """Logits that are further off than 1 are other logits."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that the runtime must know about a network to use it as it was trained."""

    name: str
    labels: tuple[str, ...]
    sample_rate: Annotated[int, Meta(ge=4_000, le=48_000)]
    window_samples: Count
    """One model input."""
    step_samples: Count
    """Distance between two model outputs."""
    decoder: DecoderSettings
    measured_on: str
    """What the thresholds and figures were measured on, in words."""
    architecture: str
    parameters: Count
    data: tuple[DataSource, ...]
    licence: str
    tool_version: str
    training: dict[str, Any]
    """Free: draw of the unknown words, length, seed, figures."""
    check: CheckVector
    temperature: Annotated[float, Meta(ge=0.01, le=100)] = 1.0
    """Logits are divided by it before the softmax."""
    precision: Annotated[str, Meta(pattern=f"^({FLOAT32}|{INT8})$", description=f"{FLOAT32} or {INT8}")] = (
        FLOAT32
    )
    """Of the layers between front end and last layer: `FLOAT32` or `INT8`."""
    schema: Annotated[
        int, Meta(ge=SCHEMA, le=SCHEMA, description=f"{SCHEMA} for this version of speechcmd")
    ] = SCHEMA

    @property
    def window_s(self) -> float:
        """Length of one model input in seconds."""
        return self.window_samples / self.sample_rate

    @property
    def step_s(self) -> float:
        """Seconds between two model outputs."""
        return self.step_samples / self.sample_rate

    def steps_in(self, seconds: float) -> int:
        """Whole steps nearest to a time, at least one."""
        return max(1, round(seconds / self.step_s))

    @property
    def words(self) -> tuple[str, ...]:
        """The labels that may fire: all but `_silence_` and `_unknown_`."""
        return tuple(label for label in self.labels if label not in NEVER_FIRE)

    def to_json(self) -> str:
        """Return the card as JSON, as it is stored in the model file."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card, strictly; keys that this version does not know are passed over.

        Raises
        ------
        ModelError
            If the text is not a card of this schema, with the place and what was expected.
        """
        try:
            content = parse_json(text)
        except ValueError as error:
            reason = (str(error).splitlines() or ["empty"])[0]
            raise ModelError(f"the model card is not JSON ({reason})", advice=_ADVICE) from None
        try:
            check_schema(content, SCHEMA)
            card = _normalised(as_type(content, cls))
            _check_complete(content)
            _check_sense(card)
        except ValueError as error:
            raise ModelError(f"model card: {error}", advice=_ADVICE) from None
        return card


def _normalised(card: ModelCard) -> ModelCard:
    own = {normalise_label(label): settings for label, settings in card.decoder.labels.items()}
    labels = tuple(map(normalise_label, card.labels))
    return replace(card, labels=labels, decoder=replace(card.decoder, labels=own))


def _check_complete(content: Mapping[str, Any]) -> None:
    """Defaults are for whoever makes a card, not for a file that lost a field."""
    for name, part, kind in _records_in(content):
        for each in fields(kind):
            if each.name not in part and each.name not in _ADDED_LATER:
                raise ValueError(f"{name}{each.name}: expected a value, got nothing")


def _records_in(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], type]]:
    yield "", content, ModelCard
    decoder = content["decoder"]
    yield "decoder.", decoder, DecoderSettings
    yield "decoder.default.", decoder["default"], LabelSettings
    for label, settings in decoder["labels"].items():
        yield f"decoder.labels.{label!r:.40}.", settings, LabelSettings
    yield "check.", content["check"], CheckVector


def _is_label(text: str) -> bool:
    return bool(text.strip(f" {JOINERS}")) and is_printable(text) and len(text) <= _LONGEST_LABEL


def _check_sense(card: ModelCard) -> None:
    """Refuse fields that are well formed one by one and do not fit together.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    labels = set(card.labels)
    wrong = None
    if not card.words:
        wrong = "labels: expected a word that may fire, got none"
    elif len(labels) != len(card.labels):
        wrong = "labels: expected no duplicates"
    elif not all(map(_is_label, labels)):
        wrong = f"labels: expected printable text of 1 to {_LONGEST_LABEL} characters each"
    elif unknown := sorted(set(card.decoder.labels) - labels):
        wrong = f"decoder.labels: {unknown[0]!r:.40} is not a label of this model"
    elif card.step_samples > card.window_samples:
        wrong = (
            f"step_samples: expected at most window_samples ({card.window_samples}), got {card.step_samples}"
        )
    elif card.window_s > _LONGEST_WINDOW_S:
        wrong = f"window_samples: expected at most {_LONGEST_WINDOW_S} s, got {card.window_samples} samples"
    elif not _is_table(card.check.logits, len(card.labels)):
        wrong = "check.logits: expected two signals with a logit for each label in each step"
    if wrong:
        raise ValueError(wrong)


def _is_table(logits: tuple[tuple[tuple[float, ...], ...], ...], n_labels: int) -> bool:
    """True for two signals of equally many steps, at least one, with a logit for each label."""
    return (
        len(logits) == 2
        and len(logits[0]) == len(logits[1]) > 0
        and all(len(step) == n_labels for signal in logits for step in signal)
    )
