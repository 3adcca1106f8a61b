"""Every architecture of the registry, with its defaults, its toy configuration and its variants."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

import models
from models.cnn import fit_dilations
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork, nearest_on_grid
from models.registry import check_settings, create_model, find_architecture, list_architectures
from speechcmd.errors import ModelError

NAMES = ("mlp", "rnn", "lstm", "gru", "crnn", "cnn", "ds_cnn", "tc_resnet", "matchboxnet", "bc_resnet")
CASES = [
    (name, kind)
    for name in list_architectures()
    for kind in ("default", "toy", *find_architecture(name).variants)
]
both = pytest.mark.parametrize(("name", "kind"), CASES)
every = pytest.mark.parametrize("name", list_architectures())
STEP_TOLERANCE = 1e-4  # float32 sums in another order


def build(name: str, kind: str, **options: Any) -> KeywordNetwork:
    torch.manual_seed(0)
    options = {"n_labels": 5, "n_samples": 10_733, **options}
    return create_model(name, **options, **settings_of(name, kind))


def settings_of(name: str, kind: str) -> dict[str, Any]:
    architecture = find_architecture(name)
    return {"default": {}, "toy": architecture.toy, **architecture.variants}[kind]


def noise(n_clips: int, n_samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(n_clips, n_samples, generator=torch.Generator().manual_seed(1))


def test_the_package_offers_the_registry() -> None:
    assert models.list_architectures() == NAMES
    assert isinstance(models.create_model("cnn", 3), KeywordNetwork)


@both
def test_shapes_and_values(name: str, kind: str) -> None:
    network = build(name, kind).eval()
    window, step = network.window_samples, network.step_samples
    assert window == 480 + 160 * (network.window_frames - 1)
    for n_clips, n_samples, n_steps in ((1, window, 1), (3, window + step - 1, 1), (2, window + 3 * step, 4)):
        waveform = noise(n_clips, n_samples)
        logits = network(waveform)
        assert logits.shape == (n_clips, n_steps, 5)
        assert torch.isfinite(logits).all()
        log_mel = network.features(waveform)
        assert log_mel.shape == (n_clips, (n_samples - 480) // 160 + 1, 40)
        assert torch.equal(network.classify(log_mel), logits)
        embedding = network.embedding(log_mel)
        assert embedding.shape == (n_clips, n_steps, network.head.in_features)
        assert torch.allclose(network.head(embedding), logits, atol=1e-6)


@both
def test_the_form_for_export_computes_the_same(name: str, kind: str) -> None:
    network = build(name, kind).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(generator=torch.Generator().manual_seed(2))  # type: ignore[union-attr]
        waveform = noise(2, network.window_samples + 5 * network.step_samples)
        expected = network(waveform)
        torch.testing.assert_close(network.for_export().eval()(waveform), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(network(waveform), expected, atol=0, rtol=0)


@both
def test_every_parameter_gets_a_gradient(name: str, kind: str) -> None:
    network = build(name, kind).train()
    loss = nn.functional.cross_entropy(
        network(noise(4, network.window_samples))[:, 0], torch.tensor([0, 1, 2, 3])
    )
    loss.backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@every
def test_defaults_stay_within_the_budget(name: str) -> None:
    for n_samples in (10_733, 16_000):
        network = build(name, "default", n_labels=12, n_samples=n_samples)
        assert network.count_parameters() < find_architecture(name).budget <= 250_000
        assert network.kind in ("sliding", "windowed")
        assert 0.02 <= network.step_samples / 16_000 <= 0.04


@both
def test_state_goes_round(name: str, kind: str) -> None:
    network, other = build(name, kind), build(name, kind)
    network(noise(8, network.window_samples))  # moves the batch-norm statistics
    network.set_normalisation(torch.linspace(-9, -5, 40), torch.linspace(1, 2, 40))
    other.load_state_dict(network.state_dict())
    waveform = noise(2, network.window_samples + 2 * network.step_samples)
    assert torch.equal(network.eval()(waveform), other.eval()(waveform))
    assert torch.equal(other.mel_mean, torch.linspace(-9, -5, 40))


@both
@pytest.mark.parametrize("n_samples", [4_000, 10_733, 16_000])
def test_a_step_of_a_long_signal_is_its_window(name: str, kind: str, n_samples: int) -> None:
    network = build(name, kind, n_samples=n_samples).eval()
    network(noise(8, network.window_samples))
    window, step = network.window_samples, network.step_samples
    long = noise(1, window + 6 * step + 77) * torch.linspace(0.01, 1, window + 6 * step + 77)
    whole = network(long)[0]
    windows = torch.stack([long[0, k * step : k * step + window] for k in range(7)])
    assert whole.shape[0] == 7
    assert (whole - network(windows)[:, 0]).abs().max() < STEP_TOLERANCE


@both
def test_the_window_is_the_nearest_on_the_grid(name: str, kind: str) -> None:
    network, settings = find_architecture(name).network, settings_of(name, kind)
    windows = [network.fit_window(n, **settings) for n in range(200)]
    grid = sorted(set(windows))
    assert {b - a for a, b in pairwise(grid)} == {network.step_frames}
    for n, window in enumerate(windows):
        assert abs(window - n) == min(abs(g - n) for g in grid)
    assert network.fit_window(0, **settings) == grid[0]
    for frames in grid[:8] if kind == "toy" else grid[:1]:  # each can be built and gives exactly one step
        built = network(3, frames, **settings).eval()
        assert built(noise(1, FrontEndConfig().n_samples(frames))).shape == (1, 1, 3)


def test_nearest_on_grid() -> None:
    assert [nearest_on_grid(n, 10, 4) for n in (0, 10, 11, 13, 15, 17)] == [10, 10, 10, 14, 14, 18]


def test_dilations_shrink_until_they_fit() -> None:
    assert fit_dilations(14, (1, 1, 2, 2)) == (1, 1, 2, 2)
    assert fit_dilations(12, (1, 1, 2, 2)) == (1, 1, 1, 2)
    assert fit_dilations(9, (1, 1, 2, 2)) == (1, 1, 1, 1)


def test_toy_parameters_by_hand() -> None:
    cnn = build("cnn", "toy")  # 5 labels, channels 4 6 8, width 16, two blocks; 40 bands become 5
    image = (4 * 1 * 25 + 4 * 4) + (6 * 4 * 9 + 4 * 6) + (8 * 6 * 9 + 4 * 8)
    mix = 8 * 5 * 16 + 4 * 16
    blocks = 2 * (16 * 16 * 3 + 4 * 16)
    assert cnn.count_parameters() == image + mix + blocks + (16 * 5 + 5)
    gru = build("gru", "toy")  # channels 4 6, width 16, hidden 12; 40 bands become 10
    stem = (4 * 1 * 25 + 4 * 4) + (6 * 4 * 9 + 4 * 6)
    mix = 6 * 10 * 16 + 16 + 2 * 16
    recurrent = 2 * 3 * (12 * 16 + 12 * 12 + 2 * 12)
    assert gru.count_parameters() == stem + mix + recurrent + (24 * 5 + 5)


@both
def test_normalisation_is_a_buffer_and_a_silent_band_is_no_division_by_zero(name: str, kind: str) -> None:
    network = build(name, kind).eval()
    assert {"mel_mean", "mel_deviation"} <= set(network.state_dict())
    assert not {"mel_mean", "mel_deviation"} & {n for n, _ in network.named_parameters()}
    log_mel = network.features(noise(1, network.window_samples))
    shifted, scale = torch.linspace(-3, 3, 40), torch.linspace(0.5, 2, 40)
    plain = network.classify(log_mel)
    network.set_normalisation(shifted, scale)
    assert torch.allclose(network.classify(log_mel * scale + shifted), plain, atol=1e-4)
    network.set_normalisation(torch.zeros(40), torch.zeros(40))
    assert float(network.mel_deviation.min()) == pytest.approx(0.01)


@every
def test_batch_norm_learns_in_training_only(name: str) -> None:
    network = build(name, "toy")
    statistics = {n: v.clone() for n, v in network.state_dict().items() if n.endswith("running_mean")}
    assert statistics
    network.eval()(noise(4, network.window_samples))
    assert all(torch.equal(network.state_dict()[n], v) for n, v in statistics.items())
    network.train()(noise(4, network.window_samples))
    assert not any(torch.equal(network.state_dict()[n], v) for n, v in statistics.items())


def test_wrong_names_and_values_are_one_line() -> None:
    with pytest.raises(ModelError, match=rf"expected one of {', '.join(NAMES)}, got 'transformer'"):
        create_model("transformer", 3)
    with pytest.raises(ModelError, match=r"cnn: unknown setting 'hidden'; it has channels, dilations"):
        create_model("cnn", 3, hidden=4)
    for settings in ({"channels": [1, 2]}, {"width": -4}, {"dropout": 2.0}):
        with pytest.raises(ModelError, match="no network can be built") as caught:
            create_model("cnn", 3, **settings)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bc_resnet", {"time_padding": "no"}, "time_padding: expected true or false, got 'no'"),
        ("bc_resnet", {"time_padding": "False"}, "time_padding: expected true or false, got 'False'"),
        ("bc_resnet", {"time_padding": 1}, "time_padding: expected true or false, got 1"),
        ("bc_resnet", {"tau": True}, "tau: expected a number, got True"),
        ("bc_resnet", {"tau": "2"}, "tau: expected a number, got '2'"),
        ("cnn", {"dropout": float("nan")}, "dropout: expected a number, got nan"),
        ("cnn", {"width": "wide"}, "width: expected a whole number, got 'wide'"),
        ("cnn", {"width": 64.0}, "width: expected a whole number, got 64.0"),
        ("cnn", {"width": False}, "width: expected a whole number, got False"),
        ("cnn", {"channels": 4}, "channels: expected a list of whole numbers, got 4"),
        ("cnn", {"channels": "456"}, "channels: expected a list of whole numbers, got '456'"),
        ("cnn", {"channels": [4, 6, 8.5]}, "channels: expected a list of whole numbers, got [4, 6, 8.5]"),
    ],
)
def test_values_of_another_type_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        create_model(name, 3, **settings)
    assert str(caught.value) == f"{name}: {message}"


def test_a_whole_number_is_a_number_too() -> None:
    check_settings("bc_resnet", {"tau": 2, "time_padding": False})


def test_blocks_that_no_window_can_feed_are_one_line() -> None:
    with pytest.raises(ModelError, match="temporal blocks need a longer window"):
        create_model("cnn", 4, 9600, dilations=[1, 1, 1, 1, 1, 1])
