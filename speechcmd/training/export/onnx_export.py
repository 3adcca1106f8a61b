"""A run's best checkpoint to one ONNX file, checked against torch before it is put in place."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from models.network import KeywordNetwork
from speechcmd import __version__
from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.errors import ExportError
from speechcmd.files import open_binary
from speechcmd.progress import Progress
from speechcmd.runtime.model.card import (
    INT8,
    INT8_TOLERANCE,
    METADATA_KEY,
    CheckVector,
    DataSource,
    DecoderSettings,
    LabelSettings,
    ModelCard,
)
from speechcmd.runtime.model.model_file import check_signals
from speechcmd.runtime.model.session import Session
from speechcmd.training.data.shipped_negatives import sources_of
from speechcmd.training.export.dft_graph import fold_dft
from speechcmd.training.export.label_balance import BalanceReport, balance_labels
from speechcmd.training.export.quantisation import Int8Config, Int8Report, quantise_run
from speechcmd.training.export.run_clips import real_waveforms, stores_of
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.run_folder import read_run_file
from speechcmd.training.loop.trained_network import load_network
from speechcmd.training.settings.config import TrainConfig

OPSET = 18
# older runtimes read no newer file format; nothing of ours needs one
IR_VERSION = 10
LARGEST_DIFFERENCE = 1e-4
SMOOTHING_S = 0.36  # chosen on validation clips and speech: docs/measurements/streams.md
DEFAULT_THRESHOLD = 0.7
_N_REAL_CLIPS = 8


@dataclass(frozen=True)
class ExportConfig:
    """What the card says beyond what the run knows."""

    name: str = ""
    licence: str = "unknown"
    data: tuple[DataSource, ...] = ()
    threshold: float = DEFAULT_THRESHOLD
    measured_on: str = "thresholds are defaults, not measured"
    balance: bool = False
    """Shift the labels' logits so that validation clips are answered best."""
    int8: Int8Config | None = None
    """Whole numbers of 8 bits for the layers between front end and last layer; None for float32."""
    stores: tuple[Path, ...] = ()
    """Where the stores of the run are now, in the order of the training; none for where it says."""


@dataclass(frozen=True)
class ExportReport:
    """Largest differences to torch: between runtimes, and between a long signal and its windows.

    Both are those of the float network, `int8` says what else was lost.
    """

    path: Path
    n_bytes: int
    parameters: int
    runtime_difference: float
    window_difference: float
    n_real_clips: int
    int8: Int8Report | None = None
    balance: BalanceReport | None = None


class _Exported(nn.Module):
    """The network as the file holds it: two outputs."""

    def __init__(self, network: KeywordNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.network.embedding(self.network.features(waveform))
        return self.network.head(embedding), embedding


def export_run(
    run: Path, path: Path, config: ExportConfig = ExportConfig(), on_clips: Progress | None = None
) -> ExportReport:
    """Export the best checkpoint of a run to `path`.

    Parameters
    ----------
    on_clips
        Told how many clips of how many balanced labels were fitted to, and an int8 network measured on.

    Raises
    ------
    TrainingError
        If the run has no usable checkpoint.
    ExportError
        If onnxruntime and torch differ by more than 1e-4 anywhere, or int8 loses more than is allowed;
        nothing is written.
    StoreError
        If int8 or balanced labels are asked for and the clips that the run was trained on are gone.
    """
    state = load_checkpoint(run / BEST)
    trained = TrainConfig.from_json(state["config"])
    network = load_network(state)
    if config.stores:
        stores_of(run, config.stores)  # without them the export is only checked on less
    places = config.stores
    balance = balance_labels(network, run, trained, on_clips, places) if config.balance else None
    model = convert(network)
    runtime = Session(model.SerializeToString())
    real = real_waveforms(run, _N_REAL_CLIPS, 2 * network.window_samples, places)
    differences = compare_with_torch(network, runtime, real), compare_with_windows(network, runtime)
    _check_differences(run, differences, LARGEST_DIFFERENCE)
    card = _make_card(run, state, trained, network, config, path)
    if balance is not None:
        card.training["balance"] = asdict(balance)
    report = None
    if config.int8 is not None:
        model, report = quantise_run(
            run, trained, model, network.window_samples, config.int8, on_clips, places
        )
        runtime = Session(model.SerializeToString())
        _check_differences(run, (0.0, compare_with_windows(network, runtime)), INT8_TOLERANCE)
    card = _add_check(card, runtime, is_int8=report is not None)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_json()
    n_bytes = _write_checked(model, card, path)
    return ExportReport(path, n_bytes, card.parameters, *differences, len(real), report, balance)


def _check_differences(run: Path, differences: tuple[float, float], largest: float) -> None:
    for what, difference in zip(("torch", "its windows"), differences, strict=True):
        if not difference <= largest:
            raise ExportError(
                f"the exported network differs from {what} by {difference:.2g}, at most {largest:g} is "
                "allowed; nothing was written",
                path=run,
            )


def convert(network: KeywordNetwork) -> onnx.ModelProto:
    """Convert to ONNX with batch and samples both free, without traces of this machine.

    Raises
    ------
    ExportError
        If the exporter gave another opset than asked for, or fixed a dimension.
    """
    # a batch of one would be taken for a constant, silently
    example = torch.zeros(2, network.window_samples + 5 * network.step_samples)
    shapes = {
        "waveform": {
            0: torch.export.Dim("batch"),
            1: torch.export.Dim("n_samples", min=network.window_samples),
        }
    }
    # what the exporter says of packages that are not here and of its own deprecations is not ours to mend
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Exported(network.for_export()).eval(),
            (example,),
            input_names=["waveform"],
            output_names=["logits", "embedding"],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch gave no ONNX program; nothing was written")
    model: onnx.ModelProto = program.model_proto
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets != {"": OPSET}:
        raise ExportError(
            f"expected ONNX opset {OPSET} alone, the exporter gave {opsets}; nothing was written"
        )
    model.ir_version = IR_VERSION
    fold_dft(model, network.frontend.config)
    _remove_traces(model)
    return model


def _remove_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of source files and stacks: it is of no use and names folders."""
    graph = model.graph
    for holder in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        holder.doc_string = ""
        del holder.metadata_props[:]
    del graph.value_info[:]


def compare_with_torch(network: KeywordNetwork, runtime: Session, real: Sequence[Waveform]) -> float:
    """Largest difference of logits over random, silent, full-scale and real input of unseen shapes."""
    rng = np.random.default_rng(0)
    window, step = network.window_samples, network.step_samples
    batches = [
        rng.standard_normal((n_clips, n_samples)).astype(np.float32) * np.float32(level)
        for n_clips, n_samples, level in (
            (1, window, 0.1), (3, window + step - 1, 0.001), (5, window + 7 * step + 13, 0.03),
            (1, 20 * window, 0.1),
        )
    ]  # fmt: skip
    batches.append(np.zeros((2, window + step), dtype=np.float32))
    batches.append(np.sign(rng.standard_normal((2, window + 3 * step))).astype(np.float32))
    batches += [waveform[None] for waveform in real]
    differences = []
    for batch in batches:
        expected = torch_logits(network, batch)
        computed = runtime.run(batch)
        if computed.shape != expected.shape:
            raise ExportError(
                f"the exported network gives shape {computed.shape} for {batch.shape}, "
                f"torch {expected.shape}; nothing was written"
            )
        differences.append(np.abs(computed - expected).max())
    return float(np.max(differences))  # unlike max(), it passes on what is not a number


def compare_with_windows(network: KeywordNetwork, runtime: Session) -> float:
    """Largest difference between step k of a long signal and the window that begins there."""
    rng = np.random.default_rng(1)
    window, step, n_steps = network.window_samples, network.step_samples, 12
    signal = rng.standard_normal(window + n_steps * step + step // 2).astype(np.float32) * np.float32(0.1)
    signal *= np.linspace(0.01, 1.0, len(signal), dtype=np.float32)
    whole = runtime.run(signal[None])[0]
    if len(whole) != n_steps + 1:
        raise ExportError(
            f"expected {n_steps + 1} steps of {len(signal)} samples, got {len(whole)}; nothing was written"
        )
    windows = np.stack([signal[k * step : k * step + window] for k in range(n_steps + 1)])
    return float(np.abs(whole - runtime.run(windows)[:, 0]).max())


@torch.no_grad()
def torch_logits(network: KeywordNetwork, batch: Waveform) -> FloatArray:
    """Logits by torch. Shape: (batch, n_samples) -> (batch, n_steps, n_labels)."""
    logits: FloatArray = network(torch.from_numpy(batch)).numpy()
    return logits


def _add_check(card: ModelCard, runtime: Session, *, is_int8: bool) -> ModelCard:
    signals = check_signals(card.window_samples, card.step_samples)
    logits = tuple(tuple(tuple(map(float, step)) for step in signal) for signal in runtime.run(signals))
    check = CheckVector(n_samples=signals.shape[1], logits=logits)
    if not is_int8:
        return replace(card, check=check)
    return replace(card, precision=INT8, check=replace(check, tolerance=INT8_TOLERANCE))


def _make_card(
    run: Path,
    state: dict[str, Any],
    trained: TrainConfig,
    network: KeywordNetwork,
    config: ExportConfig,
    path: Path,
) -> ModelCard:
    described = read_run_file(run)
    frontend = network.frontend.config
    smoothing = max(1, round(SMOOTHING_S * frontend.sample_rate / network.step_samples))
    return ModelCard(
        name=config.name or path.stem,
        labels=tuple(state["labels"]),
        sample_rate=frontend.sample_rate,
        window_samples=network.window_samples,
        step_samples=network.step_samples,
        decoder=DecoderSettings(LabelSettings(config.threshold), smoothing_steps=smoothing),
        measured_on=config.measured_on,
        architecture=trained.architecture,
        parameters=network.count_parameters(),
        data=config.data + sources_of(described.get("shipped", {})),
        licence=config.licence,
        tool_version=__version__,
        training={
            "length": trained.length,
            "unknown": trained.unknown,
            "unknown_draws": described["unknown_draws"],
            "seed": trained.seed,
            "epochs": state["epoch"],
            "validation_accuracy": state["best_accuracy"],
            "data_digest": described["data_digest"],
            "front_end": asdict(frontend),
            # "" where the voices of validation are others than those of training
            "voices": described.get("voices", ""),
        },
        check=CheckVector(1, ()),
    )


def _write_checked(model: onnx.ModelProto, card: ModelCard, path: Path) -> int:
    """Write beside the place, load it as any user would, rename."""
    from speechcmd.runtime.recognition.recognizer import Recognizer

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cannot be made ({error.strerror}); nothing was written", path=path.parent
        ) from error
    try:
        with open_binary(path, follow=True) as file:
            file.write(model.SerializeToString())
            file.flush()
            if Recognizer.load(file.name).card.labels != card.labels:
                raise ExportError(
                    "the written file does not read back as it was; nothing was kept", path=path
                )
    except OSError as error:
        raise ExportError(f"cannot be written ({error.strerror}); nothing was kept", path=path) from error
    return path.stat().st_size
