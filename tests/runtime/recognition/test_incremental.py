"""Live listening computes each frame once: its answers are those of whole windows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper
from toy_run import toy_export

from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.samples import Waveform
from speechcmd.runtime.model.carried_frames import CannotCarryError, carry_frames
from speechcmd.runtime.model.model_file import load_model_file, released_models
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.incremental import IncrementalNetwork, open_incremental
from speechcmd.runtime.recognition.recognizer import Recognizer

LARGEST_DIFFERENCE = 1e-5  # of logits and posteriors: float32 sums in another order
# networks without padding along time, and one whose windows share what is computed of their frames
CARRIED = ("toy-cnn", "toy-gru")


@functools.cache
def opened(source: str) -> tuple[Session, IncrementalNetwork | None]:
    """A released model, or a toy one."""
    model_bytes, card = load_model_file(toy_path(source[4:]) if source.startswith("toy-") else source)
    session = Session(model_bytes)
    return session, open_incremental(model_bytes, card, session)


def toy_path(architecture: str) -> str:
    return str(toy_export(architecture).path)


def sound(n_samples: int) -> Waveform:
    """Noise that swells and fades, so that no two windows are alike."""
    swell = 1.0 + np.sin(np.arange(n_samples, dtype=np.float32) / 900.0)
    return white_noise(n_samples, seed=5) * np.float32(0.05) * swell.astype(np.float32)


def run_spans(network: IncrementalNetwork, waveform: Waveform, steps: list[int]) -> np.ndarray:
    """Spans of so many steps, as a stream gives them."""
    run, first, parts = network.begin(), 0, []
    for n_steps in steps:
        begin = first * network.card.step_samples
        span = waveform[
            begin : begin + network.card.window_samples + (n_steps - 1) * network.card.step_samples
        ]
        parts.append(run(span))
        first += n_steps
    return np.concatenate(parts)


@pytest.mark.parametrize("source", [*CARRIED, "cnn35"])
@pytest.mark.parametrize("steps", [[1, 1, 1, 1, 1, 1], [2, 2, 2], [1, 4, 1], [6]])
def test_any_spans_give_the_logits_of_the_whole(source: str, steps: list[int]) -> None:
    session, network = opened(source)
    assert network is not None
    waveform = sound(network.card.window_samples + 5 * network.card.step_samples)
    whole = session.run(waveform[None])[0]
    computed = run_spans(network, waveform, steps)
    assert computed.shape == whole.shape
    assert np.abs(computed - whole).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("source", released_models())
def test_released_models_go_on_where_they_ended(source: str) -> None:
    if source == "gru":
        pytest.skip("its file has the older form, which computes all of a window")
    assert opened(source)[1] is not None


def test_recordings_do_not_share_what_they_carry() -> None:
    _, network = opened("toy-cnn")
    assert network is not None
    one = sound(network.card.window_samples + 3 * network.card.step_samples)
    other = one[::-1].copy()
    alone = run_spans(network, one, [1, 1, 1, 1])
    first, second = network.begin(), network.begin()
    step, window = network.card.step_samples, network.card.window_samples
    together = []
    for k in range(4):
        together.append(first(one[k * step : k * step + window]))
        second(other[k * step : k * step + window])
    assert np.array_equal(np.concatenate(together), alone)


@pytest.mark.parametrize("source", ["cnn", "gru", "lstm"])
def test_live_is_what_a_file_gives(source: str) -> None:
    """Words, also after a gap, and whether or not the network can go on where it ended."""
    recognizer = Recognizer.load(toy_path(source))
    settings = recognizer.card.decoder.override(threshold=0.3)
    waveform = sound(16_000 * 4)
    live, file = (recognizer.stream(update_s=update_s, settings=settings) for update_s in (0.06, 10.0))
    for stream in (live, file):
        stream.heard = []  # type: ignore[attr-defined]
        for begin in range(0, len(waveform), 700):
            stream.heard += stream.feed(waveform[begin : begin + 700])  # type: ignore[attr-defined]
            if begin == 35_000:
                stream.heard += stream.gap(4_000)  # type: ignore[attr-defined]
        stream.heard += stream.flush()  # type: ignore[attr-defined]
    pairs = list(zip(live.heard, file.heard, strict=True))  # type: ignore[attr-defined]
    for one, other in pairs:
        assert one.label == other.label
        assert one.score == pytest.approx(other.score, abs=LARGEST_DIFFERENCE)
        assert replace(one, score=0.0) == replace(other, score=0.0)


def test_a_network_that_runs_each_window_alone_stays_as_it_is() -> None:
    assert opened("toy-lstm")[1] is None


@pytest.mark.parametrize(
    "front_end",
    [None, 3, [], {}, {"win_length": "480", "hop_length": 160}, {"win_length": 160, "hop_length": 160}],
)
def test_a_card_without_a_front_end_stays_as_it_is(front_end: object) -> None:
    model_bytes, card = load_model_file(toy_path("cnn"))
    other = replace(card, training={} if front_end is None else {"front_end": front_end})
    assert open_incremental(model_bytes, other, Session(model_bytes)) is None


def change_node(operator: str, change: Callable[[onnx.NodeProto], None]) -> bytes:
    model = onnx.load(toy_path("cnn"))
    after = next(k for k, node in enumerate(model.graph.node) if node.op_type == "Log")
    change(next(node for node in list(model.graph.node)[after:] if node.op_type == operator))
    return model.SerializeToString()


def set_attribute(name: str, value: list[int]) -> Callable[[onnx.NodeProto], None]:
    def change(node: onnx.NodeProto) -> None:
        for attribute in [each for each in node.attribute if each.name == name]:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute(name, value))

    return change


@pytest.mark.parametrize(
    ("operator", "name", "value", "reason"),
    [
        ("Conv", "pads", [2, 2, 2, 2], "padding along time"),
        ("Conv", "strides", [9, 2], "skips frames"),
        ("Transpose", "perm", [0, 1], "may mix frames"),
    ],
)
def test_what_is_not_known_to_keep_frames_apart_is_refused(
    operator: str, name: str, value: list[int], reason: str
) -> None:
    with pytest.raises(CannotCarryError, match=reason):
        carry_frames(change_node(operator, set_attribute(name, value)))


def test_a_network_that_hears_something_else_so_is_not_used() -> None:
    """A batch norm's mean over the recording, say, would pass the rules and fail the comparison."""
    model_bytes, card = load_model_file(toy_path("cnn"))
    other = Session(load_model_file("cnn35")[0])
    assert open_incremental(model_bytes, card, other) is None
