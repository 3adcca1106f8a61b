"""The fully connected baseline: its parameters, and that its convolution is a dense layer over a window."""

from __future__ import annotations

import torch
from torch.nn import functional

from models.mlp import Mlp


def test_parameters_by_hand() -> None:
    network = Mlp(12, 96)  # 24 averages of 40 bands, three layers of 112 with batch norm
    layers = 24 * 40 * 112 + 112 * 112 + 112 * 112 + 3 * 4 * 112
    assert network.count_parameters() == layers + (112 * 12 + 12) == 135_308
    assert (
        Mlp(12, 148, hidden=16).count_parameters() == 37 * 40 * 16 + 2 * 16 * 16 + 3 * 4 * 16 + 16 * 12 + 12
    )


def test_it_is_dense_layers_over_averaged_frames() -> None:
    torch.manual_seed(0)
    network = Mlp(3, 12, hidden=5)
    log_mel = torch.randn(4, 20, 40)
    network(torch.randn(8, network.window_samples))  # moves the batch-norm statistics
    network.eval()
    embedding = network.embedding(log_mel)
    assert embedding.shape == (4, 3, 5)  # windows of frames 0-11, 4-15 and 8-19
    for step in range(3):
        window = log_mel[:, 4 * step : 4 * step + 12]
        values = window.reshape(4, 3, 4, 40).mean(dim=2).transpose(1, 2).flatten(1)
        for layer in range(3):
            weight = network.dense.get_parameter(f"{3 * layer}.weight").flatten(1)
            norm = f"{3 * layer + 1}"
            mean = network.dense.get_buffer(f"{norm}.running_mean")
            variance = network.dense.get_buffer(f"{norm}.running_var")
            # the batch norm's scale and shift still are what they begin with, 1 and 0
            values = torch.relu((functional.linear(values, weight) - mean) / torch.sqrt(variance + 1e-5))
        assert torch.allclose(embedding[:, step], values, atol=1e-5)
