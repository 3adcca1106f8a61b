"""A moving average of the weights: what is validated and exported where it is on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def make_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential average of a network's weights and norm statistics; None if `decay` is 0.

    Early on the decay is smaller, (1 + n) / (10 + n) after n steps, or the first weights would last.
    """
    if not decay:
        return None

    def average(kept: Tensors, new: Tensors, _: Tensor | int) -> None:
        """All tensors of one type at once."""
        if not kept[0].is_floating_point():
            torch._foreach_copy_(kept, new)
            return
        # not the number that is handed in: that lies on the GPU, and reading it would wait for it
        n_steps = float(averaged.n_averaged)
        torch._foreach_lerp_(kept, new, 1 - min(decay, (1 + n_steps) / (10 + n_steps)))

    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    return averaged
