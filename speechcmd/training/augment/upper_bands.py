"""Bands above those that a store of images has: estimated from the bands below.

What a telephone leaves out can be estimated because it is not independent of what it passes (bandwidth
extension). Here each missing band is a linear function of all bands of the same frame, by least squares over
words of which there is audio: left empty, the bands would tell an image from audio at a glance.
"""

from __future__ import annotations

import torch
from torch import Tensor

_RIDGE = 1e-5  # added to the mean square of a band


class UpperBands:
    """A linear estimate of the upper bands.

    `weights` of each lower band and, last, a constant. Shape: (n_lower + 1, n_upper).
    """

    def __init__(self, weights: Tensor, lowest: float) -> None:
        self._weights = weights
        self._lowest = lowest

    @property
    def n_lower(self) -> int:
        """Bands that are given."""
        return len(self._weights) - 1

    @classmethod
    def learn(cls, log_mel: Tensor, n_lower: int, lowest: float) -> UpperBands:
        """From frames of which all bands are known; no estimate is below `lowest`. Shape: (n, n_mels)."""
        frames = log_mel.double()
        given = _with_one(frames[:, :n_lower])
        square = given.T @ given / len(given)
        square.diagonal().add_(_RIDGE)
        weights = torch.linalg.solve(square, given.T @ frames[:, n_lower:] / len(given))
        return cls(weights.float(), lowest)

    def extend(self, log_mel: Tensor) -> Tensor:
        """Shape: (batch, n_frames, n_lower or more) -> (batch, n_frames, n_mels)."""
        given = log_mel[..., : self.n_lower]
        with torch.autocast(log_mel.device.type, enabled=False):
            upper = _with_one(given) @ self._weights.to(given)
        return torch.cat([given, upper.clamp_min_(self._lowest)], dim=-1)


def _with_one(frames: Tensor) -> Tensor:
    return torch.cat([frames, torch.ones_like(frames[..., :1])], dim=-1)
