"""A convolutional stem and a bidirectional GRU over each window.

After the recurrent networks of "Hello Edge" (Zhang et al. 2017, arXiv 1711.07128) and the CRNN of
Arik et al. (2017, arXiv 1703.05390). A recurrent state depends on where it began, so each window is
run on its own; log-mel and stem are computed once for a long recording and shared by all windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid, unfold_windows

_STEM_FRAMES = 9  # frames that one output of the stem sees
_SMALLEST_WINDOW = _STEM_FRAMES + 4 * 3


class Gru(KeywordNetwork):
    """Two unpadded convolutions with stride 2, a linear layer, a bidirectional GRU, mean, linear."""

    kind = "windowed"
    step_frames: ClassVar[int] = 4

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        channels: Sequence[int] = (32, 48),
        width: int = 128,
        hidden: int = 96,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, 2 * hidden, dropout, frontend)
        first, second = channels
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=(0, 2), bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=(0, 1), bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
        )
        n_bands = -(-frontend.n_mels // 4)
        self.mix = nn.Sequential(nn.Linear(second * n_bands, width), nn.LayerNorm(width), nn.ReLU())
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.unfolded_frames = (window_frames - _STEM_FRAMES) // self.step_frames + 1

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        return nearest_on_grid(n_frames, _SMALLEST_WINDOW, cls.step_frames)

    def embed(self, normalised: Tensor) -> Tensor:
        image = self.stem(normalised.unsqueeze(1))  # (batch, channels, time, bands)
        sequence = self.mix(image.permute(0, 2, 1, 3).flatten(2))
        windows = unfold_windows(sequence, self.unfolded_frames)
        outputs, _ = self.gru(windows.flatten(0, 1))
        embedding: Tensor = outputs.mean(dim=1).unflatten(0, windows.shape[:2])
        return embedding
