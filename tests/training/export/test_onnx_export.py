"""Export: one checked file that computes what torch computes, for every architecture."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from toy_run import WORDS, lose_stores, toy_export, toy_run, toy_store

from models.registry import list_architectures
from speechcmd.errors import ExportError, ModelError, TrainingError
from speechcmd.runtime.model.model_file import read_card
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.training.export import onnx_export as export
from speechcmd.training.export.onnx_export import ExportConfig, ExportReport, compare_with_torch, export_run
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint, save_checkpoint
from speechcmd.training.loop.trained_network import load_network

TOLERANCE = 1e-4  # what an export is allowed


@pytest.fixture(scope="module", params=["cnn", "gru"])  # one of each kind
def exported(request: pytest.FixtureRequest) -> tuple[str, ExportReport]:
    return request.param, toy_export(request.param)


def network_of(name: str) -> Any:
    return load_network(load_checkpoint(toy_run(name) / BEST))


@pytest.mark.parametrize("name", list_architectures())
def test_the_file_computes_what_torch_computes(name: str) -> None:
    """At lengths and batches that neither the exporter nor the export's own check saw."""
    report = toy_export(name)
    network, session = network_of(name), Session(report.path.read_bytes())
    rng = np.random.default_rng(5)
    window, step = network.window_samples, network.step_samples
    for n_clips, n_samples in (
        (1, window + 1),
        (2, window + 2 * step),
        (7, window + 11 * step + 5),
        (1, 33 * window),
    ):
        batch = (0.1 * rng.standard_normal((n_clips, n_samples))).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(batch)).numpy()
        computed = session.run(batch)
        assert computed.shape == expected.shape
        assert np.abs(computed - expected).max() < TOLERANCE


def test_the_report_tells_the_figures(exported: tuple[str, ExportReport]) -> None:
    name, report = exported
    assert report.path.name == f"{name}.onnx"
    assert report.n_bytes == report.path.stat().st_size
    assert report.parameters == network_of(name).count_parameters()
    assert 0 < report.runtime_difference < TOLERANCE
    assert 0 <= report.window_difference < TOLERANCE
    assert report.n_real_clips == 8
    assert [path.name for path in report.path.parent.iterdir()] == [report.path.name]


def test_the_embedding_is_an_output(exported: tuple[str, ExportReport]) -> None:
    model = onnx.load(exported[1].path)
    assert [value.name for value in model.graph.input] == ["waveform"]
    assert [value.name for value in model.graph.output] == ["logits", "embedding"]
    for value in (*model.graph.input, *model.graph.output):
        dimensions = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        assert isinstance(dimensions[0], str), "the batch is fixed"
        assert isinstance(dimensions[1], str), "the length is fixed"
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": export.OPSET}
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_nothing_of_this_machine_is_in_the_bytes(exported: tuple[str, ExportReport]) -> None:
    content = exported[1].path.read_bytes()
    for trace in (b"Traceback", b"stack_trace", b".py", b"site-packages", str(Path.cwd()).encode(),
                  str(Path.home()).encode() + b"/", str(toy_run(exported[0])).encode()):  # fmt: skip
        assert trace not in content, trace
    model = onnx.load_from_string(content)
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_the_card(exported: tuple[str, ExportReport]) -> None:
    name, report = exported
    card, network = read_card(report.path.read_bytes()), network_of(name)
    assert card.name == name
    assert card.architecture == name
    assert card.labels == (*WORDS, "_unknown_", "_silence_")
    assert (card.window_samples, card.step_samples) == (network.window_samples, network.step_samples)
    assert card.sample_rate == 16_000
    assert card.parameters == network.count_parameters()
    assert card.decoder.default.threshold == export.DEFAULT_THRESHOLD
    assert card.decoder.smoothing_steps == round(export.SMOOTHING_S * 16_000 / network.step_samples)
    training = card.training
    assert training["data_digest"] == toy_store().digest
    assert training["length"] == "mean"
    assert training["unknown"] == "all"
    assert set(training["unknown_draws"]) == {"training", "validation"}
    assert training["front_end"] == asdict(network.frontend.config)
    best = load_checkpoint(toy_run(name) / BEST)
    assert (training["epochs"], training["validation_accuracy"]) == (best["epoch"], best["best_accuracy"])
    assert np.shape(card.check.logits) == (2, 4, 4)


def test_the_recognizer_loads_and_uses_it(exported: tuple[str, ExportReport]) -> None:
    recognizer = Recognizer.load(exported[1].path)  # verifies the check vector
    row = next(row for row in toy_store().rows if row.kind == "word")
    waveform = toy_store().samples_of(row).astype(np.float32) / 32_768
    assert recognizer.posteriors(waveform).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert recognizer.classify(waveform).label in recognizer.labels


def test_other_weights_fail_the_check_vector(exported: tuple[str, ExportReport], tmp_path: Path) -> None:
    model = onnx.load(exported[1].path)
    changed = False
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 2 and len(WORDS) + 2 in values.shape:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values + np.float32(0.1), tensor.name))
            changed = True
    assert changed
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="computes the network wrongly"):
        Recognizer.load(tmp_path / "bad.onnx")


class _WrongSession(Session):
    """A runtime that computes a little beside the truth."""

    error = np.float32(2e-4)

    def run(self, waveforms: Any) -> Any:
        return super().run(waveforms) + self.error


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(toy_export("cnn").path)
    monkeypatch.setattr(export, "convert", lambda network: model)
    monkeypatch.setattr(export, "Session", _WrongSession)
    target = tmp_path / "model.onnx"
    target.write_text("an older model")
    with pytest.raises(
        ExportError, match=r"differs from torch by 0.0002, at most 0.0001 is allowed; nothing was"
    ):
        export_run(toy_run("cnn"), target)
    assert target.read_text() == "an older model"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_values_that_are_no_numbers_count_as_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("cnn")
    torch.nn.init.constant_(network.head.bias, torch.nan)
    session = Session(toy_export("cnn").path.read_bytes())
    assert not compare_with_torch(network, session, []) <= TOLERANCE


def test_a_step_that_is_not_its_window_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(toy_export("cnn").path)
    monkeypatch.setattr(export, "convert", lambda network: model)
    monkeypatch.setattr(export, "compare_with_windows", lambda network, runtime: 1.0)
    with pytest.raises(ExportError, match="differs from its windows by 1, at most"):
        export_run(toy_run("cnn"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_wrong_opset_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        model_proto = onnx.ModelProto(opset_import=[onnx.helper.make_opsetid("", 11)])

    monkeypatch.setattr(torch.onnx, "export", lambda *args, **options: Program())
    with pytest.raises(ExportError, match="expected ONNX opset 18 alone"):
        export.convert(network_of("cnn"))


def test_a_store_that_is_gone_costs_only_the_real_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(toy_export("cnn").path)
    del model.metadata_props[:]
    monkeypatch.setattr(export, "convert", lambda network: model)
    run = shutil.copytree(toy_run("cnn"), tmp_path / "run")
    lose_stores(run)
    report = export_run(run, tmp_path / "new" / "folder" / "model.onnx")
    assert report.n_real_clips == 0
    assert report.path.exists()


@pytest.mark.parametrize(
    ("missing", "message"), [("best.pt", "no such checkpoint"), ("run.json", "run.json: missing or damaged")]
)
def test_a_run_with_a_part_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    model = onnx.load(toy_export("cnn").path)
    monkeypatch.setattr(export, "convert", lambda network: model)
    run = shutil.copytree(toy_run("cnn"), tmp_path / "run")
    (run / missing).unlink()
    with pytest.raises(TrainingError, match=message):
        export_run(run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.skipif(os.name == "nt", reason="permissions differ there")
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(toy_export("cnn").path)
    del model.metadata_props[:]
    monkeypatch.setattr(export, "convert", lambda network: model)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be made"):
        export_run(toy_run("cnn"), tmp_path / "file" / "model.onnx")


def test_weights_that_are_no_numbers_are_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(toy_export("cnn").path)
    monkeypatch.setattr(export, "convert", lambda network: model)
    run = shutil.copytree(toy_run("cnn"), tmp_path / "run")
    state = load_checkpoint(run / BEST)
    state["network"]["head.bias"] += torch.inf
    save_checkpoint(run / BEST, state)
    with pytest.raises(ExportError, match="nothing was written"):
        export_run(run, tmp_path / "model.onnx", ExportConfig())
    assert not (tmp_path / "model.onnx").exists()
