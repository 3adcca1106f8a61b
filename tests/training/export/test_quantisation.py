"""int8 export: what is whole numbers and what stays float, what it loses, and when it is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toy_features import toy_images
from toy_run import lose_stores, toy_export, toy_run, toy_store

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.store import COLUMNS, Store, write_rows
from speechcmd.cli.commands.export import _describe_int8
from speechcmd.errors import ExportError, ModelError, StoreError
from speechcmd.runtime.model.model_file import read_card
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.training.export import onnx_export as export
from speechcmd.training.export import quantisation
from speechcmd.training.export.onnx_export import ExportConfig, ExportReport, export_run
from speechcmd.training.export.paired_loss import PairedLoss, compare_answers
from speechcmd.training.export.quantisation import Int8Config, count_layers, quantise
from speechcmd.training.export.run_clips import draw_run_clips
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.run_folder import describe_places

N_LABELS = 4
N_CLIPS = 20
LOGITS_TOLERANCE = 0.5  # what the model card allows for int8
LENIENT = Int8Config(N_CLIPS, most_loss_points=100)


def float_model() -> onnx.ModelProto:
    model = onnx.load(toy_export("cnn").path)
    del model.metadata_props[:]
    return model


@pytest.fixture(scope="module", autouse=True)
def _converted_once() -> Iterator[None]:
    """The conversion takes seconds and is tested elsewhere."""
    float_model()  # with the real one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "convert", lambda network: float_model())
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    path = tmp_path_factory.mktemp("int8") / "small.onnx"
    return export_run(toy_run("cnn"), path, ExportConfig(int8=LENIENT))


def real_batches(split: str = "validation") -> list[Any]:
    state = load_checkpoint(toy_run("cnn") / BEST)
    config = export.TrainConfig.from_json(state["config"])
    return list(draw_run_clips(toy_run("cnn"), config, split, state["n_samples"]))


def test_weights_are_int8_but_for_front_end_and_last_layer(exported: ExportReport) -> None:
    before, after = float_model().graph.initializer, onnx.load(exported.path).graph.initializer
    convolutions = {tuple(tensor.dims) for tensor in before if len(tensor.dims) > 2}
    first = next(shape for shape in convolutions if shape[1] == 1)
    convolutions.remove(first)
    assert len(convolutions) > 3
    stored = [(tensor, numpy_helper.to_array(tensor)) for tensor in after]
    whole = {
        tuple(tensor.dims): values for tensor, values in stored if values.dtype == np.int8 and values.ndim
    }
    assert {shape for shape in whole if len(shape) > 1} == convolutions
    assert max(np.abs(values.astype(int)).max() for values in whole.values()) in (63, 64)  # a reduced range
    floats = [values for _, values in stored if values.dtype == np.float32]
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in before}
    filters = next(values for name, values in kept.items() if name.endswith("filters"))
    matrices = [values for values in floats if values.ndim > 1]
    assert {values.shape for values in matrices} == {filters.shape, first, (16, N_LABELS)}
    assert any(np.array_equal(values, filters) for values in matrices)
    assert sum(values.size for values in floats) < 6_000, "the DFT basis is in the file"


def test_each_channel_has_a_scale_and_no_offset() -> None:
    model = quantise(float_model(), (waveforms for waveforms, _ in real_batches("training")))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = 0
    for node in model.graph.node:
        values = [constants.get(name) for name in node.input]
        if node.op_type == "DequantizeLinear" and values[0] is not None and values[0].ndim > 1:
            assert values[1].shape == (len(values[0]),)
            assert not values[2].any()
            found += 1
    assert found == 5
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", export.OPSET)}


def test_it_hears_what_float_hears(exported: ExportReport) -> None:
    small, large = Session(exported.path.read_bytes()), Session(toy_export("cnn").path.read_bytes())
    differences, same = [], []
    for waveforms, _ in real_batches():
        before, after = large.run(waveforms), small.run(waveforms)
        differences.append(np.abs(after - before).max())
        same.append(before.argmax(axis=2) == after.argmax(axis=2))
    assert 0 < max(differences) < LOGITS_TOLERANCE
    assert np.concatenate(same).mean() > 0.9


def test_the_report_tells_what_is_lost(exported: ExportReport) -> None:
    report = exported.int8
    assert report is not None
    assert (report.n_int8_layers, report.n_layers, report.n_recurrent) == (5, 7, 0)
    assert report.n_calibration_clips == N_CLIPS
    assert report.loss.n_clips == sum(len(labels) for _, labels in real_batches())
    # the trainer measured the same weights on the same clips
    assert report.loss.first_accuracy == pytest.approx(
        load_checkpoint(toy_run("cnn") / BEST)["best_accuracy"]
    )
    assert report.float_bytes == float_model().ByteSize()
    assert report.int8_bytes < exported.n_bytes == exported.path.stat().st_size
    for time in (report.float_time, report.int8_time):
        assert 0 < time.window_ms < 100
        assert time.second_ms < 100


def test_the_card_says_so_and_the_recognizer_loads_it(exported: ExportReport) -> None:
    card = read_card(exported.path.read_bytes())
    assert (card.precision, card.check.tolerance) == ("int8", 0.5)
    assert read_card(toy_export("cnn").path.read_bytes()).precision == "float32"
    waveform = real_batches()[0][0][0]
    assert Recognizer.load(exported.path).posteriors(waveform).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_other_weights_fail_the_check_vector(exported: ExportReport, tmp_path: Path) -> None:
    model = onnx.load(exported.path)
    (head,) = (tensor for tensor in model.graph.initializer if list(tensor.dims) == [16, N_LABELS])
    # a network of two epochs hardly answers to its inner weights
    head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head) * np.float32(20), head.name))
    onnx.save(model, tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="computes the network wrongly"):
        Recognizer.load(tmp_path / "bad.onnx")


def test_too_great_a_loss_is_not_written_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = PairedLoss(n_clips=100, both=90, first_only=5, second_only=1)
    monkeypatch.setattr(quantisation, "compare_answers", lambda *arguments: lost)
    path = tmp_path / "model.onnx"
    with pytest.raises(
        ExportError, match=r"loses 4.00 points of accuracy on 100 .* at most 0.3 .*--most-loss"
    ):
        export_run(toy_run("cnn"), path, ExportConfig(int8=Int8Config(N_CLIPS)))
    assert not list(tmp_path.iterdir())
    export_run(toy_run("cnn"), path, ExportConfig(int8=Int8Config(N_CLIPS, most_loss_points=4)))
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_without_its_clips_a_run_gives_no_int8(tmp_path: Path) -> None:
    run = shutil.copytree(toy_run("cnn"), tmp_path / "run")
    lose_stores(run)
    with pytest.raises(StoreError, match=r"not at .*gone; say where it is now with --store DIR"):
        export_run(run, tmp_path / "model.onnx", ExportConfig(int8=LENIENT))
    assert not (tmp_path / "model.onnx").exists()


def run_on(folder: Path, *stores: AnyStore) -> Path:
    """The run, as if it had been trained on these stores."""
    run = shutil.copytree(toy_run("cnn"), folder)
    described = json.loads((run / "run.json").read_text())
    described |= {**describe_places(stores, run), "data_digest": JoinedStores(stores).digest}
    (run / "run.json").write_text(json.dumps(described))
    return run


def store_without(path: Path, *words: str) -> Store:
    """The toy's audio without some words."""
    path.mkdir()
    given = toy_store()
    for name in ("audio.npy", "store.json"):
        (path / name).symlink_to(given.path / name)
    with (path / "index.csv").open("w", newline="") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, [row for row in given.rows if row.word not in words])
    return Store.open(path)


def test_a_word_that_only_features_have_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on(tmp_path / "run", store_without(tmp_path / "store", "up"), toy_images())
    state = load_checkpoint(run / BEST)
    config = export.TrainConfig.from_json(state["config"])
    monkeypatch.setattr(quantisation, "quantise", lambda model, batches: float_model())
    _, report = quantisation.quantise_run(run, config, float_model(), state["n_samples"], LENIENT)
    assert report.missing_words == ("up",)
    assert "not heard up: no clip of it in a store of audio" in _describe_int8(report)
    clips = draw_run_clips(run, config, "validation", state["n_samples"])
    labels = np.concatenate([labels for _, labels in clips])
    count = np.bincount(labels, minlength=N_LABELS)
    assert len(labels) == clips.n_clips == report.loss.n_clips
    assert count[1] == 0
    assert (count[[0, 2, 3]] > 0).all()
    n_words = len([row for row in toy_store().select("word", "validation") if row.word == "no"])
    assert count[0] == n_words


def test_a_run_whose_words_are_all_features_gives_no_int8(tmp_path: Path) -> None:
    run = run_on(tmp_path / "run", store_without(tmp_path / "store", "up", "no"), toy_images())
    with pytest.raises(StoreError, match="expected training clips of no, up in a store of audio, found none"):
        export_run(run, tmp_path / "model.onnx", ExportConfig(int8=LENIENT))
    run = run_on(tmp_path / "other", toy_images())
    with pytest.raises(StoreError, match="trained on features alone"):
        export_run(run, tmp_path / "model.onnx", ExportConfig(int8=LENIENT))
    assert not (tmp_path / "model.onnx").exists()


def test_clips_are_drawn_the_same_each_time() -> None:
    state = load_checkpoint(toy_run("cnn") / BEST)
    config = export.TrainConfig.from_json(state["config"])
    clips = draw_run_clips(toy_run("cnn"), config, "training", state["n_samples"], 7)
    assert clips.n_clips == 7
    for (first, labels), (again, _) in zip(clips, clips, strict=True):
        assert first.shape == (7, state["n_samples"])
        np.testing.assert_array_equal(first, again)
        assert len(set(labels.tolist())) > 1


def made_network(
    layers: list[tuple[str, list[str], str]], weights: dict[str, tuple[int, ...]]
) -> onnx.ModelProto:
    """`waveform` normalised to `image` (batch, 1, 8), then `layers` to `embedding`, then a last layer."""
    rng = np.random.default_rng(0)
    shapes = {"mel_deviation": (8,), "head": (4, 3), **weights}
    tensors = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    tensors.append(numpy_helper.from_array(np.array([1]), "axis"))
    steps = [
        ("Div", ["waveform", "mel_deviation"], "normalised"),
        ("Unsqueeze", ["normalised", "axis"], "image"),
    ]
    steps += [*layers, ("MatMul", ["embedding", "head"], "logits")]
    options = {"GRU": {"hidden_size": 4}}
    nodes = [
        helper.make_node(kind, inputs, [output], name=output, **options.get(kind, {}))
        for kind, inputs, output in steps
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", export.OPSET)], ir_version=10)


GRU = ("GRU", ["image", "w", "r"], "embedding")
GRU_WEIGHTS = {"w": (1, 12, 4), "r": (1, 12, 4)}
BATCHES = [np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)]


def test_a_recurrent_layer_stays_float() -> None:
    dense = ("MatMul", ["image", "dense"], "mixed")
    model = made_network([dense, ("GRU", ["mixed", "w", "r"], "embedding")], {"dense": (8, 4), **GRU_WEIGHTS})
    quantised = quantise(model, BATCHES)
    assert count_layers(quantised) == (1, 3, 1)
    (gru,) = (node for node in quantised.graph.node if node.op_type == "GRU")
    constants = {tensor.name: tensor.data_type for tensor in quantised.graph.initializer}
    assert [constants[name] for name in gru.input[1:]] == [TensorProto.FLOAT] * 2


def test_the_steps_of_an_unrolled_layer_are_one_layer_and_stay_float() -> None:
    layers = [("MatMul", ["image", "dense"], "first"), ("Tanh", ["first"], "state")]
    for step, output in enumerate(("state_1", "embedding")):
        layers.append(("MatMul", [("state", "state_1")[step], "shared"], f"{output}_sum"))
        layers.append(("Tanh", [f"{output}_sum"], output))
    quantised = quantise(made_network(layers, {"dense": (8, 4), "shared": (4, 4)}), BATCHES)
    assert count_layers(quantised) == (1, 3, 1)


def test_a_network_without_such_layers_is_refused() -> None:
    model = made_network([GRU], {"w": (1, 12, 8), "r": (1, 12, 4)})
    with pytest.raises(ExportError, match="no layer that can be int8"):
        quantise(model, BATCHES)


def test_a_network_without_a_normalisation_is_refused() -> None:
    model = made_network([GRU], GRU_WEIGHTS)
    model.graph.node[0].input[1] = "head"
    with pytest.raises(ExportError, match="expected one normalisation in the exported network, found 0"):
        quantise(model, BATCHES)


def test_the_loss_is_that_of_pairs() -> None:
    loss = PairedLoss(n_clips=98, both=90, first_only=5, second_only=1)
    assert loss.points == pytest.approx(100 * 4 / 98)
    assert (loss.first_accuracy, loss.second_accuracy) == pytest.approx((100 * 95 / 98, 100 * 91 / 98))
    # with half a clip in each kind: 5.5 and 1.5 of 100, so 4 % with a variance of (0.07 - 0.04^2) / 100
    half = 1.959964 * np.sqrt(0.0684 / 100)
    assert loss.interval_points == pytest.approx((100 * (0.04 - half), 100 * (0.04 + half)))


class _Answers(Session):
    """Answers with the label that is the sample in one column of each waveform."""

    def __init__(self, column: int) -> None:
        self._column = column

    def run(self, waveforms: Any) -> Any:
        return np.eye(3)[waveforms[:, self._column].astype(int)][:, None]


def test_answers_are_paired_clip_by_clip() -> None:
    first, second, labels = np.array([0, 1, 2, 1, 1]), np.array([0, 1, 1, 2, 0]), np.array([0, 1, 2, 2, 2])
    clips = [(np.stack([first, second], axis=1)[part], labels[part]) for part in (slice(0, 2), slice(2, 5))]
    told: list[tuple[int, int]] = []
    loss = compare_answers(_Answers(0), _Answers(1), clips, 5, lambda done, total: told.append((done, total)))
    assert loss == PairedLoss(5, both=2, first_only=1, second_only=1)
    assert told == [(2, 5), (5, 5)]
