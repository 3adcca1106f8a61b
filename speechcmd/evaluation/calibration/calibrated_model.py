"""A model file with other thresholds and another temperature; the network stays the same to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.calibration.temperature import Temperature
from speechcmd.evaluation.calibration.thresholds import Calibration
from speechcmd.evaluation.intervals import CONFIDENCE
from speechcmd.files import open_binary
from speechcmd.runtime.model.card import METADATA_KEY, ModelCard
from speechcmd.runtime.model.promise import CALIBRATION_KEY
from speechcmd.runtime.recognition.recognizer import Recognizer


def write_calibrated(
    card: ModelCard,
    model_bytes: bytes,
    path: Path,
    calibration: Calibration,
    temperature: Temperature | None,
    clips: str = "",
) -> ModelCard:
    """Write the calibrated model file, and return its card.

    Raises
    ------
    EvaluationError, ModelError, OSError
        As `write_with_card`.
    """
    calibrated = calibrated_card(card, calibration, temperature, clips)
    write_with_card(model_bytes, calibrated, path)
    return calibrated


def calibrated_card(
    card: ModelCard, calibration: Calibration, temperature: Temperature | None, clips: str = ""
) -> ModelCard:
    """Return the card with what was chosen, and what it was measured on, in words and in numbers.

    Parameters
    ----------
    clips
        What the temperature was fitted on.
    """
    return replace(
        card,
        decoder=calibration.settings,
        temperature=temperature.value if temperature else card.temperature,
        measured_on=describe(calibration, temperature, clips),
        training=card.training | {CALIBRATION_KEY: facts(calibration, temperature, clips)},
    )


def describe(calibration: Calibration, temperature: Temperature | None, clips: str) -> str:
    """One line for people: what was counted, on what."""
    kinds = ", ".join(f"{hours:.2f} h {kind}" for kind, hours in calibration.hours_by_kind.items())
    parts = [
        f"{calibration.n_events} false accept{'s' * (calibration.n_events != 1)} in "
        f"{calibration.hours:.2f} h ({kinds}): {calibration.rate:.2f} per hour, 95 % interval "
        f"{calibration.low:.2f} to {calibration.high:.2f}"
    ]
    if calibration.false_reject_rate is not None:
        parts.append(
            f"{100 * calibration.false_reject_rate:.1f} % of {calibration.n_words} labelled words not heard"
        )
    if temperature is not None:
        parts.append(f"temperature on {temperature.n_clips} clips of {clips}")
    return "; ".join(parts)


def facts(calibration: Calibration, temperature: Temperature | None, clips: str) -> dict[str, Any]:
    """The same for programs."""
    goal = calibration.goal
    return {
        "false_accepts_per_hour": goal.false_accepts_per_hour,
        "confidence": goal.confidence,
        "n_events": calibration.n_events,
        "hours": round(calibration.hours, 4),
        "rate": calibration.rate,
        "low": calibration.low,
        "high": calibration.high,
        "interval": f"Poisson, {100 * CONFIDENCE:g} %",
        "upper_bound": calibration.upper_bound,
        "hours_by_kind": {kind: round(hours, 4) for kind, hours in calibration.hours_by_kind.items()},
        "false_reject_rate": calibration.false_reject_rate,
        "n_words": calibration.n_words,
        "unlabelled": calibration.are_unlabelled,
        "audio": calibration.audio,
        "median_delay_s": calibration.median_delay_s,
        "temperature": _temperature_facts(temperature, clips),
    }


def _temperature_facts(temperature: Temperature | None, clips: str) -> Mapping[str, Any] | None:
    if temperature is None:
        return None
    return {
        "value": temperature.value,
        "n_clips": temperature.n_clips,
        "clips": clips,
        "calibration_error_before": temperature.error_before,
        "calibration_error_after": temperature.error_after,
    }


def write_with_card(model_bytes: bytes, card: ModelCard, path: Path) -> None:
    """Write a model file with another card, whole or not at all, after it was opened as a user's would be.

    Raises
    ------
    EvaluationError
        If the file holds no card to replace.
    ModelError
        If the new file does not load.
    OSError
        If it cannot be written.
    """
    model = onnx.load_model_from_string(model_bytes)
    entries = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    if not entries:
        raise EvaluationError(f"expected a model file with a card, found none under {METADATA_KEY!r}")
    entries[0].value = card.to_json()
    with open_binary(path, follow=True) as file:
        file.write(model.SerializeToString())
        file.flush()
        Recognizer.load(file.name)
