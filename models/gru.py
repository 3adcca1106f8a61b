"""A convolutional stem and a bidirectional GRU over each window.

After the recurrent networks of "Hello Edge" (Zhang et al. 2017, arXiv 1711.07128) and the CRNN of
Arik et al. (2017, arXiv 1703.05390). A recurrent state depends on where it began, so each window is
run on its own; log-mel and stem are computed once for a long recording and shared by all windows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.convolutional import band_convolution
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
        self.n_bands = -(-frontend.n_mels // 4)
        self.mix = nn.Sequential(nn.Linear(second * self.n_bands, width), nn.LayerNorm(width), nn.ReLU())
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

    def for_export(self) -> KeywordNetwork:
        return _UnrolledGru(self)


class _UnrolledGru(KeywordNetwork):
    """The same function, with each frame multiplied once: all windows share the products of their frames.

    Window k takes frame k + t at its step t, so step t of all windows is one slice of the recording.
    """

    kind = "windowed"
    step_frames: ClassVar[int] = Gru.step_frames

    def __init__(self, network: Gru) -> None:
        n_labels, n_features = network.head.weight.shape
        config = network.frontend.config
        super().__init__(n_labels, network.window_frames, n_features, network.dropout.p, config)
        self.set_normalisation(network.mel_mean, network.mel_deviation)
        self.head = copy.deepcopy(network.head)
        self.stem = copy.deepcopy(network.stem)
        linear, norm, activation = copy.deepcopy(network.mix)
        self.mix = nn.Sequential(norm, activation)
        self.bands = band_convolution(
            linear.get_parameter("weight"), linear.get_parameter("bias"), network.n_bands
        )
        length = network.unfolded_frames
        self.ahead = _UnrolledDirection(network.gru, "", range(length))
        self.back = _UnrolledDirection(network.gru, "_reverse", range(length - 1, -1, -1))

    def embed(self, normalised: Tensor) -> Tensor:
        image = self.bands(self.stem(normalised.unsqueeze(1)))
        sequence = self.mix(image.squeeze(3).transpose(1, 2))
        return torch.cat([self.ahead(sequence), self.back(sequence)], dim=2)


class _UnrolledDirection(nn.Module):
    """One direction of a GRU over every window of a sequence, and the mean of its states.

    Cho et al. (2014, arXiv 1406.1078) in the form that torch computes: the reset gate acts on the product.
    Shape: (batch, n_frames, width) -> (batch, n_windows, hidden).
    """

    def __init__(self, gru: nn.GRU, suffix: str, order: range) -> None:
        super().__init__()
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(gru, f"{name}_l0{suffix}").detach() for name in names
        )
        n_gates = 2 * gru.hidden_size  # reset and update; what they add to the frame's product is constant
        self.order = order
        self.frame_gates = _linear(weight_ih[:n_gates], bias_ih[:n_gates] + bias_hh[:n_gates])
        self.frame_candidate = _linear(weight_ih[n_gates:], bias_ih[n_gates:])
        self.state_gates = _linear(weight_hh[:n_gates], None)
        self.state_candidate = _linear(weight_hh[n_gates:], bias_hh[n_gates:])

    def forward(self, sequence: Tensor) -> Tensor:
        gates, candidates = self.frame_gates(sequence), self.frame_candidate(sequence)
        states: list[Tensor] = []
        for step in self.order:
            at_step = slice(step, step + 1 - len(self.order) or None)
            before = states[-1] if states else None
            states.append(self._next_state(gates[:, at_step], candidates[:, at_step], before))
        # summed one after the other: a stack of all states would be a copy of them
        total = states[0]
        for state in states[1:]:
            total = total + state
        return total / len(states)

    def _next_state(self, gates: Tensor, candidate: Tensor, state: Tensor | None) -> Tensor:
        new: Tensor
        if state is None:  # the state before the first step is zero
            reset, update = gates.sigmoid().chunk(2, dim=2)
            first = torch.tanh(candidate + reset * self.state_candidate.bias)
            new = first - update * first
        else:
            reset, update = (gates + self.state_gates(state)).sigmoid().chunk(2, dim=2)
            following = torch.tanh(candidate + reset * self.state_candidate(state))
            new = following + update * (state - following)
        return new


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], len(weight), bias=bias is not None)
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())
    return layer
