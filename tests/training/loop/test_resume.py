"""Resume: the same weights to the bit, after a stop, a kill, or never with other settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from run_checks import assert_same_run, failure, metrics_of
from toy_features import toy_cache_path, toy_images
from toy_line import command
from toy_run import WORDS, toy_config, toy_store, toy_store_path, train

from data_prep.feature_store import FeatureStore
from models.registry import list_architectures
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from speechcmd.training.loop.optimisation import OPTIMIZERS
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.settings.config import AugmentConfig, TrainConfig


class StopError(Exception):
    """Raised by a report to stop a training."""


def stop_after(n_epochs: int) -> Callable[[BatchReport | EpochMetrics], None]:
    """A report that stops in the middle of the next epoch."""

    def report(seen: BatchReport | EpochMetrics) -> None:
        if isinstance(seen, BatchReport) and (seen.epoch, seen.batch) == (n_epochs, 2):
            raise StopError

    return report


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take as long as the trainings here."""
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def assert_exact_resume(folder: Path, config: TrainConfig, stores: Callable[[], Any] = toy_store) -> None:
    """A training stopped in its second epoch and resumed is the one that was never stopped."""
    Trainer(stores(), config, folder / "whole").fit(lambda report: None)
    with pytest.raises(StopError):
        Trainer(stores(), config, folder / "parts").fit(stop_after(1))
    resumed = Trainer(stores(), config, folder / "parts", resume=True)
    assert resumed.epoch == 1
    resumed.fit(lambda report: None)
    assert_same_run(folder / "whole", folder / "parts")


def short_config(architecture: str = "mlp", **changes: Any) -> TrainConfig:
    """Two epochs of two batches or three."""
    return toy_config(architecture, unknown="0", **changes)


@pytest.mark.parametrize("architecture", list_architectures())
def test_resume_is_exact_to_the_bit(tmp_path: Path, architecture: str) -> None:
    assert_exact_resume(tmp_path, short_config(architecture))


@pytest.mark.parametrize("optimizer", sorted(set(OPTIMIZERS) - {"adamw"}))
def test_resume_is_exact_for_every_optimizer(tmp_path: Path, optimizer: str) -> None:
    assert_exact_resume(tmp_path, short_config(optimizer=optimizer, learning_rate=0.001))


# but for half-seen words, which do not go with mixup
EVERYTHING = AugmentConfig(
    speed_percent=10.0, room_percent=50.0, image_percent=50.0, warp_percent=10.0, half_seen_percent=0.0
)


@pytest.mark.parametrize("cached", [False, True])
def test_resume_is_exact_with_everything_on(tmp_path: Path, cached: bool) -> None:
    """Audio and pictures in one training; the audio as it is, or from a cache."""
    config = short_config(
        optimizer="sgd", ema=0.9, mixup=0.2, gradient_clip=0.5, l1=1e-4, class_balance=0.5, augment=EVERYTHING,
        schedule="step", fold="1/3", clips_percent=80.0, feature_cache=str(toy_cache_path()) if cached else "",
    )  # fmt: skip
    assert_exact_resume(tmp_path, config, lambda: [toy_store(), toy_images()])
    stores = Trainer([toy_store(), toy_images()], config, tmp_path / "new").data.source.stores
    assert [isinstance(store, FeatureStore) for store in stores] == [cached, True]
    last = load_checkpoint(tmp_path / "whole" / LAST)
    best = load_checkpoint(tmp_path / "whole" / BEST)
    assert int(last["average"]["n_averaged"]) > 2
    assert not torch.equal(best["network"]["head.weight"], last["network"]["head.weight"])
    assert torch.isfinite(last["network"]["head.weight"]).all()


def test_a_run_of_before_there_were_these_settings(tmp_path: Path) -> None:
    """Settings that a checkpoint does not know had the values that are their defaults."""
    config = toy_config("mlp", unknown="0", epochs=1)
    train(tmp_path, config)
    state = load_checkpoint(tmp_path / LAST)
    values = json.loads(state["config"])
    for name in ("optimizer", "momentum", "schedule", "l1", "gradient_clip", "ema", "mixup", "class_balance",
                 "teacher", "teacher_weight", "teacher_temperature", "fold", "clips_percent",
                 "feature_cache", "n_steps", "hard_percent", "hard_every", "focal", "select", "silence_percent"):  # fmt: skip
        del values[name]
    for name in (
        "speed_percent",
        "room_percent",
        "image_percent",
        "half_seen_percent",
        "warp_percent",
        "neighbour_percent",
        "late_ms",
    ):
        del values["augment"][name]
    old = json.dumps(values)
    assert TrainConfig.from_json(old) == replace(config, model=values["model"])
    before = {
        key: value
        for key, value in state.items()
        if key not in ("best_score", "best_loss", "least_loss", "hard")
    }
    save_checkpoint(tmp_path / LAST, {**before, "config": old})
    resumed = train(tmp_path, config, resume=True)
    assert (resumed.epoch, resumed.best.score) == (1, state["best_accuracy"])
    assert "ema = 0.0, now it is 0.5" in failure(
        lambda: train(tmp_path, replace(config, ema=0.5), resume=True)
    )
    strange = json.dumps({**values, "flux": 1})
    assert "cannot be read" in failure(lambda: TrainConfig.from_json(strange))


def test_kill_9_in_the_middle_of_an_epoch_then_resume(tmp_path: Path) -> None:
    options = [
        str(toy_store_path()), "--words", ",".join(WORDS), "--unknown", "400", "--speech-percent", "0",
        "--epochs", "2", "--batch-size", "8", "--learning-rate", "0.01", "--threads", "1", "--device", "cpu",
        "--architecture", "mlp", "--model", "hidden=12", "--resume",
    ]  # fmt: skip
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "speechcmd", "train", *options, "--run", str(killed)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not (killed / LAST).exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.05)  # an epoch lasts several times as long
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_checkpoint(killed / LAST)["epoch"] < 2
    command("train", *options, "--run", killed)
    command("train", *options, "--run", whole)
    assert load_checkpoint(killed / LAST)["epoch"] == 2
    assert_same_run(killed, whole)


def test_a_kill_between_metrics_and_checkpoint_loses_and_doubles_nothing(tmp_path: Path) -> None:
    config = short_config()
    whole = train(tmp_path / "run", config)
    before = metrics_of(tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as handle:
        handle.write('{"epoch": 2, "train_loss": 1.0}\n{"epoch": 3, "tra')
    resumed = train(tmp_path / "run", config, resume=True)
    assert metrics_of(tmp_path / "run") == before
    assert resumed.best_accuracy == whole.best_accuracy


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    config = short_config(epochs=1)
    train(tmp_path, config)
    for changes, what in (
        ({"learning_rate": 0.5}, "learning_rate = 0.01, now it is 0.5"),
        ({"epochs": 9}, "epochs = 1, now it is 9"),
        ({"augment": AugmentConfig.off()}, "augment = "),
        ({"words": ("no",)}, "words = "),
    ):
        message = failure(lambda changes=changes: train(tmp_path, replace(config, **changes), resume=True))  # type: ignore[misc]
        assert what in message
        assert "resume with the same settings or choose another --run" in message
    train(tmp_path, replace(config, n_workers=1), resume=True)  # where it runs may change


def test_resume_on_other_data_is_refused(tmp_path: Path) -> None:
    train(tmp_path, short_config(epochs=1))
    other = toy_store()
    other.info["data_digest"] = "0" * 64
    message = failure(lambda: Trainer(other, short_config(epochs=1), tmp_path, resume=True))
    assert "with digest" in message
    assert "resume with the same store" in message
    (tmp_path / "run.json").unlink()
    assert "run.json: missing or damaged" in failure(
        lambda: train(tmp_path, short_config(epochs=1), resume=True)
    )


def test_resume_takes_the_recorded_threads(tmp_path: Path) -> None:
    train(tmp_path, short_config(epochs=1))
    state = load_checkpoint(tmp_path / LAST)
    save_checkpoint(tmp_path / LAST, {**state, "n_threads": 2})
    try:
        Trainer(toy_store(), short_config(epochs=1), tmp_path, resume=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, damage: str) -> None:
    train(tmp_path, short_config(epochs=1))
    path = tmp_path / LAST
    content = path.read_bytes()
    if damage == "other":
        torch.save([1, 2], path)
    else:
        path.write_bytes(
            {"cut": content[: len(content) // 2], "noise": os.urandom(5_000), "empty": b""}[damage]
        )
    assert "a checkpoint of ours" in failure(lambda: train(tmp_path, short_config(epochs=1), resume=True))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"config": Path("x"), "run": os.system}, tmp_path / LAST)
    assert "damaged or not a checkpoint" in failure(lambda: load_checkpoint(tmp_path / LAST))
