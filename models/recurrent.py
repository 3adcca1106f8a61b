"""What the plain recurrent baselines share: stacked frames, one layer, the last state."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid, unfold_windows


class StackedRecurrent(KeywordNetwork):
    """A recurrent layer over each window; four frames side by side are one time step.

    Stacks begin every `step_frames` frames of a recording, so a window begins where a stack does. A
    subclass makes `recurrent` (batch first); the last output of a window is its embedding.
    """

    kind = "windowed"
    step_frames: ClassVar[int] = 4
    recurrent: nn.RNNBase

    def __init__(
        self, n_labels: int, window_frames: int, hidden: int, dropout: float, frontend: FrontEndConfig
    ) -> None:
        super().__init__(n_labels, window_frames, hidden, dropout, frontend)
        self.n_stacked = self.step_frames * frontend.n_mels
        self.norm = nn.BatchNorm1d(self.n_stacked)
        self.unfolded_stacks = window_frames // self.step_frames

    @classmethod
    def fit_window(cls, n_frames: int, **settings: Any) -> int:
        return nearest_on_grid(n_frames, 2 * cls.step_frames, cls.step_frames)  # below two nothing recurs

    def embed(self, normalised: Tensor) -> Tensor:
        stacks = unfold_windows(normalised, self.step_frames, self.step_frames).flatten(2)
        # normalised after unfolding: what has no gradient is cheap to gather
        windows = unfold_windows(stacks, self.unfolded_stacks)
        steps = self.norm(windows.flatten(0, 2)).unflatten(0, (-1, self.unfolded_stacks))
        outputs, _ = self.recurrent(steps)
        embedding: Tensor = outputs[:, -1].unflatten(0, windows.shape[:2])
        return embedding
