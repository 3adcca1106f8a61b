"""`speechcmd transcribe -o`: whole-file formats, one result a recording, and going on with a batch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.cli.main import cli

pytestmark = pytest.mark.runtime


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: a model, and recordings whose names differ in little."""
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    Path("talks/deep").mkdir(parents=True)
    low, high = tone_recording([("low", 0.5)], 1.5), tone_recording([("high", 0.5)], 1.5)
    soundfile.write("talks/a.wav", low, SAMPLE_RATE)
    soundfile.write("talks/a.ogg", high, SAMPLE_RATE)
    soundfile.write("talks/deep/b.flac", low, SAMPLE_RATE)


def run(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["transcribe", "-m", "toy.onnx", *arguments], input=given)


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def usage_error(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return " ".join(result.stderr.splitlines()[-1].split())


def age(path: str, seconds: float) -> None:
    """Make a file older."""
    stat = Path(path).stat()
    os.utime(path, (stat.st_atime, stat.st_mtime - seconds))


def test_one_recording_in_any_format_to_standard_output() -> None:
    assert run("talks/a.wav", "--format", "srt").stdout.splitlines()[2] == "low"
    assert run("talks/a.wav", "--format", "vtt").stdout.startswith("WEBVTT\n\n1\n00:00:00.")
    assert run("talks/a.wav", "--format", "audacity").stdout.endswith("\tlow\n")
    grid = run("talks/a.wav", "--format", "textgrid").stdout
    assert 'text = "low"' in grid
    assert "xmax = 1.5 \n" in grid  # the length of the recording


def test_one_recording_into_a_file() -> None:
    assert run("talks/a.wav", "--format", "srt", "-o", "a.srt").output == ""
    assert Path("a.srt").read_text(encoding="utf-8").splitlines()[2] == "low"


def test_a_recording_that_fails_writes_no_text() -> None:
    result = run("nosuch.wav", "--format", "srt")
    assert (result.exit_code, result.stdout) == (1, "")


def test_several_recordings_of_a_whole_file_format_need_a_folder() -> None:
    message = usage_error("talks", "--format", "srt")
    assert message == "Error: srt is a file of one recording, got 3; give a folder: -o DIR"
    Path("a.srt").write_text("old")
    assert usage_error("talks", "--format", "srt", "-o", "a.srt") == message
    assert Path("a.srt").read_text() == "old"


def test_names_keep_the_folders_and_the_whole_name() -> None:
    assert run("talks", "--format", "srt", "-o", "out").output == ""
    assert files("out") == [".speechcmd.json", "a.ogg.srt", "a.wav.srt", "deep/b.flac.srt"]
    assert Path("out/a.ogg.srt").read_text(encoding="utf-8").splitlines()[2] == "high"
    assert Path("out/a.wav.srt").read_text(encoding="utf-8").splitlines()[2] == "low"


@pytest.mark.parametrize("output", ["new/", "there"])
def test_lines_go_into_a_folder_that_exists_or_is_named_as_one(output: str) -> None:
    Path("there").mkdir()
    assert run("talks/a.wav", "talks/deep/b.flac", "--format", "csv", "-o", output).output == ""
    assert files(output) == [".speechcmd.json", "a.wav.csv", "b.flac.csv"]
    header, line = Path(output, "b.flac.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("path,label,")
    assert line.startswith("talks/deep/b.flac,low,")


def test_patterns_keep_the_folders_below_their_fixed_part() -> None:
    assert run("talks/**/*.flac", "tal*/a.wav", "--json", "-o", "out/").output == ""
    assert files("out") == [".speechcmd.json", "deep/b.flac.jsonl", "talks/a.wav.jsonl"]


def test_standard_input_has_a_name_too() -> None:
    result = run("-", "--json", "-o", "out/", given=Path("talks/a.wav").read_bytes())
    assert result.exit_code == 0
    assert json.loads(Path("out/stdin.jsonl").read_text())["label"] == "low"


def test_two_recordings_never_share_a_result() -> None:
    Path("more").mkdir()
    Path("more/a.wav").write_bytes(Path("talks/a.wav").read_bytes())
    message = usage_error("talks/a.wav", "more/a.wav", "--json", "-o", "out/")
    assert message.startswith("Error: talks/a.wav and more/a.wav would both be written to out/a.wav.jsonl; ")
    assert not Path("out").exists()
    assert run("talks", "more", "nosuch/a.wav", "--format", "srt", "-o", "out").exit_code == 2


def test_a_recording_that_fails_writes_no_file_and_stops_nothing() -> None:
    Path("talks/broken.wav").write_bytes(b"RIFF and no more")
    result = run("talks", "nosuch*.wav", "nowhere*.wav", "--format", "vtt", "-o", "out")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "speechcmd: 3 of 6 recordings failed"
    assert files("out") == [".speechcmd.json", "a.ogg.vtt", "a.wav.vtt", "deep/b.flac.vtt"]


def test_an_interrupt_leaves_what_is_whole_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmd.runtime.recognition.recognizer import Recognizer

    real = Recognizer.transcribe

    def interrupt(self: Recognizer, source: str, **options: object) -> object:
        if source.endswith("a.wav"):
            raise KeyboardInterrupt
        return real(self, source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Recognizer, "transcribe", interrupt)
    result = run("talks", "--json", "-o", "out/")
    assert result.exit_code == 130
    assert files("out") == [".speechcmd.json", "a.ogg.jsonl"]


def test_resume_does_what_is_missing_or_older() -> None:
    arguments = ("talks", "--json", "-o", "out/", "--resume")
    first = run(*arguments)
    assert (first.exit_code, first.stderr) == (0, "speechcmd: 0 of 3 recordings were done already\n")
    age("out/.speechcmd.json", 100)
    Path("out/a.ogg.jsonl").unlink()
    Path("out/a.wav.jsonl").write_text("kept")
    age("out/deep/b.flac.jsonl", 50)
    for recording in ("talks/a.wav", "talks/a.ogg"):
        age(recording, 100)
    second = run(*arguments)
    assert (second.exit_code, second.stderr) == (0, "speechcmd: 1 of 3 recordings were done already\n")
    assert Path("out/a.wav.jsonl").read_text() == "kept"
    assert json.loads(Path("out/a.ogg.jsonl").read_text())["label"] == "high"
    assert "3 of 3" in run(*arguments).stderr
    assert "0 of 1" in run("talks/a.wav", "--json", "-o", "other/", "--resume").stderr


def test_resume_refuses_results_of_other_settings() -> None:
    assert run("talks", "--json", "-o", "out/").exit_code == 0
    before = files("out")
    for options, difference in [
        (["--labels", "low"], '(labels: null, now ["low"])'),
        (["--format", "csv"], "(format: jsonl, now csv)"),
        (["--threshold", "0.9"], "(decoder default threshold: 0.7, now 0.9)"),
        (["--threshold", "low=0.5"], "(decoder labels low threshold: null, now 0.5, decoder labels low"),
    ]:
        message = usage_error("talks", "--json", "-o", "out/", "--resume", *options)
        assert message.startswith("Error: out holds results of other settings " + difference)
    Path("toy.onnx").write_bytes(toy_model(name="other"))
    assert "(model: " in usage_error("talks", "--json", "-o", "out/", "--resume")
    assert files("out") == before


def test_results_of_earlier_settings_never_count_as_done() -> None:
    """Without --resume other settings replace the old ones, and the old results are then too old."""
    assert run("talks", "--json", "-o", "out/").exit_code == 0
    for name in ("out/.speechcmd.json", "out/a.wav.jsonl", "out/a.ogg.jsonl", "out/deep/b.flac.jsonl"):
        age(name, 10)
    for name in ("talks/a.wav", "talks/a.ogg", "talks/deep/b.flac"):
        age(name, 100)
    assert "3 of 3" in run("talks", "--json", "-o", "out/", "--resume").stderr
    assert run("talks/a.wav", "--json", "-o", "out/", "--labels", "low").exit_code == 0
    assert "1 of 3" in run("talks", "--json", "-o", "out/", "--resume", "--labels", "low").stderr


def test_settings_that_cannot_be_read_count_as_none() -> None:
    assert run("talks", "--json", "-o", "out/").exit_code == 0
    for content in ("{", "[]"):
        Path("out/.speechcmd.json").write_text(content)
        age("out/a.wav.jsonl", 10)
        assert "were done already" in run("talks", "--json", "-o", "out/", "--resume").stderr
        assert json.loads(Path("out/.speechcmd.json").read_text())["format"] == "jsonl"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["talks", "--resume"], "--resume needs a folder"),
        (["talks", "--resume", "-o", "words.txt"], "--resume needs a folder"),
        (["talks", "-o", ""], "expected a path, got nothing"),
        (["-", "talks", "--jobs", "2"], "standard input beside other recordings needs --jobs 1"),
        (["talks", "--jobs", "0"], "--jobs"),
        (["talks", "--raw-rate", "16000"], "--raw-rate is for standard input"),
        (["-", "--raw-channels", "2"], "--raw-channels needs --raw-rate"),
        (["-", "--raw-rate", "1"], "--raw-rate"),
        (["-", "--raw-rate", "16000", "--raw-channels", "0"], "--raw-channels"),
    ],
)
def test_options_that_do_not_fit_each_other(arguments: list[str], problem: str) -> None:
    assert problem in usage_error(*arguments)
