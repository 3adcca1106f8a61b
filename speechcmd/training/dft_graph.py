"""The front end's DFT basis as operators instead of half a megabyte of constants.

A model file that carries the basis is 40 % larger for numbers that a formula gives. The runtime
folds these operators into a constant when it loads the file, so nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.frontend import FrontEndConfig
from speechcmd.errors import ExportError

BASIS_SUFFIX = "frontend.basis"


def replace_basis(model: onnx.ModelProto, config: FrontEndConfig) -> None:
    """Replace the initializer of the DFT basis by operators that compute it, in place.

    Raises
    ------
    ExportError
        If the model has no such initializer.
    """
    graph = model.graph
    found = [entry for entry in graph.initializer if entry.name.endswith(BASIS_SUFFIX)]
    if len(found) != 1:
        raise ExportError(
            f"expected one DFT basis in the exported network, found {len(found)}; nothing was written"
        )
    n_bins = found[0].dims[0] // 2
    name = found[0].name
    graph.initializer.remove(found[0])
    constants, nodes = _basis_nodes(name, n_bins, config)
    graph.initializer.extend(constants)
    for position, node in enumerate(nodes):
        graph.node.insert(position, node)


def _basis_nodes(
    output: str, n_bins: int, config: FrontEndConfig
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Constants and nodes for `models.frontend.dft_basis`: angles in whole numbers, cosines in float64."""
    values = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "n_bins": np.int64(n_bins),
        "win_length": np.int64(config.win_length),
        "n_fft": np.int64(config.n_fft),
        "column": np.array([1], np.int64),
        "channel": np.array([1], np.int64),
        "per_bin": np.float64(2 * np.pi / config.n_fft),
        "per_sample": np.float64(2 * np.pi / config.win_length),
        "half": np.float64(0.5),
    }
    constants = [numpy_helper.from_array(np.asarray(value), f"dft/{key}") for key, value in values.items()]
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Range", ["zero", "n_bins", "one"], "bins", {}),
        ("Range", ["zero", "win_length", "one"], "samples", {}),
        ("Unsqueeze", ["bins", "column"], "bin_column", {}),
        ("Mul", ["bin_column", "samples"], "turns", {}),
        ("Mod", ["turns", "n_fft"], "part_turns", {}),
        ("Cast", ["part_turns"], "part_turns_float", {"to": TensorProto.DOUBLE}),
        ("Mul", ["part_turns_float", "per_bin"], "angles", {}),
        ("Cast", ["samples"], "samples_float", {"to": TensorProto.DOUBLE}),
        ("Mul", ["samples_float", "per_sample"], "window_angles", {}),
        ("Cos", ["window_angles"], "window_cosine", {}),
        ("Mul", ["window_cosine", "half"], "window_swing", {}),
        ("Sub", ["half", "window_swing"], "window", {}),
        ("Cos", ["angles"], "cosine", {}),
        ("Sin", ["angles"], "sine", {}),
        ("Neg", ["sine"], "minus_sine", {}),
        ("Concat", ["cosine", "minus_sine"], "waves", {"axis": 0}),
        ("Mul", ["waves", "window"], "windowed", {}),
        ("Unsqueeze", ["windowed", "channel"], "as_filters", {}),
        ("Cast", ["as_filters"], "", {"to": TensorProto.FLOAT}),
    ]
    nodes = [
        helper.make_node(
            kind, [f"dft/{name}" for name in inputs], [f"dft/{result}" if result else output], **attributes
        )
        for kind, inputs, result, attributes in steps
    ]
    return constants, nodes
