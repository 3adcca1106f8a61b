"""Networks of finished runs: to begin with, or to learn from."""

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
from speechcmd.labels import UNKNOWN, name_labels
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
    """SHA-256 of all weights and statistics: a training tells by it whether its teacher is the same."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


class Teacher:
    """A frozen network whose answers are learnt from. Words that the student has not are its `_unknown_`.

    `late_ms` is how much later than in the middle of its windows it knows words.
    """

    def __init__(
        self, network: KeywordNetwork, own: Sequence[str], asked: Sequence[str], late_ms: float = 0.0
    ) -> None:
        self.late_ms = late_ms
        self.network = network.eval().requires_grad_(False)
        unknown = list(asked).index(UNKNOWN)
        places = {label: place for place, label in enumerate(asked)}
        self._place = torch.tensor([places.get(label, unknown) for label in own])
        self._n_labels = len(asked)

    def answer(self, log_mel: Tensor) -> Tensor:
        """Logits of the student's labels: of labels that become one, the sum of their scores.

        Shape: (batch, n_frames, n_mels) -> (batch, n_steps, n_labels).
        """
        scores = self.network.to(log_mel.device).classify(log_mel).float().log_softmax(dim=2)
        if len(self._place) == self._n_labels:
            return scores[..., self._place.argsort().to(scores.device)]
        parts = [scores[..., self._place == label].logsumexp(dim=2) for label in range(self._n_labels)]
        return torch.stack(parts, dim=2)


def load_teacher(run: Path, labels: Sequence[str], fold: str) -> Teacher:
    """The best network of a run, to learn from: of any architecture and window, with these labels or more.

    Raises
    ------
    TrainingError
        If there is none, or it lacks a label or was trained with another `fold`.
    """
    state = load_checkpoint(run / BEST)
    config = TrainConfig.from_json(state["config"])
    _check_fold(run, config, fold)
    if missing := [label for label in labels if label not in state["labels"]]:
        raise TrainingError(
            f"{run}: expected a teacher for {name_labels(labels)}, got one without {name_labels(missing)}"
        )
    return Teacher(load_network(state), state["labels"], labels, config.augment.late_ms)


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
    _check_fold(run, begun, config.fold)
    fresh, weights = network.state_dict(), dict(state["network"])
    same = begun.architecture == config.architecture and _same_shapes(fresh, weights)
    if not same or not set(begun.words) & set(config.words):
        raise TrainingError(
            f"{run}: expected a run of the same network with some of the same words to begin with, got "
            f"{begun.architecture} for {name_labels(state['labels'])} with {_settings_of(begun, state)}; "
            "train without --initial"
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


def _check_fold(run: Path, begun: TrainConfig, fold: str) -> None:
    """Another fold was trained on speakers that this one is validated with."""
    if begun.fold != fold:
        raise TrainingError(
            f"{run}: expected a run with fold = {fold!r}, got one with fold = {begun.fold!r}, which "
            "has heard speakers who are validated here; train both with the same fold"
        )
