"""The plain recurrent network: one tanh layer.

After "Finding structure in time" (Elman 1990, Cognitive Science 14). It forgets within a few steps
what a gated layer keeps, which is what it is here to show. Ours: log-mel, four 10 ms frames to a
time step, batch norm on the input, an orthogonal recurrent matrix to begin with.
"""

from __future__ import annotations

from torch import nn

from models.frontend import FrontEndConfig
from models.recurrent import StackedRecurrent


class Rnn(StackedRecurrent):
    """Batch norm, a tanh layer over stacked frames, last state, linear."""

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        hidden: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, hidden, dropout, frontend)
        self.recurrent = nn.RNN(self.n_stacked, hidden, batch_first=True)
        # keeps the length of a state over the window, so that early steps still get a gradient
        nn.init.orthogonal_(self.recurrent.get_parameter("weight_hh_l0"))
