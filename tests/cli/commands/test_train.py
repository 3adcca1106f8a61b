"""`speechcmd train`: every option arrives, wrong ones exit 2, errors are one line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from toy_run import toy_store_path
from toy_speech import toy_speech

from models.registry import list_architectures
from speechcmd.cli.commands.train import train as train_command
from speechcmd.cli.console.training_progress import report_training
from speechcmd.cli.main import cli
from speechcmd.training.loop.checkpoint import load_checkpoint

# what makes any training a matter of a second
QUICK = (
    "--words", "no,up", "--epochs", "1", "--batch-size", "16", "--device", "cpu", "--threads", "1",
    "--model", "channels=[4,6,8]", "--model", "width=16", "--model", "dilations=[1,2]",
)  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def config_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "config.toml").read_text())


OPTIONS: list[tuple[tuple[str, ...], str, Any]] = [
    (("--architecture", "gru"), "architecture", "gru"),
    (("--words", " up , no,"), "words", ["up", "no"]),
    (("--length", "0.7"), "length", "0.7"),
    (("--length", "p95"), "length", "p95"),
    (("--unknown", "33"), "unknown", "33"),
    (("--unknown", "all"), "unknown", "all"),
    (("--negatives", "none"), "negatives", "none"),
    (("--speech-percent", "5"), "speech_percent", 5.0),
    (("--epochs", "3"), "epochs", 3),
    (("--batch-size", "8"), "batch_size", 8),
    (("--optimizer", "rmsprop"), "optimizer", "rmsprop"),
    (("--schedule", "step"), "schedule", "step"),
    (("--learning-rate", "0.005"), "learning_rate", 0.005),
    (("--weight-decay", "0.5"), "weight_decay", 0.5),
    (("--label-smoothing", "0.2"), "label_smoothing", 0.2),
    (("--patience", "2"), "patience", 2),
    (("--no-time-shift",), "augment.time_shift_ms", 0.0),
    (("--time-shift",), "augment.time_shift_ms", 100.0),
    (("--no-noise",), "augment.noise_percent", 0.0),
    (("--noise",), "augment.noise_percent", 50.0),
    (("--no-gain",), "augment.gain_db", 0.0),
    (("--gain",), "augment.gain_db", 10.0),
    (("--no-spec-augment",), "augment.time_masks", 0),
    (("--no-spec-augment",), "augment.band_masks", 0),
    (("--spec-augment",), "augment.band_masks", 1),
    (("--model", "dropout=0.4"), "model.dropout", 0.4),
    (("--seed", "7"), "seed", 7),
    (("--device", "auto"), "device", "auto"),
    (("--precision", "bf16-mixed"), "precision", "bf16-mixed"),
    (("--workers", "2"), "n_workers", 2),
    (("--threads", "1"), "n_threads", 1),
    (("--deterministic",), "deterministic", True),
    (("--set", "ema=0.5"), "ema", 0.5),
    (("--set", "augment.noise_snr_db=[1,2]"), "augment.noise_snr_db", [1.0, 2.0]),
]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run folder is made, the training itself is left out."""
    from speechcmd.training.loop.trainer import Trainer

    monkeypatch.setattr(Trainer, "fit", lambda self, report, on_scan: None)
    monkeypatch.setattr("torch.use_deterministic_algorithms", lambda on: None)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("options", "name", "value"), OPTIONS, ids=lambda value: str(value)[:30])
def test_each_option_reaches_the_config(
    tmp_path: Path, options: tuple[str, ...], name: str, value: Any
) -> None:
    model = () if "gru" in options else QUICK[-6:]
    result = run(
        toy_store_path(), "--run", tmp_path / "run", "--device", "cpu", "--words", "no,up", *model, *options
    )
    assert result.exit_code == 0, result.output
    found: Any = config_of(tmp_path / "run")
    for part in name.split("."):
        found = found[part]
    assert found == value


def test_every_option_has_a_case() -> None:
    covered = {option for options, _, _ in OPTIONS for option in options if option.startswith("--")}
    declared = {name for option in train_command.params for name in (*option.opts, *option.secondary_opts)}
    elsewhere = {"--run", "--resume", "--initial", "--teacher", "--feature-cache", "--recipe", "--folds",
                 "--learning-curve"}  # fmt: skip
    assert {name for name in declared if name.startswith("--")} - covered == elsewhere


@pytest.mark.usefixtures("no_training")
def test_defaults(tmp_path: Path) -> None:
    assert run(toy_store_path(), "--run", tmp_path, "--words", "no,up").exit_code == 0
    config = config_of(tmp_path)
    assert config["length"] == "mean"  # the store's
    assert config["architecture"] == "cnn"
    assert config["model"] == {}
    help_text = run("--help").output
    for name in ("learning_rate", "weight_decay", "label_smoothing"):
        assert f"[default: {config[name]:g}" in help_text, name
    # what follows the number of clips is written down as it was resolved: some seventy in an epoch here
    assert (config["batch_size"], config["epochs"], config["patience"]) == (16, 150, 57)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("asked", "half_seen"), [("", 25), ("mixup=0", 25), ("mixup=0.2", 0)])
def test_half_seen_words_give_way_to_mixtures(tmp_path: Path, asked: str, half_seen: float) -> None:
    """They do not go together, and only one of them was asked for."""
    options = ("--set", asked) if asked else ()
    assert run(toy_store_path(), "--run", tmp_path, "--words", "no,up", *options).exit_code == 0
    assert config_of(tmp_path)["augment"]["half_seen_percent"] == half_seen


def test_half_seen_words_that_are_asked_for_are_refused_beside_mixtures(tmp_path: Path) -> None:
    both = ("--set", "mixup=0.2", "--set", "augment.half_seen_percent=25")
    result = run(toy_store_path(), "--run", tmp_path / "run", *QUICK, *both)
    assert result.exit_code == 1
    assert "mixup: expected 0 beside augment.half_seen_percent = 25" in result.stderr


def test_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    result = run(toy_store_path(), "--run", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "cnn: " in result.stderr
    assert "epoch   1/1" in result.stderr
    assert result.stdout.startswith("Best validation accuracy ")
    assert f"Next: speechcmd export {tmp_path / 'run'} -o cnn.onnx" in result.stdout
    again = run(toy_store_path(), "--run", tmp_path / "run", *QUICK)
    assert again.exit_code == 1
    assert "holds a run already; go on with --resume" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    resumed = run(toy_store_path(), "--run", tmp_path / "run", *QUICK, "--resume")
    assert resumed.exit_code == 0
    other = run(toy_store_path(), "--run", tmp_path / "run", *QUICK, "--resume", "--seed", "3")
    assert other.exit_code == 1
    assert "seed = 0, now it is 3" in other.stderr


def test_stream_recall_stands_in_the_lines(tmp_path: Path) -> None:
    """In place of the speed, or a line would be longer than a terminal is wide."""
    options = ("--set", "select=stream", "--set", "epochs=2")
    result = run(toy_store_path(), toy_speech().path, "--run", tmp_path / "run", *QUICK, *options)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    said = [line for line in result.stderr.splitlines() if line.startswith("epoch ")]
    for line, entry in zip(said, lines, strict=True):
        assert line.endswith(f"%  stream {entry['stream_recall']:.2f} %")
        assert len(line) <= 80
    best = max(lines, key=lambda entry: entry["stream_recall"])
    assert result.stdout.startswith(
        f"Best stream recall {best['stream_recall']:.2f} %, with validation accuracy "
        f"{best['validation_accuracy']:.2f} %, after 2 epochs; "
    )


@pytest.mark.parametrize("recall", [None, 100.0])
def test_no_line_is_wider_than_a_terminal(capsys: pytest.CaptureFixture[str], recall: float | None) -> None:
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.training.loop.trainer import EpochMetrics

    metrics = EpochMetrics(
        199, 10.25, 100.0, 10.125, 100.0, 1e-3, 12_345.0, 60.0, 9.0, 100.0, 100.0, 9.0, recall
    )
    report_training(metrics, 200, StepProgress("train"))
    said = capsys.readouterr().err.rstrip("\n")
    assert said == "epoch 200/200  train 10.250 100.0 %  validation 10.125 100.00 %  " + (
        "12,345 clips/s" if recall is None else "stream 100.00 %"
    )
    assert len(said) <= 80


def test_initial_weights(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(toy_store_path(), "--run", first, *QUICK).exit_code == 0
    options = (*QUICK, "--learning-rate", "1e-12", "--initial", first)
    assert run(toy_store_path(), "--run", second, *options).exit_code == 0
    assert config_of(second)["initial"] == str(first)
    before, after = (load_checkpoint(path / "best.pt")["network"] for path in (first, second))
    for name in ("head.weight", "mel_mean"):  # nothing is learnt at that rate
        assert torch.allclose(before[name], after[name], atol=1e-6)
    other = run(toy_store_path(), "--run", tmp_path / "third", *options, "--words", "bird,zero")
    assert other.exit_code == 1
    assert "expected a run of the same network with some of the same words" in other.stderr
    assert "got cnn for no, up, _unknown_, _silence_ with windows of" in other.stderr
    assert len(other.stderr.splitlines()) == 1
    assert not (tmp_path / "third").exists()


def test_a_teacher_and_a_feature_cache(tmp_path: Path) -> None:
    teacher, cache, student = tmp_path / "teacher", tmp_path / "cache", tmp_path / "student"
    assert run(toy_store_path(), "--run", teacher, *QUICK, "--feature-cache", cache).exit_code == 0
    assert config_of(teacher)["feature_cache"] == str(cache)
    (kept,) = cache.iterdir()
    assert (kept / "log_mel.npy").exists()
    small = ("--architecture", "mlp", "--model", "hidden=4")
    result = run(toy_store_path(), kept, "--run", student, *QUICK[:-6], *small, "--teacher", teacher)
    assert result.exit_code == 0, result.output
    assert config_of(student)["teacher"] == str(teacher)
    assert json.loads((student / "run.json").read_text())["stores_absolute"] == [
        str(toy_store_path()),
        str(kept),
    ]
    other = run(
        toy_store_path(), "--run", tmp_path / "third", *QUICK, "--teacher", teacher, "--words", "up,bird"
    )
    assert other.exit_code == 1
    assert "expected a teacher for up, bird, _unknown_, _silence_, got one without bird" in other.stderr
    assert len(other.stderr.splitlines()) == 1


def test_resume_without_a_run_begins_one(tmp_path: Path) -> None:
    assert run(toy_store_path(), "--run", tmp_path / "run", *QUICK, "--resume").exit_code == 0
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_the_bar_and_the_lines_show_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from speechcmd.cli.console.progress import StepProgress

    seen: list[tuple[int, int, str]] = []
    monkeypatch.setattr(
        StepProgress, "update", lambda self, done, total, note="": seen.append((done, total, note))
    )
    assert run(toy_store_path(), "--run", tmp_path / "run", *QUICK).exit_code == 0
    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][1] == len(seen)
    assert all(part in seen[0][2] for part in ("epoch 1/1", "loss", "accuracy", "clips/s"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--architecture", "vgg"), f"expected one of {', '.join(list_architectures())}, got 'vgg'"),
        (("--unknown", "some"), "expected auto, official, all or a number of clips"),
        (("--unknown", "-3"), "expected auto, official, all or a number of clips"),
        (("--length", "long"), "expected mean, p95 or seconds from 0.1 to 10"),
        (("--length", "60"), "expected mean, p95 or seconds from 0.1 to 10"),
        (("--model", "width"), "expected NAME=VALUE"),
        (("--seed", "-1"), "--seed"),
        (("--epochs", "0"), "--epochs"),
        (("--batch-size", "1"), "--batch-size"),
        (("--learning-rate", "0"), "--learning-rate"),
        (("--label-smoothing", "0.9"), "--label-smoothing"),
        (("--speech-percent", "-1"), "--speech-percent"),
        (("--device", "tpu"), "--device"),
        (("--precision", "int4"), "--precision"),
        (("--nonsense",), "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_exits_2(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run(toy_store_path(), "--run", tmp_path / "run", *QUICK, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--words", "no,marvin"), "no training clip of marvin"),
        (("--set", "words=,"), "words: expected one or more different words"),
        (("--model", "wdth=3"), "unknown setting 'wdth'"),
        (("--model", "width=-3"), "no network can be built"),
    ],
)
def test_what_does_not_fit_exits_1(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run(toy_store_path(), "--run", tmp_path / "run", *QUICK, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_missing_store_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "none", "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert "expected a store, found none" in result.stderr


def test_an_interrupt_exits_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmd.training.loop.trainer import Trainer

    def interrupt(self: object, report: object, on_scan: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupt)
    assert run(toy_store_path(), "--run", tmp_path / "run", *QUICK).exit_code == 130


def test_the_command_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["speechcmd", "train", "my store"])
    assert run(toy_store_path(), "--run", tmp_path / "run", *QUICK).exit_code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["command"] == "speechcmd train 'my store'"


def test_what_a_resume_does_not_give_is_that_of_the_run(tmp_path: Path) -> None:
    """As defaults may have been others in the version that began it."""
    assert run(toy_store_path(), "--run", tmp_path, *QUICK, "--label-smoothing", "0.3").exit_code == 0
    before = config_of(tmp_path)
    again = run(toy_store_path(), "--run", tmp_path, "--resume")
    assert again.exit_code == 0, again.output
    assert config_of(tmp_path) == before
    other = run(toy_store_path(), "--run", tmp_path, "--resume", "--label-smoothing", "0.1")
    assert other.exit_code == 1
    assert "begun with label_smoothing = 0.3, now it is 0.1" in other.output
