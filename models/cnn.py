"""A convolutional network: 2-D convolutions over time and frequency, then dilated ones over time.

After the small-footprint networks of Sainath and Parada (2015, "Convolutional neural networks for
small-footprint keyword spotting") with the temporal residual blocks of TC-ResNet (Choi et al. 2019,
arXiv 1904.03814), here without padding along time, so that a long recording costs one pass.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convolutional import band_convolution
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid

_IMAGE_FRAMES = 13  # frames that one output of the 2-D part sees
_FEWEST_BLOCKS_FRAMES = 9  # what four blocks without dilation need


class Cnn(KeywordNetwork):
    """Three 2-D convolutions (stride 4 in time, 8 in frequency), temporal residual blocks, mean, linear."""

    kind = "sliding"
    step_frames: ClassVar[int] = 4

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        channels: Sequence[int] = (16, 32, 64),
        width: int = 96,
        dilations: Sequence[int] = (1, 1, 2, 2),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, width, dropout, frontend)
        first, second, third = channels
        self.image = nn.Sequential(
            _conv2d(1, first, 5, stride=(2, 2)),
            _conv2d(first, second, 3, stride=(1, 2)),
            _conv2d(second, third, 3, stride=(2, 2)),
        )
        self.n_bands = -(-frontend.n_mels // 8)
        self.mix: _Mix | _MixForExport = _Mix(
            nn.Conv1d(third * self.n_bands, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )
        n_frames = (window_frames - _IMAGE_FRAMES) // self.step_frames + 1
        fitted = fit_dilations(n_frames, dilations)
        self.temporal = nn.Sequential(*(_TemporalBlock(width, dilation) for dilation in fitted))
        self.pooled_frames = n_frames - 2 * sum(fitted)
        if self.pooled_frames < 1:
            raise ValueError(
                f"{len(fitted)} temporal blocks need a longer window than {window_frames} frames"
            )

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        smallest = _IMAGE_FRAMES + cls.step_frames * (_FEWEST_BLOCKS_FRAMES - 1)
        return nearest_on_grid(n_frames, smallest, cls.step_frames)

    def embed(self, normalised: Tensor) -> Tensor:
        image = self.image(normalised.unsqueeze(1))  # (batch, channels, time, bands)
        sequence = self.temporal(self.mix(image))
        # the mean over a window, for every window at once
        return functional.avg_pool1d(sequence, self.pooled_frames, stride=1).transpose(1, 2)

    def for_export(self) -> KeywordNetwork:
        exported = copy.deepcopy(self)
        if isinstance(self.mix, _Mix):
            exported.mix = _MixForExport(self.mix, self.n_bands)
        return exported


class _Mix(nn.Sequential):
    """All channels and bands of a frame, mixed.

    Shape: (batch, channels, time, bands) -> (batch, width, time).
    """

    def forward(self, image: Tensor) -> Tensor:
        mixed = image.transpose(2, 3).flatten(1, 2)
        for layer in self:
            mixed = layer(mixed)
        return mixed


class _MixForExport(nn.Module):
    """The same without a transposed copy, which takes longer in 8 bits than the products themselves."""

    def __init__(self, mix: _Mix, n_bands: int) -> None:
        super().__init__()
        weight = mix[0].get_parameter("weight").squeeze(2)
        self.convolution = band_convolution(weight, None, n_bands)
        self.norm = nn.BatchNorm2d(len(weight))
        self.norm.load_state_dict(mix[1].state_dict())

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(image)).squeeze(3))


class _TemporalBlock(nn.Module):
    """Convolution over time without padding, added to the centre of its input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, sequence: Tensor) -> Tensor:
        centre = sequence[:, :, self.dilation : -self.dilation]
        return torch.relu(self.norm(self.conv(sequence)) + centre)


def _conv2d(n_in: int, n_out: int, size: int, stride: tuple[int, int]) -> nn.Sequential:
    # padding along frequency only: along time it would make a window differ from its place in a recording
    conv = nn.Conv2d(n_in, n_out, size, stride=stride, padding=(0, size // 2), bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())


def fit_dilations(n_frames: int, dilations: Sequence[int]) -> tuple[int, ...]:
    """Shrink the largest dilations until the blocks leave at least one of `n_frames` frames.

    >>> fit_dilations(14, (1, 1, 2, 2)), fit_dilations(9, (1, 1, 2, 2))
    ((1, 1, 2, 2), (1, 1, 1, 1))
    """
    fitted = list(dilations)
    while 2 * sum(fitted) >= n_frames and max(fitted) > 1:
        fitted[fitted.index(max(fitted))] -= 1
    return tuple(sorted(fitted))
