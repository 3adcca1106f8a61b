"""`speechcmd train --folds` and `--learning-curve`: what is printed, where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from toy_run import toy_store_path

from speechcmd.cli.console.progress import StepProgress
from speechcmd.cli.main import cli
from speechcmd.training.loop.run_folder import RunFolder

QUICK = (
    "--architecture", "mlp", "--words", "no,up", "--unknown", "all", "--epochs", "1", "--batch-size", "16",
    "--device", "cpu", "--threads", "1", "--model", "hidden=8",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of each run costs more time than a toy training."""
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["train", *map(str, (toy_store_path(), *QUICK, *arguments))])


def test_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_store_path()  # made here, its own progress would be seen too
    seen: list[tuple[int, int, str]] = []
    monkeypatch.setattr(
        StepProgress, "update", lambda self, done, total, note="": seen.append((done, total, note))
    )
    result = run("--run", tmp_path / "cv", "--folds", "2")
    assert result.exit_code == 0, result.output
    begins = [line for line in result.stderr.splitlines() if line.startswith("Training ")]
    assert begins == [
        f"Training 1 of 2: fold 1/2; {tmp_path / 'cv' / 'fold-1'}",
        f"Training 2 of 2: fold 2/2; {tmp_path / 'cv' / 'fold-2'}",
    ]
    assert result.stderr.count("mlp: ") == 1
    assert result.stderr.count("epoch   1/1") == 2
    # each training fills the bar from its beginning
    assert [done for done, _, _ in seen] == [*range(1, seen[0][1] + 1), *range(1, seen[-1][1] + 1)]
    figures = json.loads((tmp_path / "cv" / "folds.json").read_text())
    header, first, second, mean, reading, where = result.stdout.splitlines()
    assert header.split() == ["fold", "speakers", "clips", *["accuracy", "of", "the", "best", "epoch"]]
    for line, fold in zip((first, second), figures["folds"], strict=True):
        accuracy = f"{fold['accuracy']:.2f}"
        assert line.split() == [fold["name"], str(fold["n_speakers"]), str(fold["n_clips"]), accuracy, "%"]
        assert len(line) == len(header)
    assert f"{figures['mean_accuracy']:.2f} ± {figures['standard_deviation']:.2f} %" in mean
    assert reading == figures["reading"]
    assert where == f"Figures: {tmp_path / 'cv' / 'folds.json'}"

    refused = run("--run", tmp_path / "cv", "--folds", "2")
    assert refused.exit_code == 1
    assert "holds fold-1, fold-2 already; go on with --resume" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    resumed = run("--run", tmp_path / "cv", "--folds", "2", "--resume")
    assert resumed.stdout == result.stdout
    assert "Training 2 of 2: fold 2/2; 1 of 1 epochs are done; " in resumed.stderr
    assert "epoch   1/1" not in resumed.stderr
    other = run("--run", tmp_path / "cv", "--folds", "3", "--resume")
    assert other.exit_code == 1
    assert "the run was begun with fold = 1/2, now it is 1/3" in other.stderr


def test_learning_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr(
        "speechcmd.training.series.learning_curve.draw_learning_curve", lambda *given: drawn.append(given[-1])
    )
    result = run("--run", tmp_path / "curve", "--learning-curve")
    assert result.exit_code == 0, result.output
    begins = [line for line in result.stderr.splitlines() if line.startswith("Training ")]
    assert begins[0] == f"Training 1 of 4: 12.5 % of the clips; {tmp_path / 'curve' / 'share-12'}"
    assert begins[3] == f"Training 4 of 4: 100 % of the clips; {tmp_path / 'curve' / 'share-100'}"
    written = json.loads((tmp_path / "curve" / "learning_curve.json").read_text())
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["clips", "epochs", "steps", "training", "validation"]
    for line, point in zip(lines[1:5], written["points"], strict=True):
        n_clips, n_epochs, n_steps, training, _, validation, _ = line.split()
        assert [int(n_clips), int(n_epochs), int(n_steps)] == [
            point["n_clips"], point["n_epochs"], point["n_steps"],
        ]  # fmt: skip
        assert float(training) == pytest.approx(point["training_accuracy"], abs=0.006)
        assert float(validation) == pytest.approx(point["validation_accuracy"], abs=0.006)
        assert len(line) == len(lines[0])
    assert lines[5:9] == written["reading"]
    picture, figures = tmp_path / "curve" / "learning_curve.png", tmp_path / "curve" / "learning_curve.json"
    assert lines[9] == f"Picture: {picture}; figures: {figures}"
    assert drawn == [picture]


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        (
            ("--folds", "2", "--learning-curve"),
            "--folds and --learning-curve: expected one of them, got both",
            2,
        ),
        (("--folds", "1"), "--folds", 2),
        (("--folds", "9"), "9 folds: expected at least as many speakers", 1),
        (("--folds", "2", "--set", "fold=1/2"), "fold: expected none in a cross-validation", 1),
        (("--learning-curve", "--set", "clips_percent=50"), "clips_percent: expected 100", 1),
        (("--learning-curve", "--teacher", "some"), "teacher: expected none in a series", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_refused(tmp_path: Path, options: tuple[str, ...], message: str, status: int) -> None:
    result = run("--run", tmp_path / "run", *options)
    assert result.exit_code == status
    assert message in " ".join(result.stderr.split())
    assert status == 2 or len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
