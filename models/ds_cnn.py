"""DS-CNN: depthwise-separable convolutions.

After DS-CNN-S of "Hello Edge: Keyword Spotting on Microcontrollers" (Zhang, Suda, Lai, Chandra 2017, arXiv
1711.07128). The paper hears 10 MFCC each 20 ms, its first convolution is 10 x 4 with stride (2, 2) and all
are padded. Here the input is 40 log-mel bands each 10 ms: the first convolution is 20 x 8 with stride (4, 4),
which is as long in time and again gives a frame each 40 ms. Padding along time is a setting, off by default.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from models.convolutional import PooledNetwork, channels_last
from models.frontend import FrontEndConfig
from models.network import nearest_on_grid

_FIRST = (20, 8)  # frames, bands
_STRIDE = 4


class DsCnn(PooledNetwork):
    """A convolution with stride 4, depthwise-separable 3 x 3 blocks, mean over bands and frames, linear."""

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        channels: int = 64,
        n_blocks: int = 4,
        time_padding: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            n_labels,
            window_frames,
            frontend,
            n_features=channels,
            dropout=dropout,
            seen_frames=_seen_frames(n_blocks),
            frame_stride=_STRIDE,
            time_padding=time_padding,
        )
        padding = ((_FIRST[0] - _STRIDE) // 2 if time_padding else 0, (_FIRST[1] - _STRIDE) // 2)
        self.first = nn.Conv2d(1, channels, _FIRST, _STRIDE, padding, bias=False)
        self.first_norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(_separable_block(channels, time_padding) for _ in range(n_blocks)))

    @classmethod
    def fit_window(cls, n_frames: int, n_blocks: int = 4, time_padding: bool = False, **settings: Any) -> int:
        smallest = _FIRST[0] if time_padding else _seen_frames(n_blocks)
        return nearest_on_grid(n_frames, smallest, cls.step_frames)

    def encode(self, normalised: Tensor) -> Tensor:
        image = channels_last(self.first(normalised.unsqueeze(1)))  # (batch, channels, time, bands)
        encoded: Tensor = self.blocks(self.first_norm(image))
        return encoded.mean(dim=3)


def _seen_frames(n_blocks: int) -> int:
    return _FIRST[0] + 2 * _STRIDE * n_blocks


def _separable_block(channels: int, time_padding: bool) -> nn.Sequential:
    padding = (int(time_padding), 1)
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=padding, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
