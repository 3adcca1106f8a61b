"""Checkpoints: tensors and plain values only, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from speechcmd.errors import TrainingError
from speechcmd.files import open_binary

LAST = "last.pt"
BEST = "best.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint beside its place and rename it there: an older one survives any failure.

    Raises
    ------
    TrainingError
        If it cannot be written; the disk may be full.
    """
    try:
        with open_binary(path) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"the checkpoint cannot be written ({reason}); the last good one is kept",
            path=path,
            advice="free some space and run again with --resume",
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises
    ------
    TrainingError
        If it does not exist or is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError("no such checkpoint; expected the folder of a training run", path=path) from error
    except Exception as error:
        raise TrainingError(
            f"damaged or not a checkpoint of ours ({type(error).__name__})", path=path
        ) from error
    if not isinstance(state, dict) or "config" not in state:
        raise TrainingError(
            f"not a checkpoint of ours; expected the {LAST} or {BEST} of a training run", path=path
        )
    return state
