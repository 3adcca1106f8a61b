"""`speechcmd info`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes import toy_model

from speechcmd.cli.main import cli
from speechcmd.runtime.model import model_file
from speechcmd.runtime.model.model_file import DEFAULT_MODEL

pytestmark = pytest.mark.runtime


@pytest.fixture(autouse=True)
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The released models, of which the toy is the default."""
    (tmp_path / f"{DEFAULT_MODEL}.onnx").write_bytes(toy_model())
    monkeypatch.setattr(model_file, "ASSETS", tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["info", *arguments])


def test_text_for_people() -> None:
    result = run()
    assert result.exit_code == 0
    facts = dict(line.split(":", 1) for line in result.stdout.splitlines())
    assert {name: value.strip() for name, value in facts.items()} == {
        "model": "toy",
        "architecture": "tones",
        "labels": "_silence_ _unknown_ low high",
        "sample rate": "16000 Hz",
        "window": "0.300 s",
        "step": "0.020 s",
        "parameters": "24",
        "precision": "float32",
        "thresholds": "low 0.7, high 0.7",
        "calibrated": "no",
        "measured on": "nothing",
        "data": "made tones (CC0-1.0) https://example.org",
        "licence": "Apache-2.0",
        "made by": "speechcmd 0",
    }


def test_json_for_programs(tmp_path: Path) -> None:
    (facts,) = (json.loads(line) for line in run("-m", DEFAULT_MODEL, "--json").stdout.splitlines())
    assert facts["labels"] == ["_silence_", "_unknown_", "low", "high"]
    assert (facts["sample_rate"], facts["window_s"], facts["step_s"]) == (16_000, 0.3, 0.02)
    assert (facts["parameters"], facts["precision"]) == (24, "float32")
    assert facts["thresholds"] == {"low": 0.7, "high": 0.7}
    assert facts["data"] == [{"name": "made tones", "licence": "CC0-1.0", "url": "https://example.org"}]


def test_a_calibrated_model_tells_what_it_keeps(assets: Path) -> None:
    calibration = {
        "false_accepts_per_hour": 1.0, "confidence": None, "n_events": 4, "hours": 4.5,
        "rate": 8 / 9, "low": 0.2422, "high": 2.2759, "hours_by_kind": {"speech": 4.5},
    }  # fmt: skip
    model = toy_model(precision="int8", training={"calibration": calibration})
    (assets / "tiny.onnx").write_bytes(model)
    lines = run("-m", "tiny").stdout.splitlines()
    assert "precision:    int8" in lines
    assert (
        "calibrated:   for 1 false accept per hour: 4 in 4.50 h are 0.89 per hour, 95 % interval 0.24 to 2.28"
    ) in lines
    facts = json.loads(run("-m", "tiny", "--json").stdout)
    del calibration["hours_by_kind"]
    assert facts["calibration"] == calibration
    assert json.loads(run("--json").stdout)["calibration"] is None


def test_the_help_names_the_default_model() -> None:
    assert f"[default: {DEFAULT_MODEL}]" in run("--help").output


def test_licence_prints_the_notice(assets: Path) -> None:
    missing = run("--licence")
    assert missing.exit_code == 1
    assert "NOTICE is missing; install speechcmd again" in missing.stderr
    (assets / "NOTICE").write_text("Data by größe\n", encoding="utf-8")
    assert run("--licence").stdout == "Data by größe\n"


def test_an_unknown_model() -> None:
    result = run("-m", "lstm")
    assert result.exit_code == 1
    assert "no released model is called 'lstm' (released: cnn)" in result.stderr
