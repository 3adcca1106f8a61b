"""Networks of finished runs: to begin with, or to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.errors import TrainingError
from speechcmd.training.checkpoint import BEST, load_checkpoint
from speechcmd.training.config import TrainConfig


def fill_network(network: KeywordNetwork, weights: dict[str, Any]) -> None:
    """Give a network the weights of a checkpoint.

    Raises
    ------
    TrainingError
        If it was another version's network that they are of.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(
            f"the weights of the checkpoint do not fit the {type(network).__name__} of this version; use the "
            "version that trained it"
        ) from error


def load_network(state: dict[str, Any]) -> KeywordNetwork:
    """The network of a checkpoint, ready to infer."""
    config = TrainConfig.from_json(state["config"])
    network = create_model(config.architecture, len(state["labels"]), state["n_samples"], **config.model)
    fill_network(network, state["network"])
    return network.eval()


def digest_weights(network: KeywordNetwork) -> str:
    """SHA-256 of all weights and statistics: a training tells by it whether its teacher is the same."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def load_teacher(run: Path, labels: Sequence[str], fold: str) -> KeywordNetwork:
    """The best network of a run, to learn from: frozen, of any architecture and window.

    Raises
    ------
    TrainingError
        If there is none, or it has other labels or was trained with another `fold`.
    """
    state = load_checkpoint(run / BEST)
    _check_fold(run, TrainConfig.from_json(state["config"]), fold)
    if state["labels"] != list(labels):
        raise TrainingError(
            f"{run}: expected a teacher for {', '.join(labels)}, got one for {', '.join(state['labels'])}"
        )
    return load_network(state).requires_grad_(False)


def take_weights(network: KeywordNetwork, config: TrainConfig, labels: Sequence[str]) -> None:
    """Begin with the best weights of the run `config.initial`, its normalisation included.

    Raises
    ------
    TrainingError
        If that run is of another network, other labels, another window or another fold.
    """
    run = Path(config.initial)
    state = load_checkpoint(run / BEST)
    begun = TrainConfig.from_json(state["config"])
    _check_fold(run, begun, config.fold)
    asked = TrainConfig.from_json(config.to_json())  # lists where JSON has lists
    same = (begun.architecture, begun.model) == (asked.architecture, asked.model)
    if not same or (state["labels"], state["n_samples"]) != (list(labels), network.window_samples):
        raise TrainingError(
            f"{run}: expected a run of the same network, labels and window to begin with, got "
            f"{begun.architecture} for {', '.join(state['labels'])} with windows of {state['n_samples']} "
            "samples; train without --initial"
        )
    fill_network(network, state["network"])


def _check_fold(run: Path, begun: TrainConfig, fold: str) -> None:
    """Another fold was trained on speakers that this one is validated with."""
    if begun.fold != fold:
        raise TrainingError(
            f"{run}: expected a run with fold = {fold!r}, got one with fold = {begun.fold!r}, which "
            "has heard speakers who are validated here; train both with the same fold"
        )
