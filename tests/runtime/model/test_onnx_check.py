"""The look into a model's bytes: what it finds, what it refuses, and that nothing else ever comes out."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from fakes import field, model, node, tensor, toy_graph, toy_model, varint
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.errors import ModelError
from speechcmd.runtime.model.onnx_check import inspect_model

pytestmark = pytest.mark.runtime

SMALL = np.zeros(3, dtype=np.float32)
EXTERNAL = field(14, 1)
EXTERNAL_PLACE = field(13, field(1, "location") + field(2, "weights.bin"))
MODEL = toy_model()


def refuse(graph: bytes, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        inspect_model(model(graph))
    assert "\n" not in str(caught.value)


def test_metadata_and_operator_sets_are_found() -> None:
    facts = inspect_model(model(toy_graph(), {"a": "1", "größe": "ü"}))
    assert facts.metadata == {"a": "1", "größe": "ü"}
    assert facts.opsets == {"": 17}


@pytest.mark.parametrize("mark", [EXTERNAL, EXTERNAL_PLACE])
@pytest.mark.parametrize("place", ["initializer", "attribute", "list", "sparse"])
def test_weights_in_another_file_are_refused_wherever_they_hide(place: str, mark: bytes) -> None:
    hidden = tensor("w", SMALL) + mark
    attribute = {
        "attribute": field(5, hidden),
        "list": field(10, hidden),
        "sparse": field(22, field(1, hidden)),
    }
    if place == "initializer":
        refuse(field(5, hidden), "another file")
        return
    refuse(field(1, node("Constant", [], "c", field(1, "value") + attribute[place])), "another file")


def test_an_explicit_default_location_is_fine() -> None:
    inspect_model(model(field(5, tensor("w", SMALL) + field(14, 0))))


@pytest.mark.parametrize("domain", ["com.microsoft", "evil", "ai.onnx.ml"])
def test_other_operators_are_refused(domain: str) -> None:
    refuse(field(1, node("Anything", [], "y", domain=domain)), f"operators of '{domain}'")
    with pytest.raises(ModelError, match=f"operators of '{domain}'"):
        inspect_model(model(toy_graph()) + field(8, field(1, domain) + field(2, 1)))


def test_the_long_name_of_the_standard_domain_is_fine() -> None:
    facts = inspect_model(model(b"", opset=field(1, "ai.onnx") + field(2, 18)))
    assert facts.opsets == {"ai.onnx": 18}


@pytest.mark.parametrize(
    "dims",
    [
        field(1, 2**40),
        field(1, 2**20) + field(1, 2**20),
        field(1, 2**64 - 1),  # -1
        field(1, 0) + field(1, 2**62),
        field(1, varint(2**20) + varint(2**20)),  # packed
        field(1, 1) * 17,
        field(1, varint(1) * 1_000_000),
    ],
)
def test_absurd_shapes_are_refused(dims: bytes) -> None:
    refuse(field(5, dims + field(2, 1)), "a tensor of shape")


@pytest.mark.parametrize("number", [6, 11], ids=["one", "a list"])
def test_graphs_within_graphs_are_refused(number: int) -> None:
    refuse(field(1, node("Identity", ["x"], "y", field(1, "body") + field(number, b""))), "a graph within")


@pytest.mark.parametrize("number", [11, 12, 13], ids=["input", "output", "value between"])
@pytest.mark.parametrize(
    ("dimension", "fits"), [(2**28, True), (2**28 + 1, False), (2**64 - 1, False), (b"x", False)]
)
def test_absurd_dimensions_of_values_are_refused(number: int, dimension: int | bytes, fits: bool) -> None:
    shape = field(1, field(2, "batch")) + field(1, field(1, dimension))
    graph = field(number, field(1, "x") + field(2, field(1, field(1, 1) + field(2, shape))))
    if fits:
        inspect_model(model(graph))
    else:
        refuse(graph, "absurd dimension")


def test_functions_are_refused() -> None:
    with pytest.raises(ModelError, match="found functions"):
        inspect_model(model(toy_graph()) + field(25, field(1, "f")))


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "RandomNormal", "StringConcat", ""])
def test_operators_that_no_network_needs_are_refused(operator: str) -> None:
    refuse(field(1, node(operator, ["x"], "y")), f"needs the operator '{operator}'")


def test_floods_of_operators_outputs_and_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(field(12, b"") * 17, "more than 5000 operators or 16 outputs")
    inspect_model(model(field(12, b"") * 16))
    with pytest.raises(ModelError, match="1048591 bytes of text"):
        inspect_model(model(b"", {"speechcmd": "x" * 2**20}))
    monkeypatch.setattr("speechcmd.runtime.model.onnx_check._MAX_NODES", 3)
    inspect_model(model(field(1, node("Relu", ["x"], "y")) * 3))
    refuse(field(1, node("Relu", ["x"], "y")) * 4, "more than 3 operators")


def test_a_flood_of_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechcmd.runtime.model.onnx_check._MAX_FIELDS", 100)
    refuse(field(13, b"") * 200, "more than 100 fields")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF....WAVE",
        field(1, 8),
        model(b"") + field(7, b""),  # two graphs
        field(7, b""),  # no operator set
        field(7, 3) + field(8, field(2, 17)),  # a number where a graph belongs
        model(b"") + field(14, field(1, b"\xff\xfe")),  # a key that is no text
        model(b"") + b"\x0b",  # a group
        model(b"") + b"\x80" * 11,
    ],
)
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        inspect_model(content)


def test_training_information_is_refused() -> None:
    with pytest.raises(ModelError, match="training information"):
        inspect_model(model(b"") + field(20, b""))


def test_fixed_width_fields_are_passed_over() -> None:
    inspect_model(model(b"") + varint(50 << 3 | 1) + b"x" * 8 + varint(51 << 3 | 5) + b"x" * 4)


@settings(deadline=None)
@given(length=st.integers(0, len(MODEL) - 1))
def test_a_truncated_model_is_refused_or_lacks_its_end(length: int) -> None:
    try:
        facts = inspect_model(MODEL[:length])
    except ModelError:
        return
    assert "speechcmd" not in facts.metadata  # cut exactly between two fields


@settings(deadline=None)
@given(garbage=st.binary(max_size=200))
def test_garbage_is_a_model_error_or_nothing(garbage: bytes) -> None:
    with pytest.raises(ModelError):
        inspect_model(garbage)


@settings(deadline=None)
@given(position=st.integers(0, len(MODEL) - 1), garbage=st.binary(min_size=1, max_size=8))
def test_damage_anywhere_is_a_model_error_or_harmless(position: int, garbage: bytes) -> None:
    damaged = MODEL[:position] + garbage + MODEL[position + len(garbage) :]
    with suppress(ModelError):
        inspect_model(damaged)
