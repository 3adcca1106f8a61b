"""Long short-term memory: one layer.

After "Long short-term memory" (Hochreiter and Schmidhuber 1997, Neural Computation 9) as the basic
LSTM of "Hello Edge: Keyword Spotting on Microcontrollers" (Zhang et al. 2017, arXiv 1711.07128):
no peepholes, no projection, the last state into the classifier. Theirs has 118 units (small) over 10
MFCCs each 20 ms; ours has 128 over log-mel, four 10 ms frames to a time step, batch norm on the input.
"""

from __future__ import annotations

import torch
from torch import nn

from models.frontend import FrontEndConfig
from models.recurrent import StackedRecurrent


class Lstm(StackedRecurrent):
    """Batch norm, an LSTM layer over stacked frames, last state, linear."""

    def __init__(
        self,
        n_labels: int,
        window_frames: int,
        frontend: FrontEndConfig = FrontEndConfig(),
        hidden: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_labels, window_frames, hidden, dropout, frontend)
        self.recurrent = nn.LSTM(self.n_stacked, hidden, batch_first=True)
        with torch.no_grad():  # forget gates begin open: gates are stored as input, forget, cell, output
            self.recurrent.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = 1.0
