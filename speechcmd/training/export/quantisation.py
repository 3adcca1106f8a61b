"""An exported network with its layers in whole numbers of 8 bits, by static quantisation.

The front end, its logarithm and the normalisation stay float (quiet bands do not survive 8 bits), as does
the last layer. Recurrent layers have no static whole-number form and stay float too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from speechcmd.audio.samples import Waveform
from speechcmd.errors import ExportError
from speechcmd.progress import Progress
from speechcmd.runtime.model.session import Session
from speechcmd.training.export.paired_loss import PairedLoss, StepTime, compare_answers, time_steps
from speechcmd.training.export.run_clips import draw_run_clips
from speechcmd.training.settings.config import TrainConfig

__all__ = ["Int8Config", "Int8Report", "quantise", "quantise_run"]

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_AFTER = frozenset({"Relu", "Clip"})  # what a layer does in the same breath
# move values without arithmetic; a mean is not among them, it is more exact in float
_MOVES = frozenset({"Slice", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten", "MaxPool"})
_NORMALISATION_SUFFIX = "mel_deviation"  # the last constant of the front end
_EMBEDDING = "embedding"  # what the last layer takes


@dataclass(frozen=True)
class Int8Config:
    """How many training clips the ranges are learnt from, and how much accuracy may go, in points."""

    n_calibration_clips: int = 500
    most_loss_points: float = 0.3


@dataclass(frozen=True)
class Int8Report:
    """What an int8 network is beside the float one. Bytes are those of the networks without a card.

    The loss says nothing of `missing_words`: only features of them were there to train on.
    """

    n_int8_layers: int
    n_layers: int
    n_recurrent: int
    n_calibration_clips: int
    missing_words: tuple[str, ...]
    loss: PairedLoss
    float_bytes: int
    int8_bytes: int
    float_time: StepTime
    int8_time: StepTime


@dataclass(frozen=True)
class _Parts:
    """Nodes by where they lie: after the front end and before the last layer, and from that on."""

    body: tuple[onnx.NodeProto, ...]
    head: tuple[onnx.NodeProto, ...]


def quantise_run(
    run: Path,
    trained: TrainConfig,
    model: onnx.ModelProto,
    window_samples: int,
    config: Int8Config,
    on_clips: Progress | None = None,
    places: Sequence[Path] = (),
) -> tuple[onnx.ModelProto, Int8Report]:
    """Quantise a run's exported network and measure what that costs on the run's validation clips.

    `places` as in `run_clips.stores_of`.

    Raises
    ------
    ExportError
        If it costs more accuracy than is allowed, or no layer can be int8.
    StoreError
        If the run's clips are gone.
    """
    known = draw_run_clips(run, trained, "training", window_samples, config.n_calibration_clips, places)
    held_out = draw_run_clips(run, trained, "validation", window_samples, places=places)
    quantised = quantise(model, (waveforms for waveforms, _ in known))
    n_int8, n_layers, n_recurrent = count_layers(quantised)
    shorten_names(quantised)
    pair = Session(model.SerializeToString()), Session(quantised.SerializeToString())
    loss = compare_answers(*pair, held_out, held_out.n_clips, on_clips)
    if not loss.points <= config.most_loss_points:
        raise ExportError(
            f"int8 loses {loss.points:.2f} points of accuracy on {loss.n_clips} validation clips, "
            f"at most {config.most_loss_points:g} is allowed; nothing was written",
            path=run,
            advice="allow more with --most-loss, or export without --int8",
        )
    float_time, int8_time = time_steps(pair, window_samples)
    report = Int8Report(
        n_int8, n_layers, n_recurrent, known.n_clips, held_out.missing_words, loss,
        model.ByteSize(), quantised.ByteSize(), float_time, int8_time,
    )  # fmt: skip
    return quantised, report


def quantise(model: onnx.ModelProto, calibration: Iterable[Waveform]) -> onnx.ModelProto:
    """Return the network with its layers in int8, their ranges learnt from batches of waveforms.

    Weights are symmetric for each output channel in 7 bits, so that no processor's 16-bit sums overflow;
    activations are unsigned 8 bits. Batch norms must be folded already, as the exporter does.

    Raises
    ------
    ExportError
        If no layer can be int8.
    """
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    chosen = _choose_nodes(prepared.graph)
    if not chosen:
        raise ExportError(
            "this network has no layer that can be int8 (front end, last and recurrent layers stay float); "
            "nothing was written; export without --int8"
        )
    add_pre_process_metadata(prepared)  # else a warning asks for what the exporter has done
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            prepared,
            path,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=[node.name for node in chosen],
            op_types_to_quantize=sorted({node.op_type for node in chosen}),
            extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
        )
        quantised = onnx.load(path)
    _restore_header(quantised, model)
    return quantised


def count_layers(model: onnx.ModelProto) -> tuple[int, int, int]:
    """Layers in int8, all layers after the front end, and those of them that are recurrent."""
    graph = model.graph
    parts = _split(graph)
    dequantised = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    kinds = {entry.name: entry.data_type for entry in graph.initializer}
    uses = _count_uses((*parts.body, *parts.head))
    n_int8 = sum(kinds.get(dequantised.get(name, name)) == onnx.TensorProto.INT8 for name in uses)
    n_unrolled = sum(n_uses > 1 for n_uses in uses.values())
    n_recurrent = sum(node.op_type in RECURRENT for node in parts.body) + n_unrolled
    return n_int8, len(uses) + n_recurrent - n_unrolled, n_recurrent


def _count_uses(nodes: Sequence[onnx.NodeProto]) -> Counter[str]:
    """Layers that take each weight: the exporter unrolls a plain recurrent layer, whose steps share one."""
    computed = {name for node in nodes for name in node.output}
    layers = [node for node in nodes if node.op_type in LAYERS]
    return Counter(node.input[1] for node in layers if node.input[1] not in computed)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Batches in the form that onnxruntime asks for."""

    def __init__(self, batches: Iterable[Waveform]) -> None:
        self._batches: Iterator[Waveform] = iter(batches)

    def get_next(self) -> dict[str, Waveform] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"waveform": batch}


def _choose_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Layers with weights, sums and limits of what they give, and moves on the way to another of these."""
    constants = {entry.name for entry in graph.initializer}
    one_channel = {entry.name for entry in graph.initializer if len(entry.dims) == 4 and entry.dims[1] == 1}
    body = _split(graph).body
    uses = _count_uses(body)
    chosen: set[str] = set()
    carried: set[str] = set()  # values that are a chosen node's, moved or not
    for node in body:
        is_layer = node.op_type in LAYERS and node.input[1] in constants and uses[node.input[1]] == 1
        if is_layer and not carried and node.input[1] in one_channel:
            continue  # the first convolution, of the log-mel alone: 8 bits make it slower, hardly smaller
        from_chosen = not carried.isdisjoint(node.input)
        # a bias of its own would lose more than it brings
        is_sum = node.op_type == "Add" and constants.isdisjoint(node.input)
        if is_layer or (from_chosen and (is_sum or node.op_type in _AFTER)):
            chosen.add(node.name)
        if node.name in chosen or (from_chosen and node.op_type in _MOVES):
            carried.update(node.output)
    wanted: set[str] = set()
    for node in reversed(body):
        if node.op_type in _MOVES and not wanted.isdisjoint(node.output):
            chosen.add(node.name)
        if node.name in chosen:
            wanted.update(node.input)
    return [node for node in body if node.name in chosen]


def _split(graph: onnx.GraphProto) -> _Parts:
    normalised = [
        node.output[0]
        for node in graph.node
        if any(name.endswith(_NORMALISATION_SUFFIX) for name in node.input)
    ]
    if len(normalised) != 1:
        raise ExportError(
            f"expected one normalisation in the exported network, found {len(normalised)}; "
            "nothing was written; export without --int8"
        )
    head = _reached_from(graph.node, _EMBEDDING)
    after = {node.output[0] for node in head}
    body = [node for node in _reached_from(graph.node, normalised[0]) if node.output[0] not in after]
    return _Parts(tuple(body), tuple(head))


def _reached_from(nodes: Sequence[onnx.NodeProto], name: str) -> list[onnx.NodeProto]:
    """Nodes that depend on a value, in their order, which is that of computation."""
    reached, found = {name}, []
    for node in nodes:
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
            found.append(node)
    return found


def _restore_header(quantised: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """What the quantiser says of itself is of no use, and no operator set of another domain is used."""
    del quantised.metadata_props[:]
    del quantised.graph.value_info[:]
    quantised.producer_name, quantised.producer_version = model.producer_name, model.producer_version
    quantised.ir_version = model.ir_version
    domains = {node.domain for node in quantised.graph.node}
    kept = [entry for entry in quantised.opset_import if entry.domain in domains]
    del quantised.opset_import[:]
    quantised.opset_import.extend(kept)


def shorten_names(model: onnx.ModelProto) -> None:
    """Number all values but inputs and outputs, in place: a small network's names outweigh its weights."""
    graph = model.graph
    names: dict[str, str] = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}

    def shorten(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}")

    for entry in graph.initializer:
        entry.name = shorten(entry.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = map(shorten, node.input)
        node.output[:] = map(shorten, node.output)
