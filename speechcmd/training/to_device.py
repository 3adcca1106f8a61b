"""Small arrays on their way to a device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechcmd.arrays import AnyArray


def to_device(values: AnyArray, device: torch.device) -> Tensor:
    """An array as a tensor on a device; a GPU goes on with its work meanwhile, nothing waits."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
