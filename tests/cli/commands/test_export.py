"""`speechcmd export`: what the options say is in the card, errors are one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result
from toy_run import toy_export, toy_run

from speechcmd.cli.main import cli
from speechcmd.runtime.model.model_file import read_card
from speechcmd.training.export import onnx_export as export
from speechcmd.training.export import quantisation
from speechcmd.training.export.paired_loss import PairedLoss


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion takes seconds and is tested elsewhere; all after it is real."""
    model = onnx.load(toy_export("cnn").path)
    del model.metadata_props[:]
    monkeypatch.setattr(export, "convert", lambda network: model)


def test_the_options_go_into_the_card(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    result = run(
        toy_run("cnn"), "-o", path, "--name", "kitchen", "--licence", "CC-BY-4.0", "--threshold", "0.55",
        "--data", "Chirps | CC0-1.0 | https://example.org/a", "--data", "Noise|MIT|https://example.org/b",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    card = read_card(path.read_bytes())
    assert card.name == "kitchen"
    assert card.licence == "CC-BY-4.0"
    assert card.decoder.default.threshold == 0.55
    sources = [(source.name, source.licence, source.url) for source in card.data]
    assert sources == [
        ("Chirps", "CC0-1.0", "https://example.org/a"), ("Noise", "MIT", "https://example.org/b")
    ]  # fmt: skip


def test_defaults_and_the_line_it_prints(tmp_path: Path) -> None:
    result = run(toy_run("cnn"), "--output", tmp_path / "mine.onnx")
    assert result.exit_code == 0, result.output
    card = read_card((tmp_path / "mine.onnx").read_bytes())
    assert (card.name, card.licence, card.data) == ("mine", "unknown", ())
    assert card.decoder.default.threshold == export.DEFAULT_THRESHOLD
    assert len(result.stdout.splitlines()) == 1
    for part in ("mine.onnx", "MB", f"{card.parameters:,} parameters", "largest difference", "8 real clips"):
        assert part in result.stdout


def test_int8_tells_what_it_costs(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    result = run(toy_run("cnn"), "-o", path, "--int8", "--calibration-clips", "20", "--most-loss", "100")
    assert result.exit_code == 0, result.output
    first, layers, size, accuracy, loss, time = result.stdout.splitlines()
    assert first.endswith("both before int8")
    assert layers == "int8: 5 of 7 layers, 2 in float; ranges from 20 training clips"
    for line, parts in (
        (size, ("size", " -> ", "MB")), (accuracy, ("accuracy", " -> ", "validation clips")),
        (loss, ("points (95 %: ", "in float alone", "in int8 alone")), (time, ("ms a window", "long signal")),
    ):  # fmt: skip
        assert all(part in line for part in parts), line
    assert max(map(len, result.stdout.splitlines()[1:])) < 100
    assert read_card(path.read_bytes()).precision == "int8"


def test_int8_that_loses_too_much_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = PairedLoss(n_clips=1000, both=900, first_only=9, second_only=5)
    monkeypatch.setattr(quantisation, "compare_answers", lambda *arguments: lost)
    result = run(toy_run("cnn"), "-o", tmp_path / "mine.onnx", "--int8", "--calibration-clips", "20")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert (
        "int8 loses 0.40 points of accuracy on 1000 validation clips, at most 0.3 is allowed" in result.stderr
    )
    assert not list(tmp_path.iterdir())


def test_a_missing_run_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path / "none", "-o", tmp_path / "mine.onnx")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "best.pt: no such checkpoint; expected the folder of a training run" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "only a name"), "expected NAME|LICENCE|URL"),
        (("--data", "a||b"), "expected NAME|LICENCE|URL"),
        (("--threshold", "1.5"), "--threshold"),
        (("--most-loss", "1"), "are for --int8"),
        (("--calibration-clips", "9"), "are for --int8"),
        (("--int8", "--calibration-clips", "0"), "--calibration-clips"),
        (("--int8", "--most-loss", "-1"), "--most-loss"),
        (("--nonsense",), "No such option"),
    ],
)
def test_wrong_usage_exits_2(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run(toy_run("cnn"), "-o", tmp_path / "mine.onnx", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "mine.onnx").exists()
    assert run(toy_run("cnn")).exit_code == 2  # -o is asked for


def test_help() -> None:
    assert "compared with torch" in " ".join(run("--help").output.split())
