"""The front end's DFT in a model file: folded frames times matrices that the file computes itself.

Two rewrites of what the exporter writes, a convolution with half a megabyte of windowed cosines. First, the
power of a bin does not depend on where time begins. Counted from the middle of a frame the cosines are even
and the sines odd, and so is the window: the sums and differences of the samples before and after the middle
hold all there is, and half the multiplications are saved. Second, a file that carries the matrices is 40 %
larger for numbers that a formula gives: the runtime folds these operators into constants when it loads the
file, so nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.frontend import FrontEndConfig
from speechcmd.errors import ExportError

BASIS_SUFFIX = "frontend.basis"
FILTERS_SUFFIX = "frontend.filters"

_INPUT = "waveform"
_END = 2**62  # a slice that begins or ends here takes all there is
_BLOCK_SAMPLES = 16  # reversed by a product with a small matrix: sample by sample takes four times as long


def fold_dft(model: onnx.ModelProto, config: FrontEndConfig) -> None:
    """Replace the convolution with the DFT basis, up to the mel bands, by the folded form, in place.

    Raises
    ------
    ExportError
        If the model has no such convolution, or its frames are not a whole number of hops.
    """
    n_hops, rest = divmod(config.win_length, config.hop_length)
    if n_hops < 2 or rest or config.hop_length % _BLOCK_SAMPLES:
        raise ExportError(
            f"expected a window of two or more whole hops, and hops of whole blocks of {_BLOCK_SAMPLES} "
            f"samples, got {config.win_length} and {config.hop_length}; nothing was written"
        )
    graph = model.graph
    basis = _only([entry.name for entry in graph.initializer if entry.name.endswith(BASIS_SUFFIX)], "basis")
    filters = _only([each for each in graph.initializer if each.name.endswith(FILTERS_SUFFIX)], "filter bank")
    bands = _only([node for node in graph.node if filters.name in node.input], "product with the filter bank")
    nodes = list(graph.node)
    position = nodes.index(bands)
    replaced = _nodes_between(nodes, basis, bands)
    folded = _Folded(config, n_bins=filters.dims[0])
    folded.compute_bands(filters.name, bands.output[0])
    kept = [node for node in nodes[:position] if node not in replaced]
    del graph.node[:]
    graph.node.extend([*kept, *folded.nodes, *nodes[position + 1 :]])
    graph.initializer.extend(folded.constants)
    _drop_unused(graph)


def _only(found: list[Any], what: str) -> Any:
    if len(found) != 1:
        raise ExportError(
            f"expected one DFT {what} in the exported network, found {len(found)}; nothing was written"
        )
    return found[0]


def _nodes_between(nodes: list[onnx.NodeProto], name: str, last: onnx.NodeProto) -> list[onnx.NodeProto]:
    """What depends on a value, up to one node."""
    reached, between = {name}, []
    for node in nodes[: nodes.index(last) + 1]:
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
            between.append(node)
    return between


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and constants of which nothing is left to make use."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            wanted.update(node.input)
            kept.append(node)
    constants = [entry for entry in graph.initializer if entry.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)


class _Folded:
    """Nodes and constants, in their order of computation."""

    def __init__(self, config: FrontEndConfig, n_bins: int) -> None:
        self._config = config
        self._n_bins = n_bins
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def compute_bands(self, filters: str, output: str) -> None:
        """From the waveform to the power in each band.

        Shape: (batch, n_samples) -> (batch, n_frames, n_mels).
        """
        cosines, sines = self._waves()
        after, before = self._half_frames()
        real = self._add("MatMul", self._add("Add", after, before), cosines)
        imaginary = self._add("MatMul", self._add("Sub", after, before), sines)
        power = self._add("Add", self._add("Mul", real, real), self._add("Mul", imaginary, imaginary))
        self._add("MatMul", power, filters, output=output)

    def _half_frames(self) -> tuple[str, str]:
        """Samples from the middle of each frame on, and from the middle back.

        Sample i of hop j has its mirror image in hop n - 1 - j of the n in a frame, at i if that hop is taken
        from one sample later and reversed. Shape of both: (batch, n_frames, win_length / 2).
        """
        hop, win_length = self._config.hop_length, self._config.win_length
        n_samples = self._add("Shape", _INPUT, start=1, end=2)
        n_hops = self._add("Div", n_samples, self._whole([hop]))
        end = self._add("Mul", n_hops, self._whole([hop]))
        hops = self._rows(self._slice(_INPUT, [0], end, [1]), hop)
        mirrored = self._reverse_rows(
            self._slice(_INPUT, [1], self._add("Sub", end, self._whole([hop - 1])), [1]), hop
        )
        n = win_length // hop
        after, before = [], []
        for j in range(n // 2, n):
            first = max(0, win_length // 2 - j * hop)
            after.append(self._slice(hops, [j, first], [j - n + 1 or _END, _END], [1, 2]))
            before.append(self._slice(mirrored, [n - 1 - j, first], [1 - j or _END, _END], [1, 2]))
        return self._add("Concat", *after, axis=2), self._add("Concat", *before, axis=2)

    def _rows(self, samples: str, length: int) -> str:
        return self._add("Reshape", samples, self._whole([0, -1, length]))

    def _reverse_rows(self, samples: str, length: int) -> str:
        """Rows of some length, each backwards: blocks by a matrix, then the order of the blocks."""
        numbers = self._count(_BLOCK_SAMPLES)
        row = self._add(
            "Unsqueeze", self._add("Sub", self._whole(_BLOCK_SAMPLES - 1), numbers), self._whole([1])
        )
        exchange = self._add("Cast", self._add("Equal", numbers, row), to=TensorProto.FLOAT)
        blocks = self._add("MatMul", self._rows(samples, _BLOCK_SAMPLES), exchange)
        shape = self._whole([0, -1, length // _BLOCK_SAMPLES, _BLOCK_SAMPLES])
        backwards = self._slice(self._add("Reshape", blocks, shape), [-1], [-_END], [2], [-1])
        return self._rows(backwards, length)

    def _waves(self) -> tuple[str, str]:
        """Windowed cosines and sines from the middle of a frame on. Shape: (win_length / 2, n_bins)."""
        config = self._config
        samples = self._count(config.win_length // 2)
        column = self._add("Unsqueeze", samples, self._whole([1]))
        turns = self._add("Mul", column, self._count(self._n_bins))
        # whole turns are taken off in integers, as in `models.frontend.dft_basis`: exact for every bin
        angles = self._scaled(self._add("Mod", turns, self._whole(config.n_fft)), 2 * np.pi / config.n_fft)
        swing = self._add("Cos", self._scaled(column, 2 * np.pi / config.win_length))
        window = self._scaled(swing, 0.5, plus=0.5)
        # the middle sample is its own mirror image: it comes twice
        once = self._scaled(self._add("Min", column, self._whole(1)), 0.5, plus=0.5)
        window = self._add("Mul", window, once)
        waves = []
        for kind in ("Cos", "Sin"):
            wave = self._add("Mul", self._add(kind, angles), window)
            waves.append(self._add("Cast", wave, to=TensorProto.FLOAT))
        return waves[0], waves[1]

    def _count(self, n: int) -> str:
        return self._add("Range", self._whole(0), self._whole(n), self._whole(1))

    def _scaled(self, values: str, factor: float, plus: float = 0.0) -> str:
        """In float64: values * factor + plus."""
        values = self._add("Cast", values, to=TensorProto.DOUBLE)
        scaled = self._add("Mul", values, self._constant(np.float64(factor)))
        return self._add("Add", scaled, self._constant(np.float64(plus))) if plus else scaled

    def _slice(
        self,
        values: str,
        starts: list[int],
        ends: list[int] | str,
        axes: list[int],
        steps: list[int] | None = None,
    ) -> str:
        stop = ends if isinstance(ends, str) else self._whole(ends)
        inputs = [self._whole(starts), stop, self._whole(axes)]
        return self._add("Slice", values, *inputs, *([self._whole(steps)] if steps else []))

    def _whole(self, value: int | list[int]) -> str:
        return self._constant(np.array(value, np.int64))

    def _constant(self, value: Any) -> str:
        array = np.asarray(value)
        name = "dft/" + "_".join(map(str, (array.dtype.kind, *np.shape(array), *array.flat)))
        if all(entry.name != name for entry in self.constants):
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"dft/{len(self.nodes)}_{kind.lower()}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output
