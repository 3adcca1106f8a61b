"""Runs: what lies in the folder, what a training does, and every way it can go wrong."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from run_checks import assert_same, assert_same_run, failure, metrics_of
from toy_run import WORDS, toy_config, toy_run, toy_store, toy_store_path, train

from speechcmd.errors import StoreError, TrainingError
from speechcmd.files import write_text
from speechcmd.training.loop.checkpoint import LAST, load_checkpoint
from speechcmd.training.loop.optimisation import learning_rate, make_optimizer
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.series.curve_picture import _draw_over_epochs
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

# --- what goes wrong


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train(tmp_path, toy_config(epochs=1))
    before = (tmp_path / LAST).read_bytes()
    assert "holds a run already; go on with --resume" in failure(
        lambda: train(tmp_path, toy_config(epochs=1))
    )
    assert (tmp_path / LAST).read_bytes() == before


def test_features_are_made_in_full_precision_whatever_the_network_computes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log-mel of 8 bits on its way into the augmentation has lost its quiet frames."""
    features: list[torch.Tensor] = []
    for precision in ("32-true", "bf16-mixed"):
        augment = replace(AugmentConfig(), tilt_db=10.0, image_percent=50.0)
        config = toy_config(
            "cnn", precision=precision, augment=augment, feature_cache=str(tmp_path / "cache")
        )
        trainer = Trainer(toy_store(), config, tmp_path / precision)
        hear = trainer.network.embedding
        monkeypatch.setattr(
            trainer.network,
            "embedding",
            lambda log_mel, hear=hear: (features.append(log_mel), hear(log_mel))[1],
        )
        trainer.loss(next(iter(trainer.data.train_batches)))
    assert features[1].dtype == torch.float32
    assert torch.equal(*features)


def test_a_diverging_loss_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer(toy_store(), toy_config(epochs=4), tmp_path)

    def explode(seen: BatchReport | EpochMetrics) -> None:
        if isinstance(seen, EpochMetrics) and seen.epoch == 1:
            torch.nn.init.constant_(trainer.network.head.weight, 1e38)

    message = failure(lambda: trainer.fit(explode))
    assert "the loss is no longer a number (epoch 3, batch 1)" in message
    assert "the checkpoint of epoch 2 is kept; try a smaller --learning-rate than 0.01" in message
    state = load_checkpoint(tmp_path / LAST)
    assert state["epoch"] == 2
    assert all(torch.isfinite(value).all() for value in state["network"].values())


def test_a_huge_learning_rate_is_one_error(tmp_path: Path) -> None:
    message = failure(lambda: train(tmp_path, toy_config("gru", learning_rate=1e30, epochs=8)))
    assert "the loss is no longer a number" in message
    assert "try a smaller --learning-rate than 1e+30" in message
    for path in tmp_path.glob("*.pt"):
        assert all(torch.isfinite(value).all() for value in load_checkpoint(path)["network"].values())


def test_weights_spoilt_by_the_last_step_are_not_kept(tmp_path: Path) -> None:
    trainer = Trainer(toy_store(), toy_config(epochs=3), tmp_path)

    def spoil(seen: BatchReport | EpochMetrics) -> None:
        if isinstance(seen, BatchReport) and seen.epoch == 1 and seen.batch == seen.n_batches:
            torch.nn.init.constant_(trainer.network.head.weight, math.nan)

    assert "no longer a number (epoch 2, validation); the checkpoint of epoch 1 is kept" in failure(
        lambda: trainer.fit(spoil)
    )
    assert load_checkpoint(tmp_path / LAST)["epoch"] == 1
    assert len(metrics_of(tmp_path)) == 1


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path / "whole", toy_config(epochs=2))
    trainer = Trainer(toy_store(), toy_config(epochs=2), tmp_path / "full")
    save = torch.save

    def fail_later(state: dict[str, Any], handle: Any) -> None:
        if state["epoch"] == 2:
            handle.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, handle)

    monkeypatch.setattr(torch, "save", fail_later)
    message = failure(lambda: trainer.fit(lambda report: None))
    assert "No space left on device" in message
    assert "the last good one is kept; free some space and run again with --resume" in message
    assert load_checkpoint(tmp_path / "full" / LAST)["epoch"] == 1
    assert not list((tmp_path / "full").glob("*.part"))
    monkeypatch.setattr(torch, "save", save)
    train(tmp_path / "full", toy_config(epochs=2), resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "full")


FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from speechcmd.errors import TrainingError
from speechcmd.training.loop.checkpoint import load_checkpoint, save_checkpoint
path = Path(sys.argv[1])
save_checkpoint(path, {"config": "", "weights": torch.zeros(1000)})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_checkpoint(path, {"config": "", "weights": torch.zeros(100_000)})
except TrainingError as error:
    print(error)
assert load_checkpoint(path)["weights"].shape == (1000,)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_real_write_that_fails_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path / LAST)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "the checkpoint cannot be written" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_a_word_that_the_store_lacks_is_one_line(tmp_path: Path) -> None:
    message = failure(lambda: train(tmp_path / "run", toy_config(words=("no", "marvin"))))
    assert "no training clip of marvin; it has bird, no, up, zero" in message
    assert not (tmp_path / "run").exists()


def test_a_store_without_validation_clips_is_one_line(tmp_path: Path) -> None:
    store = toy_store()
    rows = tuple(row for row in store.rows if row.kind != "word" or row.split == "training")
    bare = type(store)(store.path, rows, store.info)
    with pytest.raises(TrainingError, match="no validation clip of no, up"):
        Trainer(bare, toy_config(), tmp_path / "run")


def test_cuda_without_a_gpu_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "found none; use --device cpu" in failure(
        lambda: train(tmp_path / "run", toy_config(device="cuda"))
    )


def test_a_wrong_length_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="length"):
        train(tmp_path / "run", toy_config(length="long"))


# --- what a run does


@pytest.mark.parametrize(
    ("schedule", "halfway", "late", "end"),
    [
        ("cosine", 0.05, 0.1 * (1 - math.sqrt(0.5)) / 2, 0.0),
        ("linear", 0.1 * (1 - 0.99 / 2), 0.1 * (1 - 0.99 * 0.75), 0.001),
        ("step", 0.01, 0.001, 0.001),
        ("constant", 0.1, 0.1, 0.1),
    ],
)
def test_learning_rate_by_hand(schedule: str, halfway: float, late: float, end: float) -> None:
    config = TrainConfig(epochs=10, warmup_percent=20.0, learning_rate=0.1, schedule=schedule)
    assert learning_rate(config, 0) == pytest.approx(0.001)
    assert learning_rate(config, 1) == pytest.approx(0.1 * (0.5 * 0.99 + 0.01))
    assert learning_rate(config, 2) == pytest.approx(0.1)
    assert learning_rate(config, 6) == pytest.approx(halfway)  # of the schedule, after the warm-up
    assert learning_rate(config, 8) == pytest.approx(late)
    assert learning_rate(config, 10) == pytest.approx(end, abs=1e-12)
    assert learning_rate(replace(config, warmup_percent=0.0), 0) == pytest.approx(0.1)


def test_each_batch_gets_its_learning_rate(tmp_path: Path) -> None:
    trainer = Trainer(toy_store(), toy_config(epochs=1), tmp_path)
    seen: list[float] = []

    def report(done: BatchReport | EpochMetrics) -> None:
        if isinstance(done, BatchReport):
            seen.append(trainer.optimizer.param_groups[0]["lr"])

    trainer.fit(report)
    n_batches = len(trainer.data.sampler)
    assert seen == [learning_rate(trainer.config, k / n_batches) for k in range(n_batches)]


def test_normalisation_is_the_mean_and_deviation_of_the_training_clips(tmp_path: Path) -> None:
    trainer = train(tmp_path, toy_config(epochs=1))
    batches = list(trainer.data.plain_batches)[:16]
    log_mel = torch.cat([trainer.network.features(batch.waveform).flatten(0, 1) for batch in batches])
    assert torch.allclose(trainer.network.mel_mean, log_mel.mean(0), atol=1e-4)
    assert torch.allclose(trainer.network.mel_deviation, log_mel.std(0), atol=1e-4)


def test_only_weights_decay(tmp_path: Path) -> None:
    network = Trainer(toy_store(), toy_config(), tmp_path).network
    decayed, others = make_optimizer(network, TrainConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"weight_decay": 0.5}, {"label_smoothing": 0.3}, {"precision": "bf16-mixed"},
     {"model": {"channels": (4, 6, 8), "width": 16, "dilations": (1, 2), "dropout": 0.6}},
     {"augment": replace(AugmentConfig(), time_masks=0)}, {"unknown": "official"}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_each_setting_matters(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = train(tmp_path, toy_config(epochs=1, **changes))
    plain = load_checkpoint(toy_run_of_one_epoch(tmp_path))["network"]["head.weight"]
    assert not torch.equal(run.network.state_dict()["head.weight"], plain)


def toy_run_of_one_epoch(folder: Path) -> Path:
    train(folder / "plain", toy_config(epochs=1))
    return folder / "plain" / LAST


def test_deterministic_and_workers_change_no_bit(tmp_path: Path) -> None:
    plain = load_checkpoint(toy_run_of_one_epoch(tmp_path))["network"]
    try:
        other = train(tmp_path / "other", toy_config(epochs=1, deterministic=True)).network.state_dict()
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same(plain, dict(other))


# --- the folder


def test_the_run_folder(tmp_path: Path) -> None:
    run = toy_run("cnn")
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.toml", "metrics.jsonl", "curves.png", "last.pt", "best.pt", "run.json",
        "unknown_training.txt", "unknown_validation.txt",
    }  # fmt: skip
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in metrics] == [0, 1]
    assert set(metrics[0]) == {
        "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate",
        "clips_per_s", "seconds", "clip_loss", "clip_accuracy", "score", "score_loss",
    }  # fmt: skip
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    described = json.loads((run / "run.json").read_text())
    assert described["data_digest"] == toy_store().digest
    assert described["stores_absolute"] == [str(toy_store_path().resolve())]
    assert (run / described["stores"][0]).samefile(toy_store_path())
    assert not described["stores"][0].startswith("/")
    assert described["seed"] == 0
    assert described["n_threads"] == 1
    assert set(described["versions"]) == {"python", "torch", "numpy", "lightning-fabric", "librosa"}
    drawn = (run / "unknown_training.txt").read_text().splitlines()
    assert len(drawn) == described["unknown_draws"]["training"]["n_clips"] > 0


EPOCHS = [
    {
        "epoch": 0,
        "train_loss": 2.0,
        "train_accuracy": 50.0,
        "validation_loss": 1.0,
        "validation_accuracy": 90.0,
    },
    {
        "epoch": 1,
        "train_loss": 1.0,
        "train_accuracy": 70.0,
        "validation_loss": 1.5,
        "validation_accuracy": 80.0,
    },
]


@pytest.mark.parametrize("recalls", [None, [40.0, 60.0]])
def test_what_the_curves_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recalls: list[float] | None
) -> None:
    drawn: list[dict[str, list[float]]] = []

    def note(figure: Figure, file: BinaryIO, format: str, dpi: int) -> None:
        drawn.extend(
            {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
            for axes in figure.axes
        )
        file.write(f"a {format}".encode())

    monkeypatch.setattr(Figure, "savefig", note)
    lines = [entry | ({"stream_recall": recalls[n]} if recalls else {}) for n, entry in enumerate(EPOCHS)]
    write_text(tmp_path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    RunFolder(tmp_path).draw_curves()
    assert (tmp_path / "curves.png").read_bytes() == b"a png"
    losses, accuracies = drawn
    assert losses == {"train": [2.0, 1.0], "validation": [1.0, 1.5]}
    recall = {"stream recall": recalls} if recalls else {}
    assert accuracies == {"train": [50.0, 70.0], "validation": [90.0, 80.0], **recall}
    axes = Figure().subplots()
    _draw_over_epochs(axes, lines)
    (best,) = (line for line in axes.get_lines() if line.get_label() == "best checkpoint")
    assert np.asarray(best.get_xdata()).tolist() == ([2] if recalls else [1])  # by what it was chosen


def test_the_config_in_the_folder_is_the_config() -> None:
    written = tomllib.loads((toy_run("cnn") / "config.toml").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(asdict(toy_config("cnn"))))


def test_config_goes_round_as_json_and_toml() -> None:
    config = TrainConfig(
        words=("übung", 'a"b\\c', "日本", "😀"), model={"width": 3, "channels": [1, 2], "x": 1e-05}
    )
    assert tomllib.loads(config.to_toml()) == json.loads(config.to_json())
    plain = toy_config("gru", model={"width": 3})
    assert TrainConfig.from_json(plain.to_json()) == plain
    with pytest.raises(TrainingError, match="use the version that trained it"):
        TrainConfig.from_json('{"augment": {"noise_snr_db": [0, 1]}, "words": [], "speed": 3}')


def test_checkpoints_hold_tensors_and_plain_values_only() -> None:
    state = torch.load(toy_run("cnn") / LAST, weights_only=True)
    assert set(state) == {
        "config", "labels", "n_samples", "epoch", "best_score", "best_loss", "least_loss", "best_accuracy", "epochs_since_best",
        "n_threads", "teacher_digest", "hard", "network", "optimizer",
    }  # fmt: skip
    assert state["labels"] == [*WORDS, "_unknown_", "_silence_"]
    kinds = set()

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)
        else:
            kinds.add(type(value))

    visit(state)
    assert kinds <= {torch.Tensor, str, int, float, bool, type(None)}


def test_names_of_clips_that_are_no_text_are_listed_as_they_are(tmp_path: Path) -> None:
    RunFolder(tmp_path).write("unknown_training.txt", "up/caf\udce9.wav\n")
    assert (tmp_path / "unknown_training.txt").read_bytes() == b"up/caf\xe9.wav\n"
