"""Look into the bytes of an ONNX file before anything executes them.

A walk over the protobuf wire format (numbers of fields from onnx.proto). It finds the metadata and refuses
what a released model never holds: weights in other files, graphs within graphs, functions, operators that
no network of ours needs, absurd shapes and sizes.
Nothing is copied; only the structure is visited, never the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from speechcmd.errors import ModelError
from speechcmd.runtime.model.allowed_operators import ALLOWED_OPERATORS
from speechcmd.runtime.model.protobuf import Value, as_message, as_text, read_fields, read_varint

_OWN_DOMAINS = {"", "ai.onnx"}
_MAX_FIELDS = 500_000  # a hostile file of tiny fields must not keep us busy for minutes
_MAX_NODES = 5_000  # each is work: ten times what a large network has
_MAX_METADATA_BYTES = 2**20  # a card has some kilobytes, and Python makes a hundred times its size of it
_MAX_OUTPUTS = 16
_MAX_ELEMENTS = 2**28  # of one tensor
_MAX_DIMENSIONS = 16

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_METADATA, _MODEL_TRAINING, _MODEL_FUNCTION = 7, 8, 14, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE, _GRAPH_SPARSE = 1, 5, 11, 12, 13, 15
_VALUE_DIMENSION = (2, 1, 2, 1, 1)  # type, tensor type, shape, dimension, value
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_TENSOR_DIMS, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 13, 14
# attributes hold tensors, graphs and sparse tensors, each alone or as a list
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = {5, 10}, {6, 11}, {22, 23}


@dataclass(slots=True)
class ModelFacts:
    """What the structure of a model file says."""

    metadata: dict[str, str] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    """Version of each operator set, by domain."""


def inspect_model(model_bytes: bytes) -> ModelFacts:
    """Walk through a whole ONNX model and return its metadata and operator sets.

    Raises
    ------
    ModelError
        If the bytes are not a complete ONNX model, or hold what a model file of ours may not hold.
    """
    return _Walker().model(memoryview(model_bytes))


class _Walker:
    def __init__(self) -> None:
        self._fields_left = _MAX_FIELDS
        self._nodes = 0
        self._outputs = 0

    def model(self, message: memoryview) -> ModelFacts:
        facts = ModelFacts()
        graphs = 0
        for number, value in self._fields(message):
            if number == _MODEL_GRAPH:
                self._graph(as_message(value))
                graphs += 1
            elif number == _MODEL_OPSET:
                domain, version = self._opset(as_message(value))
                facts.opsets[domain] = version
            elif number == _MODEL_METADATA:
                key, text = self._metadata(as_message(value))
                facts.metadata[key] = text
            elif number == _MODEL_FUNCTION:  # they may call each other, and themselves
                raise ModelError(
                    "expected a plain network, found functions in the model", advice="export it again"
                )
            elif number == _MODEL_TRAINING:
                raise ModelError("expected a network for recognition, found training information in the file")
        if graphs != 1 or not facts.opsets:
            raise ModelError("not an ONNX model: a graph and its operator set must be there")
        return facts

    def _graph(self, message: memoryview) -> None:
        for number, value in self._fields(message):
            if number == _GRAPH_NODE:
                self._node(as_message(value))
            elif number == _GRAPH_TENSOR:
                self._tensor(as_message(value))
            elif number == _GRAPH_SPARSE:
                self._sparse(as_message(value))
            elif number in (_GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE):
                self._value(as_message(value))
                self._outputs += number == _GRAPH_OUTPUT
            if self._nodes > _MAX_NODES or self._outputs > _MAX_OUTPUTS:
                limits = f"{_MAX_NODES} operators or {_MAX_OUTPUTS} outputs"
                raise ModelError(f"damaged or hostile ONNX model: more than {limits}")

    def _node(self, message: memoryview) -> None:
        self._nodes += 1
        operator, domain = "", ""
        for number, value in self._fields(message):
            if number == _NODE_ATTRIBUTE:
                self._attribute(as_message(value))
            elif number == _NODE_DOMAIN:
                domain = as_text(value)
            elif number == _NODE_OPERATOR:
                operator = as_text(value)
        _check_domain(domain)
        _check_operator(operator)

    def _attribute(self, message: memoryview) -> None:
        for number, value in self._fields(message):
            if number in _ATTRIBUTE_TENSORS:
                self._tensor(as_message(value))
            elif number in _ATTRIBUTE_GRAPHS:
                raise ModelError(
                    "expected a plain network, found a graph within the graph", advice="export it again"
                )
            elif number in _ATTRIBUTE_SPARSE:
                self._sparse(as_message(value))

    def _value(self, message: memoryview) -> None:
        """A declared value: some versions of onnxruntime count up to the dimensions it claims."""
        for dimension in self._at(message, _VALUE_DIMENSION):
            if not isinstance(dimension, int) or dimension > _MAX_ELEMENTS:
                raise ModelError("damaged or hostile ONNX model: a value with an absurd dimension")

    def _at(self, message: memoryview, path: tuple[int, ...]) -> Iterator[Value]:
        """All fields at a path of field numbers."""
        for number, value in self._fields(message):
            if number == path[0] and len(path) == 1:
                yield value
            elif number == path[0]:
                yield from self._at(as_message(value), path[1:])

    def _sparse(self, message: memoryview) -> None:
        for number, value in self._fields(message):
            if number in (1, 2):  # values, indices
                self._tensor(as_message(value))

    def _tensor(self, message: memoryview) -> None:
        dims: list[int] = []
        for number, value in self._fields(message):
            if number == _TENSOR_DIMS:
                dims += [value] if isinstance(value, int) else self._packed(value)
            elif number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
                raise ModelError("the weights lie in another file; expected one file that holds everything")
        if len(dims) > _MAX_DIMENSIONS or max(math.prod(dims), *dims, 0) > _MAX_ELEMENTS:
            raise ModelError(f"damaged or hostile ONNX model: a tensor of shape {dims!s:.60}")

    def _opset(self, message: memoryview) -> tuple[str, int]:
        domain, version = "", 0
        for number, value in self._fields(message):
            if number == 1:
                domain = as_text(value)
            elif number == 2 and isinstance(value, int):
                version = value
        _check_domain(domain)
        return domain, version

    def _metadata(self, message: memoryview) -> tuple[str, str]:
        if len(message) > _MAX_METADATA_BYTES:
            raise ModelError(f"damaged or hostile ONNX model: {len(message)} bytes of text in one entry")
        pair = {1: "", 2: ""}
        for number, value in self._fields(message):
            if number in pair:
                pair[number] = as_text(value)
        return pair[1], pair[2]

    def _packed(self, values: memoryview) -> list[int]:
        numbers: list[int] = []
        position = 0
        while position < len(values):
            number, position = read_varint(values, position)
            numbers.append(number)
            if len(numbers) > _MAX_DIMENSIONS:
                break
        return numbers

    def _fields(self, message: memoryview) -> Iterator[tuple[int, Value]]:
        for number, value in read_fields(message):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ModelError(f"damaged or hostile ONNX model: more than {_MAX_FIELDS} fields")
            yield number, value


def _check_domain(domain: str) -> None:
    if domain not in _OWN_DOMAINS:
        raise ModelError(
            f"the model needs operators of {domain!r:.60}; expected standard ONNX operators only"
        )


def _check_operator(operator: str) -> None:
    if operator not in ALLOWED_OPERATORS:
        raise ModelError(
            f"the model needs the operator {operator!r:.60}; expected those that recognition needs "
            "(no loops, branches, random values or text)"
        )
