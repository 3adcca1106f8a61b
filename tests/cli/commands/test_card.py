"""`speechcmd card`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from evaluation_results import clips_result
from fakes import toy_model

from speechcmd.cli.main import cli
from speechcmd.runtime.model.figures import Figures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file, and figures that were measured on it."""
    monkeypatch.chdir(tmp_path)
    model = toy_model()
    Path("toy.onnx").write_bytes(model)
    result = clips_result()
    result["model"]["sha256"] = hashlib.sha256(model).hexdigest()
    Path("figures").mkdir()
    Path("figures/clips.json").write_text(json.dumps(result))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["card", *arguments])


def test_the_card_goes_to_standard_output(folder: Path) -> None:
    result = run("toy.onnx", "--report", "figures")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("---\nlicense: apache-2.0\n")
    assert "# Model card: toy\n\nRecognises low and high in sound, and tells them from " in result.stdout
    assert "other words (\\_unknown\\_)" in result.stdout
    digest = hashlib.sha256(Path("toy.onnx").read_bytes()).hexdigest()
    assert f"| file | {Path('toy.onnx').stat().st_size / 1e6:.2f} MB, sha256 `{digest}` |" in result.stdout
    assert "\n    speechcmd clips -m 'toy model.onnx' --report out\n" in result.stdout


def test_the_card_goes_into_a_file(folder: Path) -> None:
    written = run("toy.onnx", "--report", "figures", "-o", "README.md")
    assert (written.exit_code, written.stdout, written.stderr) == (0, "", "")
    assert Path("README.md").read_text(encoding="utf-8") == run("toy.onnx", "--report", "figures").stdout


def test_notes_and_figures(folder: Path) -> None:
    Path("notes.md").write_text("- *größer* than `others`\n\n", encoding="utf-8")
    result = run("toy.onnx", "--report", "figures", "--notes", "notes.md", "--figures", "toy.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\n## Notes\n\n- *größer* than `others`\n\n## Figures\n" in result.stdout
    assert "## Notes" not in run("toy.onnx", "--report", "figures").stdout
    figures = Figures.from_json(Path("toy.json").read_text(encoding="utf-8"))
    assert (figures.name, figures.stream) == ("toy", None)
    assert figures.sha256 == hashlib.sha256(Path("toy.onnx").read_bytes()).hexdigest()
    assert figures.clips is not None
    assert figures.clips.accuracy.n == 2_000


def test_notes_that_are_no_text_are_refused_before_anything_is_written(folder: Path) -> None:
    Path("notes.md").write_bytes(b"\xff\xfe")
    result = run("toy.onnx", "--report", "figures", "--notes", "notes.md", "--figures", "toy.json")
    assert result.exit_code == 1
    assert result.stderr.startswith("speechcmd: error: notes.md: expected Markdown in UTF-8, got other bytes")
    assert not Path("toy.json").exists()


def test_figures_of_another_model_are_refused_and_nothing_is_written(folder: Path) -> None:
    Path("other.onnx").write_bytes(toy_model(name="other"))
    result = run("other.onnx", "--report", "figures", "--output", "README.md")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "speechcmd: error: figures/clips.json: measured on another model file than other"
    )
    assert result.stderr.count("\n") == 1
    assert not Path("README.md").exists()


def test_a_folder_without_figures_is_refused(folder: Path) -> None:
    result = run("toy.onnx", "--report", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("speechcmd: error: nowhere: expected a report folder with clips.json, ")


def test_the_folder_must_be_named(folder: Path) -> None:
    assert run("toy.onnx").exit_code == 2
