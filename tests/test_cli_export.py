"""`speechcmd export`: what the options say is in the card, errors are one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result
from toy_run import toy_export, toy_run

from speechcmd.cli.main import cli
from speechcmd.runtime.model_file import read_card
from speechcmd.training import export


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
