"""A toy keyword model, written as ONNX without the onnx package: its words are tones.

`waveform (batch, n_samples)` -> how much of each window's energy lies at each tone -> `logits`. It has no
padding, so it meets the model contract, and it needs nothing but numpy.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from speechcmd.runtime.model.card import METADATA_KEY, CheckVector, DataSource, DecoderSettings, ModelCard
from speechcmd.runtime.model.model_file import check_signals
from speechcmd.runtime.model.session import Session

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 4_800  # 0.3 s
STEP_SAMPLES = 320
TONES_HZ = {"low": 500.0, "high": 2_000.0}
LABELS = ("_silence_", "_unknown_", "low", "high")

_FLOAT, _INT64 = 1, 7


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded + bytes([number]))


def field(number: int, value: int | str | bytes) -> bytes:
    """One protobuf field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, array: np.ndarray[Any, Any]) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    dims = b"".join(field(1, size) for size in array.shape)
    return dims + field(2, kind) + field(8, name) + field(9, array.tobytes())


def ints_attribute(name: str, values: list[int]) -> bytes:
    return field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7)


def int_attribute(name: str, value: int) -> bytes:
    return field(1, name) + field(3, value) + field(20, 2)


def node(operator: str, inputs: list[str], output: str, *attributes: bytes, domain: str = "") -> bytes:
    names = b"".join(field(1, name) for name in inputs)
    details = b"".join(field(5, attribute) for attribute in attributes)
    return names + field(2, output) + field(4, operator) + details + (field(7, domain) if domain else b"")


def value_info(name: str, dimensions: list[str]) -> bytes:
    shape = b"".join(field(1, field(2, dimension)) for dimension in dimensions)
    return field(1, name) + field(2, field(1, field(1, _FLOAT) + field(2, shape)))


def model(graph: bytes, metadata: dict[str, str] | None = None, opset: bytes = field(2, 17)) -> bytes:
    pairs = b"".join(field(14, field(1, key) + field(2, text)) for key, text in (metadata or {}).items())
    return field(1, 8) + field(7, graph) + field(8, opset) + pairs


def _tone_kernels() -> np.ndarray[Any, Any]:
    """Cosine and sine of each tone, so that a full-scale tone has the energy of its samples' mean square."""
    time_s = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE
    rows = [wave(2 * np.pi * tone * time_s) for tone in TONES_HZ.values() for wave in (np.cos, np.sin)]
    kernels: np.ndarray[Any, Any] = np.stack(rows)[:, None, :] * np.sqrt(2) / WINDOW_SAMPLES
    return kernels.astype(np.float32)


def _weights() -> dict[str, np.ndarray[Any, Any]]:
    return {
        "axis_1": np.array([1], dtype=np.int64),
        "kernels": _tone_kernels(),
        "pairs": np.kron(np.eye(len(TONES_HZ)), np.ones((1, 2)))[:, :, None].astype(np.float32),
        "mean": np.full((1, 1, WINDOW_SAMPLES), 1 / WINDOW_SAMPLES, dtype=np.float32),
        "tiny": np.array([1e-9], dtype=np.float32),
        # rows: the labels; columns: share of the low tone, of the high tone, logarithm of the energy
        "mix": np.array([[0, 0, -2], [0, 0, 0], [20, 0, 0], [0, 20, 0]], dtype=np.float32)[:, :, None],
        "bias": np.array([-21, 0, -8, -8], dtype=np.float32),
    }


def toy_graph(
    extra: bytes = b"",
    input_name: str = "waveform",
    changed_weights: dict[str, np.ndarray[Any, Any]] | None = None,
) -> bytes:
    """The network; `extra` fields come at its end."""
    weights = {**_weights(), **(changed_weights or {})}
    stride = ints_attribute("strides", [STEP_SAMPLES])
    nodes = [
        node("Unsqueeze", [input_name, "axis_1"], "signal"),
        node("Conv", ["signal", "kernels"], "waves", stride),
        node("Mul", ["waves", "waves"], "energies"),
        node("Conv", ["energies", "pairs"], "tone_energy"),
        node("Mul", ["signal", "signal"], "squares"),
        node("Conv", ["squares", "mean"], "mean_square", stride),
        node("Add", ["mean_square", "tiny"], "energy"),
        node("Div", ["tone_energy", "energy"], "shares"),
        node("Log", ["energy"], "log_energy"),
        node("Concat", ["shares", "log_energy"], "features", int_attribute("axis", 1)),
        node("Conv", ["features", "mix", "bias"], "scores"),
        node("Transpose", ["scores"], "logits", ints_attribute("perm", [0, 2, 1])),
    ]
    return (
        b"".join(field(1, one) for one in nodes)
        + field(2, "toy")
        + b"".join(field(5, tensor(name, array)) for name, array in weights.items())
        + field(11, value_info(input_name, ["batch", "n_samples"]))
        + field(12, value_info("logits", ["batch", "n_steps", "n_labels"]))
        + extra
    )


def plain_card(**changes: Any) -> ModelCard:
    """A card of the toy model whose check vector is zeros: enough where no network runs."""
    card = ModelCard(
        name="toy",
        labels=LABELS,
        sample_rate=SAMPLE_RATE,
        window_samples=WINDOW_SAMPLES,
        step_samples=STEP_SAMPLES,
        decoder=DecoderSettings(),
        measured_on="nothing",
        architecture="tones",
        parameters=24,
        data=(DataSource("made tones", "CC0-1.0", "https://example.org"),),
        licence="Apache-2.0",
        tool_version="0",
        training={"seed": 0},
        check=CheckVector(n_samples=5_760, logits=(((0.0,) * 4,) * 4,) * 2),
    )
    return replace(card, **changes)


def toy_card(**changes: Any) -> ModelCard:
    """Card of the toy model, with its true check vector."""
    return plain_card(**{"check": _true_check(), **changes})


def toy_model(**changes: Any) -> bytes:
    """A complete model file of the toy model; `changes` go into its card."""
    return model(toy_graph(), {METADATA_KEY: toy_card(**changes).to_json()})


@cache
def _true_check() -> CheckVector:
    signals = check_signals(WINDOW_SAMPLES, STEP_SAMPLES)
    logits = Session(model(toy_graph())).run(signals).tolist()
    return CheckVector(signals.shape[1], tuple(tuple(map(tuple, signal)) for signal in logits))


def tone_recording(
    words: list[tuple[str, float]], duration_s: float, noise_rms: float = 0.002, seed: int = 0
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise with the toy words in it: (label, second at which its 0.3 s begin). Shape: (n_samples,)."""
    rng = np.random.default_rng(seed)
    waveform = rng.standard_normal(round(duration_s * SAMPLE_RATE)) * noise_rms
    length = round(0.3 * SAMPLE_RATE)
    time_s = np.arange(length) / SAMPLE_RATE
    for label, start_s in words:
        start = round(start_s * SAMPLE_RATE)
        tone = 0.3 * np.sin(2 * np.pi * TONES_HZ[label] * time_s)
        waveform[start : start + length] += tone[: max(0, len(waveform) - start)]
    return waveform.astype(np.float32)
