"""Optimisers and schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from speechcmd.training.settings.config import TrainConfig

SLOWEST = 0.01  # of the highest learning rate: where the warm-up begins and what "linear" and "step" keep
_STEPS = (0.5, 0.75)


def _sgd(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    return torch.optim.SGD(
        groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0, foreach=True
    )


def _adam(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    return torch.optim.Adam(groups, lr=config.learning_rate, foreach=True)


def _adamw(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    return torch.optim.AdamW(groups, lr=config.learning_rate, foreach=True)


def _rmsprop(groups: list[dict[str, Any]], config: TrainConfig) -> Optimizer:
    return torch.optim.RMSprop(groups, lr=config.learning_rate, momentum=config.momentum, foreach=True)


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]], TrainConfig], Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}


def make_optimizer(network: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser of a training. Weights decay; biases and the scales of norms do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return OPTIMIZERS[config.optimizer](groups, config)


def _cosine(done: float) -> float:
    """Half a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _linear(done: float) -> float:
    return 1 - done * (1 - SLOWEST)


def _step(done: float) -> float:
    """A tenth after half of the training, a hundredth after three quarters (He et al. 2016)."""
    return float(0.1 ** sum(done > step - 1e-9 for step in _STEPS))


def _constant(done: float) -> float:
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "step": _step,
    "constant": _constant,
}


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """The learning rate after `epoch` epochs: a linear warm-up, then the schedule over the rest."""
    done = epoch / config.epochs
    warm = config.warmup_percent / 100
    if done < warm:
        return config.learning_rate * (done / warm * (1 - SLOWEST) + SLOWEST)
    return config.learning_rate * SCHEDULES[config.schedule]((done - warm) / (1 - warm) if warm < 1 else 1.0)
