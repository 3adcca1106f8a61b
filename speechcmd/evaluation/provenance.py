"""What every result says of itself: the model, the command, the versions, the day."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from speechcmd import __version__
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.file import read_model_bytes
from speechcmd.runtime.model.session import engine_version

SCHEMA = 1


def describe_run(
    card: ModelCard,
    model: bytes | str | os.PathLike[str] | None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Fields that all results share: schema, model, command, versions, date.

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
    return {
        "schema": SCHEMA,
        "model": describe_model(card, model_bytes),
        "command": shlex.join(words),
        "versions": {
            "speechcmd": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "onnxruntime": engine_version(),
            "platform": platform.platform(),
        },
        "date": datetime.now(UTC).date().isoformat(),
    }


def describe_model(card: ModelCard, model_bytes: bytes) -> dict[str, Any]:
    """A model as results name it: what its card says, and the digest of its file."""
    return {
        "name": card.name,
        "architecture": card.architecture,
        "parameters": card.parameters,
        "labels": list(card.labels),
        "sample_rate": card.sample_rate,
        "window_s": card.window_s,
        "step_s": card.step_s,
        "temperature": card.temperature,
        "thresholds": {word: card.decoder.of(word).threshold for word in card.words},
        "smoothing_s": card.decoder.smoothing_steps * card.step_s,
        "measured_on": card.measured_on,
        "data": [asdict(source) for source in card.data],
        "licence": card.licence,
        "tool_version": card.tool_version,
        "sha256": hashlib.sha256(model_bytes).hexdigest(),
    }
