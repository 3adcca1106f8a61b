"""The convolutional architectures of the literature: published sizes, padding along time, layers by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.bc_resnet import SubSpectralNorm
from models.convolutional import centre_frames, channels_last
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from models.registry import create_model, find_architecture
from speechcmd.errors import ModelError

PADDING = ("ds_cnn", "matchboxnet", "bc_resnet")
# what one output sees, in frames, counted by hand: kernels less one, times stride and dilation before them
SEEN = {
    "ds_cnn": 20 + 4 * 4 * 2,
    "matchboxnet": 1 + 10 + 12 + 14 + 16 + 2 * 28,
    "bc_resnet": 1 + 4 + 2 * 2 * 1 + 2 * 2 * 2 + 4 * 2 * 4 + 4 * 2 * 8 + 4,
}


def trained(network: nn.Module) -> int:
    """Values that training moves by gradient: without batch-norm statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def with_statistics(network: KeywordNetwork) -> KeywordNetwork:
    """Batch-norm statistics of one batch, so that what comes out moves with what goes in."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train().classify(torch.randn(4, network.window_frames + 8, 40))
    return network.eval()


@pytest.mark.parametrize(
    ("tau", "published"), [(1, 9_232), (1.5, 17_154), (2, 27_284), (3, 54_168), (6, 187_812), (8, 321_068)]
)
def test_bc_resnet_has_the_published_size(tau: float, published: int) -> None:
    # nothing differs: a linear head on the mean is the reference's 1 x 1 convolution with its offset
    network = create_model("bc_resnet", 12, tau=tau)
    assert trained(network) == published
    statistics = sum(2 * m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert network.count_parameters() == published + statistics


@pytest.mark.parametrize(("repeats", "exact", "thousands"), [(1, 77_214, 77), (2, 92_766, 93)])
def test_matchboxnet_has_the_published_size(repeats: int, exact: int, thousands: int) -> None:
    # on the paper's 64 bands and 30 words
    frontend = FrontEndConfig(n_mels=64, f_max_hz=8000.0)
    paper = trained(create_model("matchboxnet", 30, frontend=frontend, repeats=repeats))
    assert paper == exact
    assert round(paper / 1000) == thousands
    # 24 bands fewer: their kernels of 11 and their columns; 18 words fewer: 128 weights and an offset each
    ours = trained(create_model("matchboxnet", 12, repeats=repeats))
    assert paper - ours == 24 * (11 + 128) + 18 * (128 + 1)


def test_tc_resnet_has_the_published_size() -> None:
    network = create_model("tc_resnet", 12)
    first = 40 * 16 * 3
    blocks = sum(a * b * 9 + b * b * 9 + a * b for a, b in ((16, 24), (24, 32), (32, 48)))
    norms = 16 + 3 * (24 + 32 + 48)
    assert trained(network) == first + blocks + 2 * norms + (48 * 12 + 12)
    # the published 66 thousand: with the statistics, 65,836
    assert network.count_parameters() == trained(network) + 2 * norms == 65_836
    wide = create_model("tc_resnet", 12, width=1.5)
    assert wide.head.in_features == 72


def test_ds_cnn_size_by_hand() -> None:
    first = 64 * 20 * 8
    blocks = 4 * (64 * 9 + 64 * 64)
    norms = 64 + 4 * 2 * 64
    assert trained(create_model("ds_cnn", 12)) == first + blocks + 2 * norms + (64 * 12 + 12)


@pytest.mark.parametrize("name", PADDING)
def test_padding_along_time_decides_kind_and_window(name: str) -> None:
    plain = create_model(name, 3, **find_architecture(name).variants["padded"] | {"time_padding": False})
    padded = create_model(name, 3, **find_architecture(name).variants["padded"])
    assert (plain.kind, padded.kind) == ("sliding", "windowed")
    assert {k: v.shape for k, v in plain.state_dict().items()} == {
        k: v.shape for k, v in padded.state_dict().items()
    }
    network = find_architecture(name).network
    assert network.fit_window(0) == SEEN[name] + (8 if name == "bc_resnet" else 0)  # frames to average
    assert network.fit_window(98, time_padding=True) == padded.window_frames == 100
    with pytest.raises(ValueError, match=f"at least {SEEN[name]} frames, got {SEEN[name] - 1}"):
        type(plain)(3, SEEN[name] - 1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", PADDING)
def test_an_output_sees_its_whole_smallest_window_and_no_more(name: str) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = find_architecture(name).variants["padded"] | {"time_padding": False}
    settings.pop("n_blocks", None)  # as many as by default
    network = with_statistics(create_model(name, 3, 0, **settings))
    n_frames = network.window_frames
    log_mel = torch.randn(1, n_frames + network.step_frames, 40).double().requires_grad_()
    (gradient,) = torch.autograd.grad(network.double().classify(log_mel)[0, 0].sum(), log_mel)
    reached = gradient[0].abs().amax(dim=1) > 0
    assert reached[0]
    assert reached[n_frames - 1]
    assert not reached[n_frames:].any()


@pytest.mark.parametrize("kind", ["sliding", "windowed"])
@pytest.mark.parametrize("name", PADDING)
def test_a_step_is_its_window_once_statistics_are_learnt(name: str, kind: str) -> None:
    torch.manual_seed(0)
    padded = find_architecture(name).variants["padded"] | {"time_padding": kind == "windowed"}
    network = with_statistics(create_model(name, 3, 0, **padded))
    log_mel = torch.randn(1, network.window_frames + 12, 40)
    whole = network.classify(log_mel)[0]
    windows = torch.cat([log_mel[:, k : k + network.window_frames] for k in (0, 4, 8, 12)])
    assert whole.std(dim=0).min() > 1e-3
    assert torch.allclose(whole, network.classify(windows)[:, 0], atol=1e-4)


def reference_norm(layer: SubSpectralNorm, image: torch.Tensor) -> torch.Tensor:
    """The definition: each channel and fifth of the bands is normalised alone."""
    fifths = image.chunk(5, dim=3)
    weight, bias = layer.norm.weight.chunk(5), layer.norm.bias.chunk(5)
    return torch.cat(
        [
            functional.batch_norm(fifth, None, None, w, b, training=True)
            for fifth, w, b in zip(fifths, weight, bias, strict=True)
        ],
        dim=3,
    )


@pytest.mark.parametrize("n_bands", [5, 20])
def test_sub_spectral_norm_is_its_definition(n_bands: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = SubSpectralNorm(3)
    layer.norm.weight.data.uniform_(0.5, 2, generator=generator)
    layer.norm.bias.data.normal_(generator=generator)
    layer.norm.momentum = 1.0  # the running values become those of the one batch
    image = channels_last(torch.randn(4, 3, 7, n_bands, generator=generator) + torch.arange(n_bands))
    expected = reference_norm(layer, image)
    assert torch.allclose(layer(image), expected, atol=1e-5)
    # in use: the same values but for the variance, which is kept unbiased
    layer.get_buffer("norm.running_var").mul_(1 - 5 / (4 * 7 * n_bands))
    assert torch.allclose(layer.eval()(image), expected, atol=1e-5)


def test_centre_frames() -> None:
    image = channels_last(torch.arange(2 * 3 * 6 * 4).float().reshape(2, 3, 6, 4))
    assert torch.equal(centre_frames(image, 2, dim=2), image[:, :, 2:4])
    assert torch.equal(centre_frames(image, 1, dim=3), image[..., 1:3])
    assert centre_frames(image, 0, dim=2) is image
    assert centre_frames(image, 1, dim=2).is_contiguous(memory_format=torch.channels_last)


def test_bc_resnet_refuses_bands_that_make_no_fifths() -> None:
    with pytest.raises(ModelError, match="multiple of 40 mel bands, got 32"):
        create_model("bc_resnet", 3, frontend=FrontEndConfig(n_mels=32))
