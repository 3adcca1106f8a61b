"""The folded front end of a model file: the power of a DFT, computed from what the file does not carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.frontend import FrontEndConfig, dft_basis, mel_filters
from speechcmd.arrays import DoubleArray, FloatArray
from speechcmd.errors import ExportError
from speechcmd.runtime.model.engine import onnxruntime
from speechcmd.training.export.dft_graph import fold_dft

CONFIG = FrontEndConfig()


def exported(config: FrontEndConfig = CONFIG, *, basis: str = "network.frontend.basis") -> onnx.ModelProto:
    """What the exporter writes of the front end, up to the power in the bands."""
    filters = mel_filters(config)
    n_bins = int(np.flatnonzero(filters.any(axis=0))[-1]) + 1
    constants = {
        basis: dft_basis(config, n_bins)[:, None, :],
        "network.frontend.filters": filters[:, :n_bins].T.copy(),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "one"], ["channel"]),
        helper.make_node("Conv", ["channel", basis], ["spectrum"], strides=[config.hop_length]),
        helper.make_node("Split", ["spectrum"], ["real", "imaginary"], axis=1, num_outputs=2),
        helper.make_node("Mul", ["real", "real"], ["real_power"]),
        helper.make_node("Mul", ["imaginary", "imaginary"], ["imaginary_power"]),
        helper.make_node("Add", ["real_power", "imaginary_power"], ["power"]),
        helper.make_node("Transpose", ["power"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "network.frontend.filters"], ["bands"]),
        helper.make_node("Relu", ["bands"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "front_end",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "n_samples"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "n_frames", config.n_mels])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def compute(model: onnx.ModelProto, waveforms: FloatArray) -> FloatArray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    bands: FloatArray = session.run(None, {"waveform": waveforms})[0]
    return bands


def bands_by_fft(waveform: FloatArray, config: FrontEndConfig) -> DoubleArray:
    """Frame by frame in float64."""
    window = np.hanning(config.win_length + 1)[:-1]
    frames = [
        np.abs(np.fft.rfft(waveform[k * config.hop_length :][: config.win_length] * window, config.n_fft))
        ** 2
        for k in range(config.n_frames(len(waveform)))
    ]
    return np.array(frames) @ mel_filters(config).T.astype(np.float64)


def noise(n_clips: int, n_samples: int) -> FloatArray:
    return (0.1 * np.random.default_rng(0).standard_normal((n_clips, n_samples))).astype(np.float32)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, f_max_hz=8_000.0, n_mels=64),
        replace(CONFIG, win_length=512, hop_length=128),  # the middle lies between two hops
        replace(CONFIG, win_length=320),
    ],
    ids=["ours", "all bins", "even hops", "two hops"],
)
def test_folded_bands_are_those_of_an_fft(config: FrontEndConfig) -> None:
    model = exported(config)
    fold_dft(model, config)
    onnx.checker.check_model(model)
    for n_clips, n_samples in ((1, config.win_length), (3, 2_345), (2, 1_600), (1, 1_759)):
        waveforms = noise(n_clips, n_samples)
        expected = [bands_by_fft(waveform, config) for waveform in waveforms]
        # float32 rounding: relative where a band is loud
        np.testing.assert_allclose(compute(model, waveforms), expected, rtol=1e-4, atol=1e-5)


def test_quiet_bands_beside_a_loud_tone_are_no_worse_than_before() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(8_000) / CONFIG.sample_rate)
    waveform = tone.astype(np.float32)
    expected = np.log(bands_by_fft(waveform, CONFIG) + CONFIG.log_floor)
    model = exported()
    before = np.abs(np.log(compute(model, waveform[None])[0] + CONFIG.log_floor) - expected).max()
    fold_dft(model, CONFIG)
    after = np.abs(np.log(compute(model, waveform[None])[0] + CONFIG.log_floor) - expected).max()
    assert after < max(1e-3, 2 * before)


def test_the_file_carries_no_matrix_but_the_filters() -> None:
    model = exported()
    fold_dft(model, CONFIG)
    sizes = {entry.name: int(np.prod(entry.dims)) for entry in model.graph.initializer}
    assert sizes.pop("network.frontend.filters") == 128 * 40
    assert sum(sizes.values()) < 100
    assert {"Conv", "Split", "Unsqueeze"} & {node.op_type for node in model.graph.node} <= {"Unsqueeze"}
    assert "waveform" not in {node.input[0] for node in model.graph.node if node.op_type == "Unsqueeze"}


@pytest.mark.parametrize(
    ("win_length", "hop_length"), [(400, 160), (400, 200), (160, 160)], ids=["part", "block", "one"]
)
def test_other_frames_are_refused(win_length: int, hop_length: int) -> None:
    config = replace(CONFIG, win_length=win_length, hop_length=hop_length)
    with pytest.raises(ExportError) as refused:
        fold_dft(exported(config), config)
    assert str(refused.value) == (
        "expected a window of two or more whole hops, and hops of whole blocks of 16 samples, "
        f"got {win_length} and {hop_length}; nothing was written"
    )


def test_a_network_without_the_basis_is_refused() -> None:
    with pytest.raises(ExportError, match="expected one DFT basis in the exported network, found 0"):
        fold_dft(exported(basis="basis"), CONFIG)
