"""Multiply-accumulates: against hand counts, an independent count by layer, and published figures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.bc_resnet import BcResNet
from models.cost import Cost, count_multiplies
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from models.registry import create_model, find_architecture, list_architectures

N_SAMPLES = 5_120  # 30 frames
# the bins up to 4000 Hz of 512, cosine and sine, each 480 samples long; then bins times mel bands
FRAME = 2 * 128 * 480 + 128 * 40


def build_toy(name: str) -> KeywordNetwork:
    return create_model(name, 5, N_SAMPLES, **find_architecture(name).toy)


def count_by_layer(network: KeywordNetwork, n_frames: int) -> int:
    """The same from the outputs of layers: what it costs to make one value, times how many there are."""
    macs: list[int] = []

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(layer, nn.RNNBase):
            matrices = [weight.numel() for name, weight in layer.named_parameters() if "weight" in name]
            macs.append(inputs[0].shape[0] * inputs[0].shape[1] * sum(matrices))
        elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            macs.append(output.numel() * math.prod(layer.weight.shape[1:]))

    layers = [module for module in network.modules() if not list(module.children())]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    with torch.no_grad():
        network.classify(torch.zeros(1, n_frames, 40))
    for hook in hooks:
        hook.remove()
    return sum(macs)


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_counts_as_its_layers_do(name: str) -> None:
    network = build_toy(name).eval()
    cost = count_multiplies(network)
    frames, step = network.window_frames, network.step_frames
    assert cost.window == count_by_layer(network, frames)
    # later in a recording a step costs the same
    first, second = (count_by_layer(network, frames + k * step) for k in (2, 3))
    assert cost.second == (second - first) * 25 > 0
    assert cost.front_end_second == FRAME * 100
    assert cost.front_end_window == FRAME * frames


def test_cnn_by_hand() -> None:
    cost = count_multiplies(build_toy("cnn"))  # 45 frames: the smallest window
    # channels 4 6 8, width 16, two blocks of dilation 1 and 2; frames 45 -> 21 -> 19 -> 9 -> 7 -> 3
    image = 21 * 20 * 4 * 25 + 19 * 10 * 6 * 4 * 9 + 9 * 5 * 8 * 6 * 9
    mix = 9 * 8 * 5 * 16
    blocks = (7 + 3) * 16 * 16 * 3
    assert cost.window == image + mix + blocks + 16 * 5
    # a step of four frames: two of the first two convolutions, one of the rest
    step = 2 * 20 * 4 * 25 + 2 * 10 * 6 * 4 * 9 + 5 * 8 * 6 * 9 + 8 * 5 * 16 + 2 * 16 * 16 * 3 + 16 * 5
    assert cost.second == 25 * step


def test_gru_by_hand() -> None:
    network = build_toy("gru")
    n = (network.window_frames - 9) // 4 + 1
    cost = count_multiplies(network)
    # channels 4 6, width 16, hidden 12; a step takes two frames of the first convolution, one of the rest
    later = 10 * 6 * 4 * 9 + 6 * 10 * 16
    recurrent = n * 2 * 3 * 12 * (16 + 12)
    assert cost.window == (2 * n + 1) * 20 * 4 * 25 + n * later + recurrent + 24 * 5
    # the stem is shared, the recurrent layer and what follows runs for each window
    assert cost.second == 25 * (2 * 20 * 4 * 25 + later + recurrent + 24 * 5)


def test_lstm_by_hand() -> None:
    network = build_toy("lstm")
    window = network.unfolded_stacks * 4 * 12 * (160 + 12) + 12 * 5
    assert count_multiplies(network) == Cost(window, 25 * window, FRAME * network.window_frames, FRAME * 100)


@pytest.mark.parametrize(("tau", "parameters", "millions"), [(1, 9_232, 2.48), (8, 321_068, 85.9)])
def test_bc_resnet_as_measured_on_the_authors_code(tau: int, parameters: int, millions: float) -> None:
    """Their network on 40 bands and 101 frames; the paper's own 3.1 and 89.1 M count more than layers."""
    network = BcResNet(12, 101, tau=tau, time_padding=True)
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    assert count_multiplies(network).window / 1e6 == pytest.approx(millions, rel=0.002)


class Functional(KeywordNetwork):
    """Without a layer for its convolution and its product."""

    kind = "sliding"
    step_frames = 4

    def __init__(self) -> None:
        super().__init__(2, 8, 6, 0.0, FrontEndConfig())
        self.kernel = nn.Parameter(torch.zeros(6, 40, 8))

    def embed(self, normalised: Tensor) -> Tensor:
        convolved = functional.conv1d(normalised.transpose(1, 2), self.kernel, stride=4)
        return convolved.transpose(1, 2) @ torch.eye(6)


def test_functions_count_as_layers_do() -> None:
    assert count_multiplies(Functional()).window == 6 * 40 * 8 + 6 * 6 + 6 * 2


def test_counting_changes_nothing() -> None:
    network = build_toy("cnn").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    n_threads = torch.get_num_threads()
    count_multiplies(network)
    assert torch.get_num_threads() == n_threads
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
