"""BC-ResNet: a two-dimensional and a one-dimensional path joined by broadcasting.

After "Broadcasted Residual Learning for Efficient Keyword Spotting" (Kim, Chang, Lee, Sung 2021, arXiv
2106.04140). Same layers and trained weights as the paper's; ours differs in the log-mel bands (0 to 4000 Hz)
and in that padding along time is a setting, off by default: then a window is at least 125 frames (1.27 s),
the 117 that one frame at the end sees and eight more to average, and a long recording costs one pass. One
output each 40 ms, as everywhere here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.convolutional import PooledNetwork, centre_frames, channels_last
from models.frontend import FrontEndConfig
from models.network import nearest_on_grid

_BASE_CHANNELS = 8
_BLOCKS = (2, 2, 4, 4)
# of each stage: channels (in units of the base), stride along frequency, dilation along time
_STAGES = ((1.0, 1, 1), (1.5, 2, 2), (2.0, 2, 4), (2.5, 1, 8))
_FIRST = _LAST = 5
# least frames that the mean at the end goes over: with one the network learns far more slowly
_AVERAGED_FRAMES = 9
_SUB_BANDS = 5
_SMALLEST_PADDED = 20


class BcResNet(PooledNetwork):
    """A 5 x 5 convolution, four stages of broadcasted residual blocks, a separable convolution, mean, linear.

    `tau` multiplies the channels: the paper's networks are 1, 1.5, 2, 3, 6 and 8. `n_blocks` of each stage.
    `block_dropout` leaves out channels of the one-dimensional path, `dropout` features of the embedding.
    """

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        tau: float = 1.0,
        n_blocks: Sequence[int] = _BLOCKS,
        time_padding: bool = False,
        block_dropout: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        base = round(_BASE_CHANNELS * tau)
        super().__init__(
            n_labels,
            window_frames,
            frontend,
            n_features=4 * base,
            dropout=dropout,
            seen_frames=_seen_frames(n_blocks),
            frame_stride=1,
            time_padding=time_padding,
        )
        self.first = nn.Conv2d(1, 2 * base, _FIRST, (1, 2), (2 * time_padding, 2), bias=False)
        self.first_norm = nn.Sequential(nn.BatchNorm2d(2 * base), nn.ReLU(inplace=True))
        blocks = []
        n_in, n_bands = 2 * base, -(-frontend.n_mels // 2)
        for (times, stride, dilation), n_of_stage in zip(_STAGES, n_blocks, strict=True):
            n_out = int(base * times)
            n_bands = -(-n_bands // stride)
            for k in range(n_of_stage):
                blocks.append(
                    _Block(n_in, n_out, stride if k == 0 else 1, dilation, time_padding, block_dropout)
                )
                n_in = n_out
        if n_bands % _SUB_BANDS:
            raise ValueError(f"expected a multiple of 40 mel bands, got {frontend.n_mels}")
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(
            nn.Conv2d(n_in, n_in, (_LAST, n_bands), padding=(2 * time_padding, 0), groups=n_in, bias=False),
            nn.Conv2d(n_in, 4 * base, 1, bias=False),
            nn.BatchNorm2d(4 * base),
            nn.ReLU(inplace=True),
        )

    @classmethod
    def fit_window(
        cls, n_frames: int, n_blocks: Sequence[int] = _BLOCKS, time_padding: bool = False, **settings: Any
    ) -> int:
        smallest = _SMALLEST_PADDED if time_padding else _seen_frames(n_blocks) + _AVERAGED_FRAMES - 1
        return nearest_on_grid(n_frames, smallest, cls.step_frames)

    def encode(self, normalised: Tensor) -> Tensor:
        image = channels_last(self.first(normalised.unsqueeze(1)))  # (batch, channels, time, bands)
        encoded: Tensor = self.last(self.blocks(self.first_norm(image)))
        return encoded.squeeze(3)


def _seen_frames(n_blocks: Sequence[int]) -> int:
    """Frames that one output depends on."""
    return _FIRST + _LAST - 1 + 2 * sum(n * stage[2] for n, stage in zip(n_blocks, _STAGES, strict=True))


class _Block(nn.Module):
    """Frequency on the whole image, time on its mean over bands, which is added to every band."""

    def __init__(
        self, n_in: int, n_out: int, stride: int, dilation: int, time_padding: bool, dropout: float
    ) -> None:
        super().__init__()
        self.change = nn.Identity() if n_in == n_out else _pointwise(n_in, n_out)
        self.residual = n_in == n_out
        self.frequency = nn.Conv2d(
            n_out, n_out, (1, 3), (1, stride), padding=(0, 1), groups=n_out, bias=False
        )
        self.norm = SubSpectralNorm(n_out)
        self.margin = 0 if time_padding else dilation
        padding = (0, dilation if time_padding else 0)
        self.time = nn.Sequential(
            nn.Conv2d(n_out, n_out, (1, 3), 1, padding, (1, dilation), n_out, bias=False),
            nn.BatchNorm2d(n_out),
            nn.SiLU(inplace=True),
            nn.Conv2d(n_out, n_out, 1, bias=False),
            nn.Dropout2d(dropout),
        )

    def forward(self, image: Tensor) -> Tensor:
        bands = self.norm(self.frequency(self.change(image)))
        means = bands.mean(dim=3).unsqueeze(2)  # (batch, channels, 1, time): the faster way round
        joined = centre_frames(bands, self.margin, dim=2) + self.time(means).transpose(2, 3)
        if self.residual:
            joined = joined + centre_frames(image, self.margin, dim=2)
        return torch.relu(joined)


class SubSpectralNorm(nn.Module):
    """Batch norm with values of its own for each fifth of the bands (Chang et al. 2021, arXiv 2103.13620)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels * _SUB_BANDS)

    def forward(self, image: Tensor) -> Tensor:
        if not self.training:
            return self._fixed(image)
        # (batch, time, band in its fifth, fifth, channel): with five bands that is how it lies in memory
        n_bands, n_channels = image.shape[3], image.shape[1]
        split = (_SUB_BANDS, n_bands // _SUB_BANDS)
        grouped = torch.unflatten(image.permute(0, 2, 3, 1), 2, split).transpose(2, 3)
        normalised: Tensor = self.norm(grouped.flatten(3).permute(0, 3, 1, 2))
        apart = torch.unflatten(normalised.permute(0, 2, 3, 1), 3, (_SUB_BANDS, n_channels))
        return apart.transpose(2, 3).flatten(2, 3).permute(0, 3, 1, 2)

    def _fixed(self, image: Tensor) -> Tensor:
        """What batch norm is once its statistics are fixed: a factor and an offset for each band."""
        state = dict(self.norm.named_buffers())
        factor = self.norm.weight / torch.sqrt(state["running_var"] + self.norm.eps)
        offset = self.norm.bias - state["running_mean"] * factor
        n_bands, n_channels = image.shape[3], image.shape[1]
        return image * _of_bands(factor, n_channels, n_bands) + _of_bands(offset, n_channels, n_bands)


def _pointwise(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


def _of_bands(values: Tensor, n_channels: int, n_bands: int) -> Tensor:
    """Spread values of each fifth. Shape: (fifths * n_channels,) -> (n_channels, 1, n_bands)."""
    by_fifth = values.reshape(_SUB_BANDS, n_channels).t()
    return by_fifth.repeat_interleave(n_bands // _SUB_BANDS, dim=1).unsqueeze(1)
