"""A teacher: the frozen network of a finished run, whose answers are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.network import KeywordNetwork
from speechcmd.errors import TrainingError
from speechcmd.labels import UNKNOWN, name_labels
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trained_network import check_fold, load_network
from speechcmd.training.settings.config import TrainConfig


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
    check_fold(run, config, fold)
    if missing := [label for label in labels if label not in state["labels"]]:
        raise TrainingError(
            f"expected a teacher for {name_labels(labels)}, got one without {name_labels(missing)}", path=run
        )
    return Teacher(load_network(state), state["labels"], labels, config.augment.late_ms)
