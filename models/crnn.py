"""One convolution, two bidirectional GRU layers and a dense layer over the window.

After "Convolutional Recurrent Neural Networks for Small-Footprint Keyword Spotting" (Arik et al. 2017,
arXiv 1703.05390): 32 kernels of 20 frames by 5 bands, 32 units in each direction, a dense layer of 64
over all outputs of a window. Differences: stride 4 in time instead of 8, so that a step is 40 ms; no
padding along time, so that all windows share the convolution; log-mel instead of per-channel energy
normalisation; the window of the task instead of 1.5 s; batch norm after convolution and dense layer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid, unfold_windows

_KERNEL_FRAMES = 20
_KERNEL_BANDS = 5


class Crnn(KeywordNetwork):
    """An unpadded convolution, bidirectional GRU layers over each window, a dense layer, linear."""

    kind = "windowed"
    step_frames: ClassVar[int] = 4

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        channels: int = 32,
        hidden: int = 32,
        width: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, width, dropout, frontend)
        kernel = (_KERNEL_FRAMES, _KERNEL_BANDS)
        # padded along frequency only
        self.conv = nn.Sequential(
            nn.Conv2d(1, channels, kernel, (self.step_frames, 2), (0, _KERNEL_BANDS // 2), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        n_bands = -(-frontend.n_mels // 2)
        self.gru = nn.GRU(channels * n_bands, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.unfolded_frames = (window_frames - _KERNEL_FRAMES) // self.step_frames + 1
        self.dense = nn.Sequential(
            nn.Linear(self.unfolded_frames * 2 * hidden, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()
        )

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        # two outputs of the convolution: below that nothing recurs
        return nearest_on_grid(n_frames, _KERNEL_FRAMES + cls.step_frames, cls.step_frames)

    def embed(self, normalised: Tensor) -> Tensor:
        image = self.conv(normalised.unsqueeze(1))  # (batch, channels, time, bands)
        windows = unfold_windows(image.transpose(1, 2).flatten(2), self.unfolded_frames)
        outputs, _ = self.gru(windows.flatten(0, 1))
        embedding: Tensor = self.dense(outputs.flatten(1)).unflatten(0, windows.shape[:2])
        return embedding
