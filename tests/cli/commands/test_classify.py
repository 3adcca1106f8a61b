"""`speechcmd classify`, from the command line to its lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.cli.main import cli

pytestmark = pytest.mark.runtime


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: a model and a few clips."""
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    Path("clips").mkdir()
    soundfile.write("clips/high.wav", tone_recording([("high", 0.3)], 1.0), SAMPLE_RATE)
    soundfile.write("clips/low.wav", tone_recording([("low", 0.0)], 0.3), SAMPLE_RATE)
    soundfile.write("clips/none.wav", np.zeros(0), SAMPLE_RATE)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["classify", "-m", "toy.onnx", *arguments])


def test_one_aligned_line_a_clip() -> None:
    result = run("clips")
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        [str(Path("clips/high.wav")), "high"],
        [str(Path("clips/low.wav")), "low"],
        [str(Path("clips/none.wav")), "_silence_"],
    ]
    assert len({line.rindex(" ") for line in result.stdout.splitlines()}) == 1


def test_json_lines_with_a_clip_that_fails() -> None:
    result = run("clips/low.wav", "nosuch.wav", "--json")
    assert result.exit_code == 1
    clip, failed = (json.loads(line) for line in result.stdout.splitlines())
    assert list(clip) == ["path", "label", "score"]
    assert (clip["path"], clip["label"]) == ("clips/low.wav", "low")
    assert clip["score"] > 0.9
    assert failed == {"path": "nosuch.wav", "error": "nosuch.wav: no such file"}
    assert result.stderr.splitlines()[-1] == "speechcmd: 1 of 2 recordings failed"


def test_csv_into_a_file() -> None:
    assert run("clips/low.wav", "--format", "csv", "--output", "words.csv").output == ""
    header, line = Path("words.csv").read_text(encoding="utf-8").splitlines()
    assert header == "path,label,score,error"
    assert line.startswith("clips/low.wav,low,")


def test_words_left_out_count_as_unknown() -> None:
    assert run("clips/low.wav", "--labels", "high").stdout.split()[1] == "_unknown_"


def test_a_word_that_the_model_does_not_know_is_wrong_usage() -> None:
    result = run("clips/low.wav", "--labels", "left")
    assert result.exit_code == 2
    assert "its words are low, high" in result.stderr
