"""A network that goes on where its last run ended: the bytes of its model file, rewritten.

Without padding along time, a convolution needs of the audio before only the frames that its kernel still
covers. Each value that such a layer takes gets an input with those frames, which stand before the new ones,
and an output with those that the next run will need. So a run computes each frame once, and its answers
are those of the whole recording. The same idea as the buffers of "Streaming keyword spotting on mobile
devices" (Rybakov et al. 2020, arXiv 2005.06720), here done to the file and not to the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from speechcmd.arrays import AnyArray
from speechcmd.runtime.model.protobuf import (
    Value,
    as_message,
    as_text,
    read_fields,
    read_signed,
    read_varint,
    write_field,
)

# numbers of fields, from onnx.proto
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_WHOLE, _ATTRIBUTE_WHOLES, _ATTRIBUTE_TYPE = 1, 3, 8, 20
_TENSOR_DIMS, _TENSOR_KIND, _TENSOR_WHOLES, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 7, 8, 9
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE = 1, 2, 1, 1, 2
_KIND_FLOAT, _KIND_INT64, _ATTRIBUTE_IS_WHOLE = 1, 7, 2
_KINDS: dict[int, type[np.generic]] = {_KIND_FLOAT: np.float32, 2: np.uint8, 3: np.int8}

_FEATURES = "Log"  # the operator that gives the log-mel, frames along axis 1
_KERNELS = frozenset({"Conv", "AveragePool", "MaxPool"})
_SAME_AXES = _KERNELS | {
    "Add", "Sub", "Mul", "Div", "Relu", "Clip", "Sigmoid", "Tanh", "QuantizeLinear", "DequantizeLinear",
    "LayerNormalization", "MatMul", "Split", "Concat", "Slice",
}  # fmt: skip
_KERNEL_TIME_AXIS = 2
_TO_THE_END = 2**31  # a slice up to here or beyond takes all there is


@dataclass(frozen=True, slots=True)
class Carried:
    """A value whose last frames go from one run to the next."""

    before: str
    """Name of the input that takes them."""
    after: str
    """Name of the output that gives them."""
    n_frames: int
    axis: int
    """Along which the frames stand."""
    n_axes: int
    dtype: type[np.generic]

    def none_yet(self) -> AnyArray:
        """What a recording begins with: no frames."""
        shape = [1] * self.n_axes
        shape[self.axis] = 0
        return np.zeros(shape, dtype=self.dtype)


class CannotCarryError(Exception):
    """The network is not one whose frames can be carried over; the reason is for whoever looks."""


def carry_frames(model_bytes: bytes) -> tuple[bytes, tuple[Carried, ...]]:
    """Rewrite a model, whose structure was checked, so that a run continues the one before.

    Raises
    ------
    CannotCarryError
        If an operator after the front end is not known to keep frames apart.
    """
    parts = list(read_fields(memoryview(model_bytes)))
    (graph_bytes,) = (as_message(value) for number, value in parts if number == _MODEL_GRAPH)
    graph = _Graph(graph_bytes)
    carried = _find_carried(graph)
    rewritten = graph.with_carried(carried)
    written = [
        write_field(number, rewritten if number == _MODEL_GRAPH else value)
        for number, value in parts
        if number != _MODEL_METADATA
    ]
    return b"".join(written), tuple(carried.values())


@dataclass(slots=True)
class _Node:
    message: memoryview
    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, list[int]] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> bytes:
        """The node with other inputs."""
        parts = []
        for number, value in read_fields(self.message):
            if number == _NODE_INPUT:
                name = as_text(value)
                parts.append(write_field(number, names.get(name, name)))
            else:
                parts.append(write_field(number, value))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class _Constant:
    kind: int
    dims: tuple[int, ...]
    wholes: tuple[int, ...]


class _Graph:
    """Nodes in their order of computation, and constants by name."""

    def __init__(self, message: memoryview) -> None:
        self._message = message
        self.nodes: list[_Node] = []
        self.constants: dict[str, _Constant] = {}
        for number, value in read_fields(message):
            if number == _GRAPH_NODE:
                self.nodes.append(_read_node(as_message(value)))
            elif number == _GRAPH_TENSOR:
                name, constant = _read_constant(as_message(value))
                self.constants[name] = constant
        self.makers = {name: node for node in self.nodes for name in node.outputs}
        self.takers: dict[str, list[_Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.takers.setdefault(name, []).append(node)

    def with_carried(self, carried: Mapping[str, Carried]) -> bytes:
        """The graph with frames from before in front of those values, for the layers that cover several."""
        merged = {name: n for node in self.nodes for name in node.outputs if (n := _merged(self, node))}
        joined = {name: f"{name}.joined" for name in carried}
        parts: list[bytes] = []
        for node in self.nodes:
            names: Mapping[str, str] = joined
            if node.operator == "Reshape" and node.outputs[0] in merged:
                names = {node.inputs[1]: (shape := f"{node.outputs[0]}.shape")}
                parts.append(write_field(_GRAPH_TENSOR, _wholes(shape, 1, merged[node.outputs[0]], -1)))
            parts.append(write_field(_GRAPH_NODE, node.renamed(names)))
            for name in node.outputs:
                if name in carried:
                    parts += _joining_nodes(name, joined[name], carried[name])
        for number, value in read_fields(self._message):
            if number != _GRAPH_NODE:
                parts.append(write_field(number, value))
        for each in carried.values():
            parts += _declarations(each)
        return b"".join(parts)


def _read_node(message: memoryview) -> _Node:
    node = _Node(message)
    for number, value in read_fields(message):
        if number == _NODE_INPUT:
            node.inputs.append(as_text(value))
        elif number == _NODE_OUTPUT:
            node.outputs.append(as_text(value))
        elif number == _NODE_OPERATOR:
            node.operator = as_text(value)
        elif number == _NODE_ATTRIBUTE:
            name, wholes = _read_attribute(as_message(value))
            node.attributes[name] = wholes
    return node


def _read_attribute(message: memoryview) -> tuple[str, list[int]]:
    name, wholes = "", []
    for number, value in read_fields(message):
        if number == _ATTRIBUTE_NAME:
            name = as_text(value)
        elif number in (_ATTRIBUTE_WHOLE, _ATTRIBUTE_WHOLES):
            wholes += _read_wholes(value)
    return name, wholes


def _read_constant(message: memoryview) -> tuple[str, _Constant]:
    """Name and shape of a tensor, and its values if they are a few whole numbers of 64 bits."""
    name, kind, dims, wholes, raw = "", 0, [], [], memoryview(b"")
    for number, value in read_fields(message):
        if number == _TENSOR_NAME:
            name = as_text(value)
        elif number == _TENSOR_KIND and isinstance(value, int):
            kind = value
        elif number == _TENSOR_DIMS:
            dims += _read_wholes(value)
        elif number == _TENSOR_WHOLES:
            wholes += _read_wholes(value)
        elif number == _TENSOR_RAW:
            raw = as_message(value)
    if kind == _KIND_INT64 and not wholes:
        wholes = np.frombuffer(raw, dtype="<i8").tolist()
    return name, _Constant(kind, tuple(dims), tuple(wholes))


def _read_wholes(value: Value) -> list[int]:
    """A whole number, or several packed into bytes."""
    if isinstance(value, int):
        return [read_signed(value)]
    wholes, position = [], 0
    while position < len(value):
        whole, position = read_varint(value, position)
        wholes.append(read_signed(whole))
    return wholes


def _find_carried(graph: _Graph) -> dict[str, Carried]:
    """Every value, by name, whose last frames the next run needs."""
    axes = _time_axes(graph)
    carried: dict[str, Carried] = {}
    uncarried: set[str] = set()
    for node in graph.nodes:
        for name in node.inputs:
            if name not in axes:
                continue
            if node.operator == "DequantizeLinear":
                continue  # what takes its output decides
            needed = _frames_before(graph, node, axes[name][0]) if name == node.inputs[0] else 0
            source = _stored_form(graph, name)
            if not needed:
                uncarried.add(source)
                continue
            found = carried.setdefault(source, _carried(graph, source, axes[source], needed))
            if found.n_frames != needed:
                raise CannotCarryError(f"{node.operator} needs {needed} frames, another {found.n_frames}")
    if uncarried & set(carried):
        raise CannotCarryError("a layer over several frames shares its input with one over a single frame")
    if not carried:
        raise CannotCarryError("no layer covers several frames")
    return carried


def _time_axes(graph: _Graph) -> dict[str, tuple[int, int]]:
    """Of each value after the front end the axis of its frames, and how many axes it has."""
    features = [node for node in graph.nodes if node.operator == _FEATURES]
    if len(features) != 1:
        raise CannotCarryError(f"expected one logarithm, found {len(features)}")
    axes = {features[0].outputs[0]: (1, 3)}
    for node in graph.nodes:
        seen = {axes[name] for name in node.inputs if name in axes}
        if seen:
            if len(seen) > 1:
                raise CannotCarryError(f"{node.operator} joins frames along different axes")
            axis = _axes_after(graph, node, *seen.pop())
            axes.update(dict.fromkeys(node.outputs, axis))
    return axes


def _axes_after(graph: _Graph, node: _Node, axis: int, n_axes: int) -> tuple[int, int]:
    """Where the frames stand after a node."""
    if node.operator == "Transpose" and len(node.attributes.get("perm", ())) == n_axes:
        return node.attributes["perm"].index(axis), n_axes
    if node.operator in ("Unsqueeze", "Squeeze"):
        moved = sorted(_constant(graph, node, 1))
        if any(each < 0 for each in moved):
            raise CannotCarryError(f"{node.operator} counts axes from the end")
        if node.operator == "Unsqueeze":
            for each in moved:
                axis, n_axes = axis + (each <= axis), n_axes + 1
            return axis, n_axes
        return axis - sum(each < axis for each in moved), n_axes - len(moved)
    if node.operator == "Reshape" and _merged(graph, node) and (axis, n_axes) == (3, 4):
        return 2, 3
    if node.operator in ("Split", "Concat") and node.attributes.get("axis", [0])[0] in (axis, axis - n_axes):
        raise CannotCarryError(f"{node.operator} along time")
    if node.operator in _KERNELS and axis != _KERNEL_TIME_AXIS:
        raise CannotCarryError(f"{node.operator} over another axis than time")
    if node.operator not in _SAME_AXES:
        raise CannotCarryError(f"{node.operator} may mix frames")
    return axis, n_axes


def _merged(graph: _Graph, node: _Node) -> int:
    """Channels of the convolution that takes what a Reshape gives; 0 if it is none with one frame each.

    Files of earlier versions lay channels and bands side by side with it, frames last, and compute its shape
    from the length of the recording.
    """
    if node.operator != "Reshape":
        return 0
    taken = node
    while len(takers := graph.takers.get(taken.outputs[0], [])) == 1:
        taken = takers[0]
        if taken.operator == "Conv":
            weight = graph.constants.get(_stored_form(graph, taken.inputs[1]))
            return weight.dims[1] if weight is not None and len(weight.dims) == 3 else 0
        if taken.operator not in ("QuantizeLinear", "DequantizeLinear"):
            return 0
    return 0


def _frames_before(graph: _Graph, node: _Node, axis: int) -> int:
    """Frames of its input that a node needs from the run before."""
    if node.operator in _KERNELS:
        return _frames_under_kernel(graph, node)
    if node.operator == "Slice":
        return _frames_cut_off(graph, node, axis)
    return 0


def _frames_under_kernel(graph: _Graph, node: _Node) -> int:
    if node.operator == "Conv":
        weight = _stored_form(graph, node.inputs[1])
        if weight not in graph.constants:
            raise CannotCarryError("a convolution with computed weights")
        kernel = list(graph.constants[weight].dims[2:])
    else:
        kernel = node.attributes["kernel_shape"]
    ones, zeros = [1] * len(kernel), [0] * 2 * len(kernel)
    pads = node.attributes.get("pads", zeros)
    if pads[0] or pads[len(kernel)] or node.attributes.get("ceil_mode", [0])[0]:
        raise CannotCarryError(f"{node.operator} with padding along time")
    reach = (kernel[0] - 1) * node.attributes.get("dilations", ones)[0] + 1
    before = reach - node.attributes.get("strides", ones)[0]
    if before < 0:
        raise CannotCarryError(f"{node.operator} skips frames")
    return before


def _frames_cut_off(graph: _Graph, node: _Node, axis: int) -> int:
    starts, ends, axes = (_constant(graph, node, position) for position in (1, 2, 3))
    steps = _constant(graph, node, 4) if len(node.inputs) > 4 else [1]
    if list(axes) != [axis]:
        if axis in axes or any(each < 0 for each in axes):
            raise CannotCarryError("a slice along several axes")
        return 0
    start, end = starts[0], ends[0]
    if start < 0 or steps[0] != 1 or 0 <= end < _TO_THE_END:
        raise CannotCarryError("a slice that counts from the other end")
    return start - min(end, 0)


def _constant(graph: _Graph, node: _Node, position: int) -> tuple[int, ...]:
    name = node.inputs[position] if position < len(node.inputs) else ""
    if name not in graph.constants:
        raise CannotCarryError(f"{node.operator} by numbers that are computed")
    return graph.constants[name].wholes


def _stored_form(graph: _Graph, name: str) -> str:
    """The value itself, or the whole numbers that it is made of: those are smaller."""
    maker = graph.makers.get(name)
    return maker.inputs[0] if maker is not None and maker.operator == "DequantizeLinear" else name


def _carried(graph: _Graph, name: str, axes: tuple[int, int], n_frames: int) -> Carried:
    maker, kind = graph.makers[name], _KIND_FLOAT
    if maker.operator == "QuantizeLinear":
        kind = graph.constants[maker.inputs[2]].kind
    return Carried(f"{name}.before", f"{name}.after", n_frames, *axes, _KINDS[kind])


def _joining_nodes(name: str, joined: str, carried: Carried) -> Iterator[bytes]:
    """Frames from before in front of a value, and the last ones of both for the run after."""
    axis = write_field(_ATTRIBUTE_NAME, "axis") + write_field(_ATTRIBUTE_WHOLE, carried.axis)
    axis += write_field(_ATTRIBUTE_TYPE, _ATTRIBUTE_IS_WHOLE)
    yield write_field(_GRAPH_NODE, _node("Concat", [carried.before, name], joined, axis))
    bounds = [f"{name}.{each}" for each in ("from", "to", "axis")]
    yield write_field(_GRAPH_NODE, _node("Slice", [joined, *bounds], carried.after))
    for bound, whole in zip(bounds, (-carried.n_frames, 2**62, carried.axis), strict=True):
        yield write_field(_GRAPH_TENSOR, _wholes(bound, whole))


def _node(operator: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    parts = [write_field(_NODE_INPUT, name) for name in inputs]
    parts += [write_field(_NODE_OUTPUT, output), write_field(_NODE_OPERATOR, operator)]
    if attribute:
        parts.append(write_field(_NODE_ATTRIBUTE, attribute))
    return b"".join(parts)


def _wholes(name: str, *wholes: int) -> bytes:
    return (
        write_field(_TENSOR_DIMS, len(wholes))
        + write_field(_TENSOR_KIND, _KIND_INT64)
        + write_field(_TENSOR_NAME, name)
        + write_field(_TENSOR_RAW, np.array(wholes, dtype="<i8").tobytes())
    )


def _declarations(carried: Carried) -> Iterator[bytes]:
    """Input and output of so many axes, of any size."""
    kind = next(number for number, dtype in _KINDS.items() if dtype is carried.dtype)
    shape = write_field(1, b"") * carried.n_axes
    tensor = write_field(_TENSOR_ELEMENT, kind) + write_field(_TENSOR_SHAPE, shape)
    declared = write_field(_VALUE_TYPE, write_field(_TYPE_TENSOR, tensor))
    yield write_field(_GRAPH_INPUT, write_field(_VALUE_NAME, carried.before) + declared)
    yield write_field(_GRAPH_OUTPUT, write_field(_VALUE_NAME, carried.after) + declared)
