"""Resume: the same weights to the bit, after a stop, a kill, or never with other settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_checks import assert_same_run, failure, metrics_of
from toy_line import command
from toy_run import WORDS, toy_config, toy_store, toy_store_path, train

from models.registry import list_architectures
from speechcmd.training.augment import AugmentConfig
from speechcmd.training.checkpoint import LAST, load_checkpoint, save_checkpoint
from speechcmd.training.trainer import EpochMetrics, StepReport, Trainer


class StopError(Exception):
    """Raised by a report to stop a training."""


def stop_after(n_epochs: int) -> Callable[[StepReport | EpochMetrics], None]:
    """A report that stops in the middle of the next epoch."""

    def report(seen: StepReport | EpochMetrics) -> None:
        if isinstance(seen, StepReport) and (seen.epoch, seen.batch) == (n_epochs, 2):
            raise StopError

    return report


@pytest.mark.parametrize("architecture", list_architectures())
def test_resume_is_exact_to_the_bit(tmp_path: Path, architecture: str) -> None:
    config = toy_config(architecture, epochs=3)
    train(tmp_path / "whole", config)
    trainer = Trainer(toy_store(), config, tmp_path / "parts")
    with pytest.raises(StopError):
        trainer.fit(stop_after(1))
    resumed = Trainer(toy_store(), config, tmp_path / "parts", resume=True)
    assert resumed.epoch == 1
    resumed.fit(lambda report: None)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_kill_9_in_the_middle_of_an_epoch_then_resume(tmp_path: Path) -> None:
    options = [
        str(toy_store_path()), "--words", ",".join(WORDS), "--unknown", "700", "--speech-percent", "0",
        "--epochs", "3", "--batch-size", "16", "--learning-rate", "0.01", "--threads", "1", "--device", "cpu",
        "--model", "channels=[4,6,8]", "--model", "width=16", "--model", "dilations=[1,2]", "--resume",
    ]  # fmt: skip
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "speechcmd", "train", *options, "--run", str(killed)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not (killed / LAST).exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.1)  # an epoch lasts several times as long
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_checkpoint(killed / LAST)["epoch"] < 3
    command("train", *options, "--run", killed)
    command("train", *options, "--run", whole)
    assert load_checkpoint(killed / LAST)["epoch"] == 3
    assert_same_run(killed, whole)


def test_a_kill_between_metrics_and_checkpoint_loses_and_doubles_nothing(tmp_path: Path) -> None:
    config = toy_config()
    whole = train(tmp_path / "run", config)
    before = metrics_of(tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as handle:
        handle.write('{"epoch": 2, "train_loss": 1.0}\n{"epoch": 3, "tra')
    resumed = train(tmp_path / "run", config, resume=True)
    assert metrics_of(tmp_path / "run") == before
    assert resumed.best_accuracy == whole.best_accuracy


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    config = toy_config(epochs=1)
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
    train(tmp_path, toy_config(epochs=1))
    other = toy_store()
    other.info["data_digest"] = "0" * 64
    message = failure(lambda: Trainer(other, toy_config(epochs=1), tmp_path, resume=True))
    assert "with digest" in message
    assert "resume with the same store" in message
    (tmp_path / "run.json").unlink()
    assert "run.json: missing or damaged" in failure(
        lambda: train(tmp_path, toy_config(epochs=1), resume=True)
    )


def test_resume_takes_the_recorded_threads(tmp_path: Path) -> None:
    train(tmp_path, toy_config(epochs=1))
    state = load_checkpoint(tmp_path / LAST)
    save_checkpoint(tmp_path / LAST, {**state, "n_threads": 2})
    try:
        Trainer(toy_store(), toy_config(epochs=1), tmp_path, resume=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, damage: str) -> None:
    train(tmp_path, toy_config(epochs=1))
    path = tmp_path / LAST
    content = path.read_bytes()
    if damage == "other":
        torch.save([1, 2], path)
    else:
        path.write_bytes(
            {"cut": content[: len(content) // 2], "noise": os.urandom(5_000), "empty": b""}[damage]
        )
    assert "a checkpoint of ours" in failure(lambda: train(tmp_path, toy_config(epochs=1), resume=True))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"config": Path("x"), "run": os.system}, tmp_path / LAST)
    assert "damaged or not a checkpoint" in failure(lambda: load_checkpoint(tmp_path / LAST))
