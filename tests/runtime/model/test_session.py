"""The onnxruntime session: what it accepts, and that wrong arithmetic does not pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import (
    LABELS,
    STEP_SAMPLES,
    WINDOW_SAMPLES,
    field,
    model,
    node,
    tone_recording,
    toy_card,
    toy_graph,
    value_info,
)

from speechcmd.errors import ModelError
from speechcmd.runtime.model.session import Session

pytestmark = pytest.mark.runtime

EMBEDDING = field(1, node("Identity", ["scores"], "embedding")) + field(
    12, value_info("embedding", ["batch", "n_features", "n_steps"])
)


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 7)])
def test_any_batch_and_length_run(batch: int, steps: int) -> None:
    waveforms = np.zeros((batch, WINDOW_SAMPLES + (steps - 1) * STEP_SAMPLES), dtype=np.float32)
    assert Session(model(toy_graph())).run(waveforms).shape == (batch, steps, len(LABELS))


def test_the_toy_model_keeps_the_contract_of_long_signals() -> None:
    """logits(long)[k] equals logits(window k): the runtime's blocks stand on it."""
    session = Session(model(toy_graph()))
    waveform = tone_recording([("low", 0.4)], 1.0)
    together = session.run(waveform[None])[0]
    for step, logits in enumerate(together):
        window = waveform[step * STEP_SAMPLES : step * STEP_SAMPLES + WINDOW_SAMPLES]
        np.testing.assert_allclose(session.run(window[None])[0, 0], logits, atol=1e-4, rtol=0)


def test_an_embedding_output_is_allowed() -> None:
    session = Session(model(toy_graph(EMBEDDING)))
    assert session.run(np.zeros((1, WINDOW_SAMPLES), dtype=np.float32)).shape == (1, 1, len(LABELS))


@pytest.mark.parametrize(
    "graph",
    [
        toy_graph(input_name="audio"),
        toy_graph(field(11, value_info("other", ["n"]))),
        toy_graph(field(12, value_info("energy", ["batch", "one", "n_steps"]))),
        toy_graph().replace(b"logits", b"result"),
    ],
    ids=["input name", "second input", "unknown output", "output name"],
)
def test_another_signature_is_refused(graph: bytes) -> None:
    with pytest.raises(ModelError, match="expected a network from 'waveform'"):
        Session(model(graph))


@pytest.mark.parametrize("content", [b"", b"garbage", model(field(1, node("NoSuch", [], "y")))])
def test_what_onnxruntime_cannot_open_is_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot open the model") as caught:
        Session(content)
    assert "\n" not in str(caught.value)


def test_an_input_shorter_than_the_window_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"failed on input \(1, 100\)") as caught:
        Session(model(toy_graph())).run(np.zeros((1, 100), dtype=np.float32))
    assert "\n" not in str(caught.value)


def test_values_that_are_no_numbers_are_an_error() -> None:
    broken = {"tiny": np.array([np.nan], dtype=np.float32)}
    with pytest.raises(ModelError, match=r"values that are not numbers \(processor"):
        Session(model(toy_graph(changed_weights=broken))).run(np.ones((1, WINDOW_SAMPLES), dtype=np.float32))


def test_the_true_check_vector_passes() -> None:
    Session(model(toy_graph())).verify(toy_card())


def test_a_wrong_check_vector_names_the_machine() -> None:
    card = toy_card()
    logits = np.array(card.check.logits)
    logits[1, 0, 2] += 0.01
    wrong = replace(card.check, logits=tuple(tuple(map(tuple, signal)) for signal in logits.tolist()))
    with pytest.raises(ModelError, match=r"differ by 0.01, .* \(processor .*, onnxruntime [0-9.]+\)"):
        Session(model(toy_graph())).verify(replace(card, check=wrong))
    Session(model(toy_graph())).verify(replace(card, check=replace(wrong, tolerance=0.02)))


@pytest.mark.parametrize(
    ("precision", "margins", "passes"), [("int8", 2, False), ("int8", 20, True), ("float32", 2, True)]
)
def test_an_int8_network_must_hear_the_same_labels(precision: str, margins: float, passes: bool) -> None:
    """Within the tolerance; but labels that lie closer than a tenth of it may change places."""
    card = toy_card(precision=precision)
    logits = np.array(card.check.logits)
    second, best = np.argsort(logits[1, 0])[-2:]
    margin = logits[1, 0, best] - logits[1, 0, second]
    logits[1, 0, second] += 1.1 * margin
    wrong = tuple(tuple(map(tuple, signal)) for signal in logits.tolist())
    card = replace(card, check=replace(card.check, logits=wrong, tolerance=margins * margin))
    session = Session(model(toy_graph()))
    if passes:
        session.verify(card)
        return
    with pytest.raises(ModelError, match=r"wrongly: it hears another label \(processor .*"):
        session.verify(card)


@pytest.mark.parametrize("change", [{"window_samples": 4_480}, {"step_samples": 640}])
def test_a_card_with_another_window_or_step_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="re-export"):
        Session(model(toy_graph())).verify(toy_card(**change))
