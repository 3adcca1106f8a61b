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


# each with the settings that it takes beside the learning rate
OPTIMIZERS: dict[str, tuple[type[Optimizer], Callable[[TrainConfig], dict[str, Any]]]] = {
    "adamw": (torch.optim.AdamW, lambda _: {}),
    "adam": (torch.optim.Adam, lambda _: {}),
    "sgd": (torch.optim.SGD, lambda config: {"momentum": config.momentum, "nesterov": config.momentum > 0}),
    "rmsprop": (torch.optim.RMSprop, lambda config: {"momentum": config.momentum}),
}


def make_optimizer(network: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser of a training. Weights decay; biases and the scales of norms do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind, settings_of = OPTIMIZERS[config.optimizer]
    return kind(groups, lr=config.learning_rate, foreach=True, **settings_of(config))  # type: ignore[call-arg]


# the share of the highest rate that is left when a share of the training after the warm-up is done
SCHEDULES: dict[str, Callable[[float], float]] = {
    # half a cosine down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983)
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - done * (1 - SLOWEST),
    # a tenth after half of the training, a hundredth after three quarters (He et al. 2016)
    "step": lambda done: float(0.1 ** sum(done > step - 1e-9 for step in _STEPS)),
    "constant": lambda _: 1.0,
}


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """The learning rate after `epoch` epochs: a linear warm-up, then the schedule over the rest."""
    done = epoch / config.epochs
    warm = config.warmup_percent / 100
    if done < warm:
        return config.learning_rate * (done / warm * (1 - SLOWEST) + SLOWEST)
    return config.learning_rate * SCHEDULES[config.schedule]((done - warm) / (1 - warm) if warm < 1 else 1.0)
