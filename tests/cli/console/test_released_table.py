"""`speechcmd models --released`: the models of the package, with what was measured on these very files."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes import toy_model

from speechcmd.cli.main import cli
from speechcmd.errors import ModelError
from speechcmd.runtime.model import model_file
from speechcmd.runtime.model.figures import ClipFigures, Figures, OperatingPoint, Rate, Share, StreamFigures
from speechcmd.runtime.model.released import describe_released, read_figures
from speechcmd.runtime.recognition.speed import measure_speed

pytestmark = pytest.mark.runtime

CLIPS = ClipFigures(
    "12", "testing", Share(0.98, 0.974, 0.985, 2_790), 0.975, {"low": Share(0.9, 0.8, 1.0, 40)}
)
AS_SET = OperatingPoint(
    None, Rate(0.75, 0.155, 2.19, 3, 4.0), Share(0.1, 0.08, 0.12, 900), Share(0.04, 0.03, 0.052, 600)
)
STREAM = StreamFigures((AS_SET,), {}, None)


@pytest.fixture(autouse=True)
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models: a measured one that is the default, and one of which nothing is known."""
    monkeypatch.setattr(model_file, "ASSETS", tmp_path)
    monkeypatch.setattr("speechcmd.runtime.recognition.speed._TIMED_S", 0.5)
    (tmp_path / "cnn.onnx").write_bytes(toy_model(name="cnn"))
    (tmp_path / "abc.onnx").write_bytes(toy_model(name="abc", precision="int8"))
    write_figures(tmp_path, "cnn")
    return tmp_path


def write_figures(assets: Path, name: str, clips: ClipFigures = CLIPS) -> Figures:
    figures = Figures(name, digest_of(assets / f"{name}.onnx"), clips, STREAM)
    (assets / f"{name}.json").write_text(figures.to_json(), encoding="utf-8")
    return figures


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments])


def test_a_table_for_people(assets: Path) -> None:
    result = run("--released")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    header = "model words parameters MB accuracy false accepts/h missed speed"
    assert lines[0].split() == header.split()
    megabytes = f"{(assets / 'cnn.onnx').stat().st_size / 1e6:.2f}"
    *cnn, speed = lines[1].split()
    assert cnn == ["cnn", "2", "24", megabytes, "98.0", "%", "0.75", "4.0", "%"]
    assert float(speed.removesuffix("x").replace(",", "")) > 1
    assert lines[2].split() == ["97.4–98.5", "%", "0.15–2.19", "3.0–5.2", "%"]
    assert lines[2].index("98.5 %") + 6 == lines[0].index("accuracy") + 8, "under the figure"
    assert lines[3].split()[:-1] == ["abc", "2", "24", megabytes, "–", "–", "–"]
    assert lines[4] == ""
    assert "(cnn: the official 12 classes, testing speakers)" in " ".join(lines)
    assert max(len(line) for line in lines if str(assets) not in line) <= 80
    assert f"Cards with all figures: {assets}, NAME.md." in lines[-1]


def test_tasks_are_told_apart(assets: Path) -> None:
    write_figures(assets, "abc", replace(CLIPS, task="35", split=None))
    text = " ".join(run("--released").stdout.split())
    assert "(cnn: the official 12 classes, testing speakers; abc: all 35 words)" in text


def test_json_for_programs(assets: Path) -> None:
    cnn, abc = (json.loads(line) for line in run("--released", "--json").stdout.splitlines())
    assert cnn.pop("times_real_time") > 1
    assert cnn == {
        "name": "cnn",
        "is_default": True,
        "architecture": "tones",
        "precision": "float32",
        "words": ["low", "high"],
        "parameters": 24,
        "n_bytes": (assets / "cnn.onnx").stat().st_size,
        "sha256": digest_of(assets / "cnn.onnx"),
        "calibration": None,
        "figures": json.loads((assets / "cnn.json").read_text()),
    }
    assert (abc["name"], abc["is_default"], abc["precision"], abc["figures"]) == ("abc", False, "int8", None)


def test_each_can_be_chosen_by_its_name(assets: Path) -> None:
    for model in describe_released():
        chosen = CliRunner().invoke(cli, ["info", "-m", model.name, "--json"])
        assert json.loads(chosen.stdout)["name"] == model.name
    assert measure_speed("abc") > 1


def test_figures_of_another_file_are_refused(assets: Path) -> None:
    (assets / "cnn.onnx").write_bytes(toy_model(name="changed"))
    result = run("--released")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"speechcmd: error: {assets / 'cnn.json'}: figures of another model file")
    assert result.stderr.count("\n") == 1


def test_damaged_figures_are_refused(assets: Path) -> None:
    for content in (b"{}", b"\xff"):
        (assets / "cnn.json").write_bytes(content)
        with pytest.raises(ModelError, match=r"cnn\.json: "):
            read_figures("cnn", "ab")


@pytest.mark.parametrize("given", [("cnn",), ("--length", "1"), ("--labels", "12"), ("--model", "width=8")])
def test_what_is_about_architectures_is_wrong_usage(given: tuple[str, ...]) -> None:
    result = run("--released", *given)
    assert result.exit_code == 2
    shown = given[0] if given[0].startswith("--") else "NAME"
    assert f"--released lists all released models; expected no {shown} beside it" in result.stderr


def test_it_needs_no_training_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "librosa", "onnx", "scipy", "models"):
        monkeypatch.setitem(sys.modules, package, None)
    assert run("--released").exit_code == 0
