"""What the convolutional architectures share: the mean over a window, and what helps them to be fast."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, unfold_windows


class PooledNetwork(KeywordNetwork):
    """A network whose embedding is the mean of the frames that `encode` gives in a window.

    Without padding along time it is "sliding": the frames of a long recording are computed once. With it
    a frame depends on where its window begins and ends, so each window is run on its own ("windowed").
    A subclass gives `encode`; `seen_frames` is how many frames one encoded frame sees, without padding,
    and `frame_stride` how many frames lie between two encoded ones (a divisor of `step_frames`).
    """

    kind = "sliding"
    step_frames = 4

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig,
        *,
        n_features: int,
        dropout: float,
        seen_frames: int,
        frame_stride: int,
        time_padding: bool,
    ) -> None:
        super().__init__(n_labels, window_frames, n_features, dropout, frontend)
        self.time_padding = time_padding
        self.kind = "windowed" if time_padding else "sliding"
        self.pool_stride = self.step_frames // frame_stride
        self.pooled_frames = (window_frames - seen_frames) // frame_stride + 1
        if not time_padding and self.pooled_frames < 1:
            raise ValueError(f"expected a window of at least {seen_frames} frames, got {window_frames}")

    def encode(self, normalised: Tensor) -> Tensor:
        """Features of each frame. Shape: (batch, n_frames, n_mels) -> (batch, n_features, n_encoded)."""
        raise NotImplementedError

    def embed(self, normalised: Tensor) -> Tensor:
        if self.time_padding:
            windows = unfold_windows(normalised, self.window_frames, self.step_frames)
            encoded = self.encode(windows.flatten(0, 1)).mean(dim=2)
            return torch.unflatten(encoded, 0, windows.shape[:2])
        # the mean over a window, for every window at once
        encoded = self.encode(normalised)
        return functional.avg_pool1d(encoded, self.pooled_frames, stride=self.pool_stride).transpose(1, 2)


def channels_last(image: Tensor) -> Tensor:
    """Lay the channels of a pixel side by side in memory: depthwise and 1 x 1 layers train far faster so."""
    return image.contiguous(memory_format=torch.channels_last)


def centre_frames(image: Tensor, margin: int, dim: int) -> Tensor:
    """Leave out `margin` frames at both ends of axis 2 or 3: what an unpadded convolution leaves.

    By a negative pad, whose gradient keeps the layout in memory; that of a slice would not.
    """
    if not margin:
        return image
    return functional.pad(image, (0, 0, -margin, -margin) if dim == 2 else (-margin, -margin))


def band_convolution(weight: Tensor, bias: Tensor | None, n_bands: int) -> nn.Conv2d:
    """A linear layer over the channels and bands of a frame, as a convolution as wide as all bands.

    It takes the image as it lies in memory and asks for no shape, so it exports to one operator.
    Shape of `weight`: (n_out, channels * n_bands); of the layer: (batch, channels, time, n_bands) ->
    (batch, n_out, time, 1).
    """
    kernel = weight.detach().reshape(len(weight), -1, 1, n_bands)
    convolution = nn.Conv2d(kernel.shape[1], len(kernel), (1, n_bands), bias=bias is not None)
    convolution.weight = nn.Parameter(kernel.contiguous())
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone())
    return convolution
