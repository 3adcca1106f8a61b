"""The recurrent baselines: parameters by hand, stacking, and their recurrences written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.crnn import Crnn
from models.lstm import Lstm
from models.recurrent import StackedRecurrent
from models.rnn import Rnn


def test_parameters_by_hand() -> None:
    # batch norm of 160 stacked values, one layer of 128 with two biases, 12 labels
    norm, head = 4 * 160, 128 * 12 + 12
    cell = 128 * 160 + 128 * 128 + 2 * 128
    assert Rnn(12, 96).count_parameters() == norm + cell + head == 39_308
    assert Lstm(12, 96).count_parameters() == norm + 4 * cell + head == 150_668
    assert Rnn(12, 148).count_parameters() == 39_308  # whatever the window


def test_crnn_parameters_by_hand() -> None:
    conv = 32 * 20 * 5 + 4 * 32  # 20 bands are left
    first = 2 * 3 * (32 * (32 * 20) + 32 * 32 + 2 * 32)
    second = 2 * 3 * (32 * 64 + 32 * 32 + 2 * 32)
    dense = 20 * 64 * 64 + 4 * 64  # (96 - 20) / 4 + 1 outputs
    assert Crnn(12, 96).count_parameters() == conv + first + second + dense + (64 * 12 + 12) == 234_508


def stacks(network: StackedRecurrent, log_mel: Tensor) -> list[Tensor]:
    """Batch-normalised time steps, by slices."""
    mean, variance = network.norm.get_buffer("running_mean"), network.norm.get_buffer("running_var")
    pieces = [log_mel[:, first : first + 4].flatten(1) for first in range(0, log_mel.shape[1] - 3, 4)]
    # scale and shift still are what they begin with, 1 and 0
    return [(piece - mean) / torch.sqrt(variance + network.norm.eps) for piece in pieces]


def trained_a_little(network: StackedRecurrent) -> StackedRecurrent:
    network(torch.randn(8, network.window_samples))  # moves the batch-norm statistics
    return network.eval()


def sums(layer: nn.RNNBase, step: Tensor, state: Tensor) -> Tensor:
    """Weighted sums of input and state. Shape: (batch, 160), (batch, hidden) -> (batch, gates * hidden)."""
    weights = dict(layer.named_parameters())
    from_step = step @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
    return from_step + state @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]


def test_rnn_is_its_recurrence() -> None:
    torch.manual_seed(0)
    network = trained_a_little(Rnn(3, 12, hidden=5))
    log_mel = torch.randn(2, 19, 40)  # the last three frames make no stack
    steps = stacks(network, log_mel)
    embedding = network.embedding(log_mel)
    assert embedding.shape == (2, 2, 5)
    for window in range(2):
        state = torch.zeros(2, 5)
        for step in steps[window : window + 3]:
            state = torch.tanh(sums(network.recurrent, step, state))
        assert torch.allclose(embedding[:, window], state, atol=1e-5)


def test_lstm_is_its_recurrence() -> None:
    torch.manual_seed(0)
    network = trained_a_little(Lstm(3, 12, hidden=5))
    log_mel = torch.randn(2, 16, 40)
    steps = stacks(network, log_mel)
    embedding = network.embedding(log_mel)
    assert embedding.shape == (2, 2, 5)
    for window in range(2):
        state, cell = torch.zeros(2, 5), torch.zeros(2, 5)
        for step in steps[window : window + 3]:
            enter, forget, new, leave = sums(network.recurrent, step, state).chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            state = torch.sigmoid(leave) * torch.tanh(cell)
        assert torch.allclose(embedding[:, window], state, atol=1e-5)


def test_beginnings() -> None:
    torch.manual_seed(0)
    matrix = Rnn(3, 12, hidden=6).recurrent.get_parameter("weight_hh_l0")
    assert torch.allclose(matrix @ matrix.T, torch.eye(6), atol=1e-5)
    lstm = Lstm(3, 12, hidden=6).recurrent
    bias = lstm.get_parameter("bias_ih_l0")
    assert torch.equal(bias[6:12], torch.ones(6))  # the forget gates
    others = torch.cat((bias[:6], bias[12:], lstm.get_parameter("bias_hh_l0")))
    assert others.abs().max() <= 6**-0.5


@pytest.mark.parametrize("architecture", [Rnn, Lstm, Crnn])
def test_the_first_frame_of_a_window_is_heard(architecture: type[Rnn | Lstm | Crnn]) -> None:
    torch.manual_seed(0)
    network = architecture(3, 32).eval()
    log_mel = torch.randn(1, 32, 40)
    other = log_mel.clone()
    other[:, 0] += 1.0
    assert (network.embedding(log_mel) - network.embedding(other)).abs().max() > 1e-5
