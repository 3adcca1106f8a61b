"""What a model says of itself: the JSON that travels inside the model file under the key `speechcmd`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from speechcmd.errors import JOINERS, ModelError, is_printable, printable
from speechcmd.json_toml import parse_json
from speechcmd.labels import NEVER_FIRE, normalise_label

SCHEMA = 1
METADATA_KEY = "speechcmd"
FLOAT32, INT8 = "float32", "int8"
INT8_TOLERANCE = 0.5
"""Of the check vector of an int8 network: a value that is rounded the other way moves a logit that far."""

# no model of ours comes near these; a damaged or hostile card must not make us allocate gigabytes
_LARGEST = 1e30  # fits float32
_MOST_STEPS = 1_000
_LONGEST_WINDOW_S = 10
_SAMPLE_RATES = range(4_000, 48_001)
_LONGEST_REFRACTORY_S = 3_600
_LEAST_TEMPERATURE = 0.01
_LARGEST_TOLERANCE = 1.0  # logits that are further off are other logits
_LONGEST_LABEL = 80
_EXPORT_AGAIN = "re-export the model"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """When one label fires; every time in steps counts model outputs."""

    threshold: float = 0.7
    """Smoothed posterior at which the label fires."""
    release_ratio: float = 0.7
    """It can fire again once its smoothed posterior was below threshold * release_ratio."""
    refractory_s: float = 0.2
    """Least distance between the peaks of two detections."""
    min_steps: int = 2
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
    smoothing_steps: int = 5
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

    n_samples: int
    logits: tuple[tuple[tuple[float, ...], ...], ...]
    """Shape (2, n_steps, n_labels): the quiet signal, then the loud one."""
    tolerance: float = 1e-3


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that the runtime must know about a network to use it as it was trained."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    window_samples: int
    """One model input."""
    step_samples: int
    """Distance between two model outputs."""
    decoder: DecoderSettings
    measured_on: str
    """What the thresholds and figures were measured on, in words."""
    architecture: str
    parameters: int
    data: tuple[DataSource, ...]
    licence: str
    tool_version: str
    training: dict[str, Any]
    """Free: draw of the unknown words, length, seed, figures."""
    check: CheckVector
    temperature: float = 1.0
    """Logits are divided by it before the softmax."""
    precision: str = FLOAT32
    """Of the layers between front end and last layer: `FLOAT32` or `INT8`."""
    schema: int = SCHEMA

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
            raise ModelError(
                f"the model card is not JSON ({_first_line(error)})", advice=_EXPORT_AGAIN
            ) from None
        if not isinstance(content, dict):
            raise ModelError("the model card is not a JSON object", advice=_EXPORT_AGAIN)
        card = _card_from(_Fields(content, "model card"))
        _check_sense(card)
        return card


class _Fields:
    """A JSON object that is read with one type check a field."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self._content = content
        self._where = where

    def get(self, key: str, read: Callable[[Any], _T]) -> _T:
        if key not in self._content:
            raise ModelError(f"{self._where}: {key!r:.40} is missing", advice=_EXPORT_AGAIN)
        return self._read(key, read)

    def get_or(self, key: str, read: Callable[[Any], _T], default: _T) -> _T:
        """What a card of an older version need not have."""
        return self._read(key, read) if key in self._content else default

    def _read(self, key: str, read: Callable[[Any], _T]) -> _T:
        try:
            return read(self._content[key])
        except _WrongError as error:
            raise ModelError(f"{self._where}: {key!r:.40} must be {error}", advice=_EXPORT_AGAIN) from None

    def nested(self, key: str) -> _Fields:
        return _Fields(self.get(key, _object), f"{self._where}, {printable(key):.40}")


class _WrongError(Exception):
    """What a field should have been."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError("text")
    return value


def _label(value: Any) -> str:
    return normalise_label(_text(value))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise _WrongError("a whole number above 0")
    return value


def _few_steps(value: Any) -> int:
    if _count(value) > _MOST_STEPS:
        raise _WrongError(f"at most {_MOST_STEPS}")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    raise _WrongError("a number")


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise _WrongError("a number above 0")
    return float(value)


def _refractory_s(value: Any) -> float:
    if not 0 <= _number(value) <= _LONGEST_REFRACTORY_S:
        raise _WrongError(f"a number of at least 0 and at most {_LONGEST_REFRACTORY_S}")
    return float(value)


def _tolerance(value: Any) -> float:
    if _positive(value) > _LARGEST_TOLERANCE:
        raise _WrongError(f"at most {_LARGEST_TOLERANCE:g}")
    return float(value)


def _temperature(value: Any) -> float:
    if not _LEAST_TEMPERATURE <= _number(value) <= 1 / _LEAST_TEMPERATURE:
        raise _WrongError(f"a number from {_LEAST_TEMPERATURE:g} to {1 / _LEAST_TEMPERATURE:g}")
    return float(value)


def _precision(value: Any) -> str:
    if value not in (FLOAT32, INT8):
        raise _WrongError(f"{FLOAT32!r} or {INT8!r}")
    return str(value)


def _share(value: Any) -> float:
    if not 0 < _number(value) <= 1:
        raise _WrongError("a number above 0 and at most 1")
    return float(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError("an object")
    return value


def _list_of(read: Callable[[Any], _T]) -> Callable[[Any], tuple[_T, ...]]:
    def read_list(value: Any) -> tuple[_T, ...]:
        if not isinstance(value, list):
            raise _WrongError("a list")
        return tuple(read(item) for item in value)

    return read_list


def _schema(value: Any) -> int:
    if value != SCHEMA or isinstance(value, bool):
        raise _WrongError(f"{SCHEMA} for this version of speechcmd, not {value!r:.40}")
    return SCHEMA


def _card_from(fields: _Fields) -> ModelCard:
    sources = fields.get("data", _list_of(_object))
    return ModelCard(
        schema=fields.get("schema", _schema),
        name=fields.get("name", _text),
        labels=fields.get("labels", _list_of(_label)),
        sample_rate=fields.get("sample_rate", _count),
        window_samples=fields.get("window_samples", _count),
        step_samples=fields.get("step_samples", _count),
        temperature=fields.get("temperature", _temperature),
        precision=fields.get_or("precision", _precision, FLOAT32),
        decoder=_decoder_from(fields.nested("decoder")),
        measured_on=fields.get("measured_on", _text),
        architecture=fields.get("architecture", _text),
        parameters=fields.get("parameters", _count),
        data=tuple(_source_from(_Fields(source, "model card, data")) for source in sources),
        licence=fields.get("licence", _text),
        tool_version=fields.get("tool_version", _text),
        training=fields.get("training", _object),
        check=_check_from(fields.nested("check")),
    )


def _decoder_from(fields: _Fields) -> DecoderSettings:
    labels = fields.get("labels", _object)
    own = _Fields(labels, "model card, decoder, labels")
    return DecoderSettings(
        default=_label_settings_from(fields.nested("default")),
        labels={normalise_label(label): _label_settings_from(own.nested(label)) for label in labels},
        smoothing_steps=fields.get("smoothing_steps", _few_steps),
    )


def _label_settings_from(fields: _Fields) -> LabelSettings:
    return LabelSettings(
        threshold=fields.get("threshold", _share),
        release_ratio=fields.get("release_ratio", _share),
        refractory_s=fields.get("refractory_s", _refractory_s),
        min_steps=fields.get("min_steps", _few_steps),
    )


def _source_from(fields: _Fields) -> DataSource:
    return DataSource(
        name=fields.get("name", _text), licence=fields.get("licence", _text), url=fields.get("url", _text)
    )


def _check_from(fields: _Fields) -> CheckVector:
    return CheckVector(
        n_samples=fields.get("n_samples", _count),
        logits=fields.get("logits", _list_of(_list_of(_list_of(_number)))),
        tolerance=fields.get("tolerance", _tolerance),
    )


def _is_label(text: str) -> bool:
    return bool(text.strip(f" {JOINERS}")) and is_printable(text) and len(text) <= _LONGEST_LABEL


def _check_sense(card: ModelCard) -> None:
    """Refuse fields that are well formed one by one and do not fit together."""
    labels = set(card.labels)
    wrong = None
    if not card.words:
        wrong = "'labels' holds no word that may fire"
    elif len(labels) != len(card.labels):
        wrong = "'labels' names a label twice"
    elif not all(map(_is_label, labels)):
        wrong = "'labels' holds an empty, unprintable or endless label"
    elif unknown := sorted(set(card.decoder.labels) - labels):
        wrong = f"the decoder's 'labels' name {unknown[0]!r:.40}, which is not a label"
    elif card.step_samples > card.window_samples:
        wrong = f"'step_samples' ({card.step_samples}) is above 'window_samples' ({card.window_samples})"
    elif card.sample_rate not in _SAMPLE_RATES:
        wrong = f"'sample_rate' ({card.sample_rate}) is none that audio has"
    elif card.window_s > _LONGEST_WINDOW_S:
        wrong = f"'window_samples' ({card.window_samples}) is more than {_LONGEST_WINDOW_S} s"
    elif not _is_table(card.check.logits, len(card.labels)):
        wrong = "the check vector must hold two signals with a logit for each label"
    if wrong:
        raise ModelError(f"model card: {wrong}", advice=_EXPORT_AGAIN)


def _is_table(logits: tuple[tuple[tuple[float, ...], ...], ...], n_labels: int) -> bool:
    """True for two signals of equally many steps, at least one, with a logit for each label."""
    return (
        len(logits) == 2
        and len(logits[0]) == len(logits[1]) > 0
        and all(len(step) == n_labels for signal in logits for step in signal)
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
