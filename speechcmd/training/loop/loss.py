"""The loss of a batch: soft targets, mixup, class weights, distillation, the size of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechcmd.arrays import FloatArray, IntArray
from speechcmd.training.loop.targets import AnswerTargets
from speechcmd.training.to_device import to_device

_LEAST = 1e-6


def soft_targets(labels: Tensor, n_labels: int, label_smoothing: float) -> Tensor:
    """Probabilities that a network shall give: most for the label, the rest spread over all.

    Label smoothing of Szegedy et al. (2016, arXiv 1512.00567). Shape: (batch,) -> (batch, n_labels).
    """
    hard = functional.one_hot(labels, n_labels).float()
    return hard * (1 - label_smoothing) + label_smoothing / n_labels


@dataclass(frozen=True)
class Mixture:
    """How clips of a batch are mixed in pairs: `partner` (batch,) and the clip's own share (batch, 1)."""

    partner: Tensor
    share: Tensor

    def mix(self, values: Tensor) -> Tensor:
        """Each clip's values with its partner's. Shape: (batch, ...) -> the same."""
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        return share * values + (1 - share) * values[self.partner]


def draw_mixture(
    alpha: float, n_clips: int, device: torch.device, rng: np.random.Generator
) -> Mixture | None:
    """Pairs and shares of mixup (Zhang et al. 2018, arXiv 1710.09412); None if it is off.

    The own share is at least one half, so that the clip's own label is the right answer.
    """
    if not alpha:
        return None
    share = rng.beta(alpha, alpha, size=(n_clips, 1)).astype(np.float32)
    partner = rng.permutation(n_clips)
    return Mixture(to_device(partner, device), to_device(np.maximum(share, 1 - share), device))


def class_weights(counts: IntArray, balance: float) -> FloatArray:
    """Weight of each label's clips: (1 / count) ** balance, on average 1 over the clips.

    With `balance` 0 clips count alike, with 1 labels do. A label without clips weighs nothing.
    Shape: (n_labels,) -> (n_labels,).
    """
    there = counts > 0
    weights = np.zeros(len(counts))
    weights[there] = counts[there].astype(np.float64) ** -balance
    weights *= counts.sum() / (weights * counts).sum()
    return weights.astype(np.float32)


def answer_losses(
    logits: Tensor, targets: Tensor, asked: AnswerTargets, no_words: Tensor, focal: float
) -> Tensor:
    """Mean over the clips of the loss of each clip's answers; a row's sum of targets is its clip's weight.

    An answer that has the whole word in view is compared with the targets; one that has not shall be one of
    the labels `no_words` (their numbers), whichever. `focal` is the exponent of the focal loss
    (Lin et al. 2017, arXiv 1708.02002).
    Shape: (batch, n_steps, n_labels), (batch, n_labels), asked of (batch, n_steps), (n_no_words,) -> ().
    """
    log_scores = logits.log_softmax(dim=2)
    weight = targets.sum(dim=1, keepdim=True)
    whole = -(targets.unsqueeze(1) * log_scores).sum(dim=2)
    half = -weight * log_scores[..., no_words].logsumexp(dim=2)
    losses = torch.where(asked.label, whole, torch.where(asked.no_word, half, 0.0))
    if focal:
        missing = 1 - torch.exp(-losses / weight.clamp_min(_LEAST))
        losses = losses * missing.clamp_min(_LEAST) ** focal  # a root has no gradient at 0
    n_counted = (asked.label | asked.no_word).sum(dim=1)
    own = losses.sum(dim=1) / n_counted.clamp_min(1)
    return own.sum() / (weight.squeeze(1) * (n_counted > 0)).sum().clamp_min(_LEAST)


def distillation(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Divergence from a teacher's answers, both softened (Hinton et al. 2015, arXiv 1503.02531).

    Times the square of the temperature, so that gradients keep their size.
    Shape: (batch, n_labels) twice -> ().
    """
    wanted = functional.log_softmax(teacher_logits / temperature, dim=1)
    given = functional.log_softmax(logits / temperature, dim=1)
    divergence = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def weight_size(network: nn.Module) -> Tensor:
    """Sum of the sizes of all weights, without biases and norms: what `l1` multiplies. Shape: ()."""
    sizes = [parameter.abs().sum() for parameter in network.parameters() if parameter.ndim > 1]
    return torch.stack(sizes).sum()
