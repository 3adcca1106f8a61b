"""MatchboxNet: residual blocks of time-channel separable convolutions along time.

After "MatchboxNet: 1D Time-Channel Separable Convolutional Neural Network Architecture for Speech Commands
Recognition" (Majumdar, Ginsburg 2020, arXiv 2004.08531), BxRxC = 3x1x64. Ours differs in its input (40
log-mel bands, the paper's are 64 MFCC) and in that padding along time is a setting, off by default: then a
window is at least the 109 frames (1.1 s) that one output sees, and a long recording costs one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.convolutional import PooledNetwork, centre_frames
from models.frontend import FrontEndConfig
from models.network import nearest_on_grid

_PROLOGUE = 11
_EPILOGUE = 29
_EPILOGUE_DILATION = 2
_OUTER_CHANNELS = 128
_KERNELS = (13, 15, 17)
_SMALLEST_PADDED = 20


class MatchboxNet(PooledNetwork):
    """Prologue, a residual block for each of `kernels`, dilated epilogue, mean, linear.

    A block repeats its separable convolution `repeats` times (the paper's R) with `channels` channels (C).
    """

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        channels: int = 64,
        repeats: int = 1,
        kernels: Sequence[int] = _KERNELS,
        outer_channels: int = _OUTER_CHANNELS,
        time_padding: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            n_labels,
            window_frames,
            frontend,
            n_features=outer_channels,
            dropout=dropout,
            seen_frames=_seen_frames(kernels, repeats),
            frame_stride=1,
            time_padding=time_padding,
        )
        inner = [outer_channels, *(channels for _ in kernels)]
        self.body = nn.Sequential(
            _separable(frontend.n_mels, outer_channels, _PROLOGUE, time_padding),
            nn.ReLU(inplace=True),
            *(
                _Block(n_in, channels, kernel, repeats, time_padding)
                for n_in, kernel in zip(inner, kernels, strict=False)
            ),
            _separable(inner[-1], outer_channels, _EPILOGUE, time_padding, _EPILOGUE_DILATION),
            nn.ReLU(inplace=True),
            _pointwise(outer_channels, outer_channels),
            nn.ReLU(inplace=True),
        )

    @classmethod
    def fit_window(
        cls,
        n_frames: int,
        repeats: int = 1,
        kernels: Sequence[int] = _KERNELS,
        time_padding: bool = False,
        **settings: Any,
    ) -> int:
        smallest = _SMALLEST_PADDED if time_padding else _seen_frames(kernels, repeats)
        return nearest_on_grid(n_frames, smallest, cls.step_frames)

    def encode(self, normalised: Tensor) -> Tensor:
        # (batch, mel bands, 1, time) with the bands last in memory, as they come: fastest on a CPU
        encoded: Tensor = self.body(normalised.transpose(1, 2).unsqueeze(2))
        return encoded.squeeze(2)


class _Block(nn.Module):
    """Separable convolutions, added to a projection of the centre of their input."""

    def __init__(self, n_in: int, channels: int, kernel: int, repeats: int, time_padding: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [_separable(n_in, channels, kernel, time_padding)]
        for _ in range(repeats - 1):
            layers += [nn.ReLU(inplace=True), _separable(channels, channels, kernel, time_padding)]
        self.main = nn.Sequential(*layers)
        self.shortcut = _pointwise(n_in, channels)
        self.margin = 0 if time_padding else repeats * (kernel // 2)

    def forward(self, sequence: Tensor) -> Tensor:
        shortcut = self.shortcut(centre_frames(sequence, self.margin, dim=3))
        return torch.relu(self.main(sequence) + shortcut)


def _seen_frames(kernels: Sequence[int], repeats: int) -> int:
    inner = repeats * sum(kernel - 1 for kernel in kernels)
    return _PROLOGUE + inner + _EPILOGUE_DILATION * (_EPILOGUE - 1)


def _pointwise(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))


def _separable(n_in: int, n_out: int, kernel: int, time_padding: bool, dilation: int = 1) -> nn.Sequential:
    padding = (0, dilation * (kernel // 2) if time_padding else 0)
    depthwise = nn.Conv2d(
        n_in, n_in, (1, kernel), padding=padding, dilation=(1, dilation), groups=n_in, bias=False
    )
    return nn.Sequential(depthwise, _pointwise(n_in, n_out))
