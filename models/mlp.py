"""Fully connected layers over the whole window.

After the DNN of "Hello Edge: Keyword Spotting on Microcontrollers" (Zhang et al. 2017, arXiv
1711.07128): a flattened window, three hidden layers with ReLU. Theirs takes 10 MFCCs each 40 ms and
144 units (small); ours takes 40 log-mel bands averaged over 40 ms, 112 units, and batch norm. A dense
layer over a window is an unpadded convolution as long as the window, so a long recording costs one pass.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid


class Mlp(KeywordNetwork):
    """Mean over each four frames, three dense layers over the window, linear."""

    kind = "sliding"
    step_frames: ClassVar[int] = 4

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        hidden: int = 112,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, hidden, dropout, frontend)
        self.dense = nn.Sequential(
            *_dense(frontend.n_mels, hidden, window_frames // self.step_frames),
            *_dense(hidden, hidden, 1),
            *_dense(hidden, hidden, 1),
        )

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        return nearest_on_grid(n_frames, 2 * cls.step_frames, cls.step_frames)

    def embed(self, normalised: Tensor) -> Tensor:
        averaged = functional.avg_pool1d(normalised.transpose(1, 2), self.step_frames)
        embedding: Tensor = self.dense(averaged).transpose(1, 2)
        return embedding


def _dense(n_in: int, n_out: int, n_steps: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(n_in, n_out, n_steps, bias=False), nn.BatchNorm1d(n_out), nn.ReLU()
