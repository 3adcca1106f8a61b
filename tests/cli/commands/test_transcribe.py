"""`speechcmd transcribe`, from the command line to its lines."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.cli.main import cli

pytestmark = pytest.mark.runtime

TWICE = tone_recording([("low", 0.5), ("low", 1.5)], 2.5)
ONCE = tone_recording([("high", 0.5)], 1.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a model, a file, and a folder with a broken file among others."""
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    soundfile.write("twice.wav", TWICE, SAMPLE_RATE)
    deep = Path("clips/deep")
    deep.mkdir(parents=True)
    soundfile.write(deep / "once.FLAC", ONCE, SAMPLE_RATE, format="FLAC")
    Path("clips/broken.wav").write_bytes(b"RIFF and no more")
    Path("clips/notes.txt").write_text("not audio")
    soundfile.write("clips/quiet.ogg", tone_recording([], 1.0), SAMPLE_RATE)
    return tmp_path


def run(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["transcribe", "-m", "toy.onnx", *arguments], input=given)


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("folder")
class TestTranscribe:
    def test_a_word_spoken_twice_is_two_lines(self) -> None:
        result = run("twice.wav")
        assert result.exit_code == 0
        first, second = (line.split() for line in result.stdout.splitlines())
        assert (first[0], first[2], second[2]) == ("twice.wav", "low", "low")
        assert first[1].startswith("0:00.")
        assert second[1].startswith("0:01.")
        assert result.stderr == ""

    def test_a_folder_with_a_broken_file_is_partly_done(self) -> None:
        result = run("clips", "--json")
        assert result.exit_code == 1
        broken, word = objects(result.stdout)
        assert broken["path"] == str(Path("clips/broken.wav"))
        assert str(broken["error"]).startswith(f"{Path('clips/broken.wav')}: ")
        assert (word["path"], word["label"]) == (str(Path("clips/deep/once.FLAC")), "high")
        assert list(word) == ["path", "label", "start_s", "end_s", "score", "decided_s"]
        assert "speechcmd: 1 of 3 recordings failed\n" in result.stderr

    def test_a_path_that_does_not_exist_does_not_stop_the_others(self) -> None:
        result = run("nosuch.wav", "nosuch*.wav", "twice.wav", "--json")
        assert result.exit_code == 1
        assert [row.get("label", row.get("error")) for row in objects(result.stdout)] == [
            "nosuch.wav: no such file",
            "nosuch*.wav: no file matches this pattern",
            "low",
            "low",
        ]

    def test_a_folder_without_audio_is_an_error(self) -> None:
        Path("empty").mkdir()
        result = run("empty")
        assert result.exit_code == 1
        assert "empty: no audio file in this folder" in result.stderr

    def test_patterns_are_expanded_where_the_shell_does_not(self) -> None:
        result = run("clips/**/*.FLAC", "tw?ce.wav", "twice.wav", "--json")
        assert [row["label"] for row in objects(result.stdout)] == ["high", "low", "low"]

    def test_a_recording_without_words_says_so_to_people_only(self) -> None:
        quiet = str(Path("clips/quiet.ogg"))
        result = run(quiet)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{quiet}: no word heard\n")
        assert run(quiet, "--json").output == ""

    def test_standard_input(self) -> None:
        result = run("-", "--json", given=Path("twice.wav").read_bytes())
        assert [(row["path"], row["label"]) for row in objects(result.stdout)] == [("-", "low")] * 2
        failed = run("-", given=b"")
        assert failed.exit_code == 1
        assert failed.stderr.startswith("speechcmd: error: <stream>: ")

    def test_csv(self) -> None:
        result = run("twice.wav", "clips/broken.wav", "--format", "csv")
        rows = list(csv.DictReader(result.stdout.splitlines()))
        assert [row["label"] for row in rows] == ["low", "low", ""]
        assert rows[2]["error"].startswith("clips/broken.wav: ")

    def test_labels_and_threshold(self) -> None:
        assert run("twice.wav", "--labels", "high", "--json").stdout == ""
        assert len(run("twice.wav", "--labels", "high, low", "--json").stdout.splitlines()) == 2
        assert run("twice.wav", "--threshold", "1", "--json").stdout == ""

    @pytest.mark.parametrize(
        "options", [["--labels", "left"], ["--labels", " ,"], ["--threshold", "0"], ["--threshold", "1.1"]]
    )
    def test_wrong_usage(self, options: list[str]) -> None:
        result = run("twice.wav", *options)
        assert result.exit_code == 2
        assert result.stdout == ""

    def test_the_output_file_appears_whole(self) -> None:
        result = run("twice.wav", "clips/broken.wav", "--json", "-o", "words.jsonl")
        assert result.exit_code == 1  # partly failed; what is done is done
        assert result.stdout == ""
        assert len(objects(Path("words.jsonl").read_text(encoding="utf-8"))) == 3
        assert not Path("words.jsonl.part").exists()

    def test_an_interrupted_output_leaves_the_old_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("words.txt").write_text("old")

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("speechcmd.runtime.recognition.recognizer.Recognizer.transcribe", interrupt)
        result = run("twice.wav", "-o", "words.txt")
        assert result.exit_code == 130
        assert Path("words.txt").read_text() == "old"
        assert not Path("words.txt.part").exists()

    def test_an_output_that_cannot_be_written_is_one_line(self) -> None:
        result = run("twice.wav", "-o", "nosuch/words.txt")
        assert result.exit_code == 1
        assert result.stderr == f"speechcmd: error: {Path('nosuch/words.txt')}: No such file or directory\n"

    def test_a_model_that_is_none_stops_at_once(self) -> None:
        Path("toy.onnx").write_bytes(b"")
        result = run("twice.wav")
        assert result.exit_code == 1
        assert result.stderr == (
            "speechcmd: error: toy.onnx: not an ONNX model: a graph and its operator set must be there\n"
        )

    def test_the_real_program_flushes_each_line(self) -> None:
        command = [sys.executable, "-m", "speechcmd", "transcribe", "-m", "toy.onnx", "--json", "-"]
        result = subprocess.run(
            command, input=Path("twice.wav").read_bytes(), capture_output=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr == b""
        assert [row["label"] for row in objects(result.stdout.decode())] == ["low", "low"]
