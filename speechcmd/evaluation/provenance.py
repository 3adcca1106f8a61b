"""What every result says of itself: the model, the command, the versions, the day."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from speechcmd import __version__
from speechcmd.runtime.model.card import DataSource, ModelCard
from speechcmd.runtime.model.model_file import read_model_bytes
from speechcmd.runtime.model.session import engine_version

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class MeasuredModel:
    """A model as results name it: what its card says, and the digest of its file."""

    name: str
    architecture: str
    parameters: int
    labels: tuple[str, ...]
    sample_rate: int
    """In Hz."""
    window_s: float
    step_s: float
    temperature: float
    thresholds: dict[str, float]
    """Of each word."""
    smoothing_s: float
    measured_on: str
    """What the thresholds were measured on, in words."""
    data: tuple[DataSource, ...]
    licence: str
    tool_version: str
    sha256: str
    """Of the model file."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What was measured, how and when: the fields that all results share."""

    schema: int
    model: MeasuredModel
    command: str
    versions: dict[str, str]
    """Of speechcmd, of what it needs, and of the platform."""
    date: str
    """ISO 8601, in UTC."""


def describe_run(
    card: ModelCard,
    model: bytes | str | os.PathLike[str] | None,
    command: Sequence[str] | None = None,
) -> Provenance:
    """Say what is measured now.

    Parameters
    ----------
    model
        The model file: its bytes, its path, the name of a released model, or None for the default.
    command
        Words of the command line; None for the one that this program was started with.

    Raises
    ------
    ModelError
        If the model file cannot be read.
    """
    model_bytes = model if isinstance(model, bytes) else read_model_bytes(model)
    words = ["speechcmd", *sys.argv[1:]] if command is None else list(command)
    return Provenance(
        schema=SCHEMA,
        model=_describe_model(card, model_bytes),
        command=shlex.join(words),
        versions={
            "speechcmd": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": engine_version(),
            "platform": platform.platform(),
        },
        date=datetime.now(UTC).date().isoformat(),
    )


def _describe_model(card: ModelCard, model_bytes: bytes) -> MeasuredModel:
    return MeasuredModel(
        name=card.name,
        architecture=card.architecture,
        parameters=card.parameters,
        labels=card.labels,
        sample_rate=card.sample_rate,
        window_s=card.window_s,
        step_s=card.step_s,
        temperature=card.temperature,
        thresholds={word: card.decoder.of(word).threshold for word in card.words},
        smoothing_s=card.decoder.smoothing_steps * card.step_s,
        measured_on=card.measured_on,
        data=card.data,
        licence=card.licence,
        tool_version=card.tool_version,
        sha256=hashlib.sha256(model_bytes).hexdigest(),
    )
