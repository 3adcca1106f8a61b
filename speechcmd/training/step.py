"""One training step as a module: features, SpecAugment, network, loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import KeywordNetwork
from speechcmd.training.augment import AugmentConfig, spec_augment
from speechcmd.training.random import generator_for, torch_seed_for


class TrainingStep(nn.Module):
    """Wraps a network so that one `forward` gives the loss: what a distributed wrapper needs."""

    def __init__(
        self, network: KeywordNetwork, augment: AugmentConfig, label_smoothing: float, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self._augment = augment
        self._label_smoothing = label_smoothing
        self._seed = seed

    def forward(self, waveform: Tensor, labels: Tensor, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Loss and the number of right answers, both (). `waveform`: (batch, window_samples)."""
        torch.manual_seed(torch_seed_for("dropout", self._seed, epoch, number))
        with torch.no_grad():
            log_mel = self.network.features(waveform)
            rng = generator_for("spec_augment", self._seed, epoch, number)
            log_mel = spec_augment(log_mel, self.network.mel_mean, self._augment, rng)
        logits = self.network.classify(log_mel)[:, 0].float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._label_smoothing)
        return loss, (logits.argmax(dim=1) == labels).sum()
