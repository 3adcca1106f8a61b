"""Networks of finished runs: to infer with, or to begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.errors import TrainingError
from speechcmd.labels import name_labels
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.settings.config import TrainConfig

_HEAD = ("head.weight", "head.bias")


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
    network = create_model(
        config.architecture, len(state["labels"]), state["n_samples"], config.frontend, **config.model
    )
    fill_network(network, state["network"])
    return network.eval()


def digest_weights(network: KeywordNetwork) -> str:
    """SHA-256 of all weights and statistics: a training knows its teacher by it."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def take_weights(network: KeywordNetwork, config: TrainConfig, labels: Sequence[str]) -> None:
    """Begin with the best weights of the run `config.initial`, its normalisation included.

    Of the last layer only the labels that both have; new labels begin anew.

    Raises
    ------
    TrainingError
        If the weights of that run do not fit, if it is of another fold, or shares no word.
    """
    run = Path(config.initial)
    state = load_checkpoint(run / BEST)
    begun = TrainConfig.from_json(state["config"])
    check_fold(run, begun, config.fold)
    fresh, weights = network.state_dict(), dict(state["network"])
    same = begun.architecture == config.architecture and _same_shapes(fresh, weights)
    if not same or not set(begun.words) & set(config.words):
        raise TrainingError(
            "expected a run of the same network with some of the same words to begin with, got "
            f"{begun.architecture} for {name_labels(state['labels'])} with {_settings_of(begun, state)}",
            path=run,
            advice="train without --initial",
        )
    for name in weights.keys() & set(_HEAD):
        weights[name] = _rows_of(labels, fresh[name], state["labels"], weights[name])
    fill_network(network, weights)


def _same_shapes(fresh: dict[str, Tensor], begun: dict[str, Tensor]) -> bool:
    """Whether the same weights have the same shapes; the last layer's depends on the labels too."""
    return fresh.keys() == begun.keys() and all(
        fresh[name].shape[1:] == begun[name].shape[1:]
        and (name in _HEAD or fresh[name].shape == begun[name].shape)
        for name in fresh
    )


def _settings_of(config: TrainConfig, state: dict[str, Any]) -> str:
    settings = [f"{name} = {value}" for name, value in config.model.items()]
    return ", ".join([f"windows of {state['n_samples']} samples", *settings])


def _rows_of(labels: Sequence[str], fresh: Tensor, begun: Sequence[str], learnt: Tensor) -> Tensor:
    """Rows of the last layer: learnt where the label was there, else fresh. Shape: that of `fresh`."""
    rows = [
        learnt[begun.index(label)] if label in begun else fresh[place] for place, label in enumerate(labels)
    ]
    return torch.stack(rows)


def check_fold(run: Path, begun: TrainConfig, fold: str) -> None:
    """Refuse a run of another fold: it was trained on speakers that this one is validated with.

    Raises
    ------
    TrainingError
        Naming both.
    """
    if begun.fold != fold:
        raise TrainingError(
            f"expected a run with fold = {fold!r}, got one with fold = {begun.fold!r}, which has "
            "heard speakers who are validated here",
            path=run,
            advice="train both with the same fold",
        )
