"""TC-ResNet8: convolutions along time with the mel bands as channels.

After "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices" (Choi et al. 2019, arXiv
1904.03814). Ours differs in its input: the paper hears 40 MFCC, here they are 40 log-mel bands. One output
sees 171 frames without padding (1.7 s) and lies 8 frames (80 ms) from the next, so a window is padded as
in the paper and each is run on its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from models.convolutional import PooledNetwork
from models.frontend import FrontEndConfig
from models.network import nearest_on_grid

_CHANNELS = (16, 24, 32, 48)
_KERNEL = 9
_SMALLEST_WINDOW = 20


class TcResNet(PooledNetwork):
    """A convolution of 3 frames, three residual blocks of 9 with stride 2, mean, linear.

    `width` multiplies the channels: 1.5 is the paper's TC-ResNet8-1.5.
    """

    kind = "windowed"

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        channels = [round(width * n) for n in _CHANNELS]
        super().__init__(
            n_labels,
            window_frames,
            frontend,
            n_features=channels[-1],
            dropout=dropout,
            seen_frames=1,
            frame_stride=1,
            time_padding=True,
        )
        self.first = nn.Sequential(_conv(frontend.n_mels, channels[0], 3), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(_Block(n_in, n_out) for n_in, n_out in pairwise(channels)))

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        return nearest_on_grid(n_frames, _SMALLEST_WINDOW, cls.step_frames)

    def encode(self, normalised: Tensor) -> Tensor:
        encoded: Tensor = self.blocks(self.first(normalised.transpose(1, 2)))
        return encoded


class _Block(nn.Module):
    """Two convolutions, added to a projection of their input."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            _conv(n_in, n_out, _KERNEL, stride=2), nn.ReLU(inplace=True), _conv(n_out, n_out, _KERNEL)
        )
        self.shortcut = nn.Sequential(_conv(n_in, n_out, 1, stride=2), nn.ReLU(inplace=True))

    def forward(self, sequence: Tensor) -> Tensor:
        return torch.relu(self.main(sequence) + self.shortcut(sequence))


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv1d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(n_out))
