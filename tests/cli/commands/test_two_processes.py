"""Two processes at one place, and one that is killed: what is there is whole, and nobody else's is touched."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, tone_recording, toy_model
from held_program import held_at, kill, release
from processes import find_speechcmd

from speechcmd.cli.main import cli
from speechcmd.files import is_part
from speechcmd.runtime.output.formats import SUFFIXES

pytestmark = pytest.mark.runtime

IN_A_RECORDING = "before:speechcmd.runtime.recognition.recognizer:Recognizer:_transcribe"
BEFORE_THE_FILE_IS_PUT_IN_PLACE = "after:speechcmd.cli.console.output::_write"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a model and two recordings."""
    find_speechcmd(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    soundfile.write("low.wav", tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)
    soundfile.write("high.wav", tone_recording([("high", 0.5), ("low", 1.5)], 2.5), SAMPLE_RATE)
    return tmp_path


def transcribe(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["transcribe", "-m", "toy.onnx", *map(str, arguments)])


def held_transcribe(place: str, *arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    return held_at(place, "transcribe", "-m", "toy.onnx", *arguments)


def parts(folder: str) -> list[str]:
    return [path.name for path in Path(folder).iterdir() if is_part(path.name)]


def test_the_second_into_a_folder_is_told_who_the_first_is_and_spoils_nothing() -> None:
    assert transcribe("low.wav", "high.wav", "--json", "-o", "expected/").exit_code == 0
    with held_transcribe(IN_A_RECORDING, "low.wav", "high.wav", "--json", "-o", "out/") as first:
        second = transcribe("high.wav", "--json", "-o", "out/")
        assert (second.exit_code, second.stdout) == (1, "")
        (line,) = second.stderr.splitlines()
        assert line.startswith(f"speechcmd: error: out: process {first.pid} on {os.uname().nodename} (")
        assert "transcribe -m toy.onnx low.wav high.wav --json -o out/) since " in line
        assert line.endswith("writes there; wait until it has ended, or choose another name")
        assert release(first) == 0
    for name in ("low.wav.jsonl", "high.wav.jsonl"):
        assert Path("out", name).read_bytes() == Path("expected", name).read_bytes()
    assert parts("out") == []
    assert transcribe("high.wav", "--json", "-o", "out/").exit_code == 0


def test_of_two_into_one_file_each_writes_a_whole_one_and_the_last_one_stays() -> None:
    whole = {name: transcribe(name, "--json").stdout for name in ("low.wav", "high.wav")}
    victim = Path("victim")
    victim.write_text("precious")
    Path("talk.txt.part").write_text("mine")
    Path("talk.part").symlink_to(victim)
    with held_transcribe(BEFORE_THE_FILE_IS_PUT_IN_PLACE, "low.wav", "--json", "-o", "talk.txt") as first:
        assert len(parts(".")) == 1
        assert transcribe("high.wav", "--json", "-o", "talk.txt").exit_code == 0
        assert Path("talk.txt").read_text() == whole["high.wav"]
        assert len(parts(".")) == 1  # a living writer's part stays
        assert release(first) == 0
    assert Path("talk.txt").read_text() == whole["low.wav"]
    assert parts(".") == []
    assert (Path("talk.txt.part").read_text(), victim.read_text()) == ("mine", "precious")
    assert Path("talk.part").is_symlink()


def test_a_killed_one_leaves_the_older_file_and_the_next_removes_its_part() -> None:
    assert transcribe("high.wav", "--json", "-o", "talk.txt").exit_code == 0
    older = Path("talk.txt").read_bytes()
    Path("link.txt").symlink_to("talk.txt")
    with held_transcribe(BEFORE_THE_FILE_IS_PUT_IN_PLACE, "low.wav", "--json", "-o", "talk.txt") as killed:
        kill(killed)
    assert Path("talk.txt").read_bytes() == older
    assert len(parts(".")) == 1
    assert transcribe("low.wav", "--json", "-o", "other.txt").exit_code == 0
    assert len(parts(".")) == 1  # it is not a part of this file
    assert transcribe("high.wav", "--json", "-o", "link.txt").exit_code == 0
    assert parts(".") == []
    assert Path("talk.txt").read_bytes() == older


def test_a_listener_that_is_killed_leaves_whole_clips() -> None:
    listen = ["listen", "-m", "toy.onnx", "--input-file", "high.wav", "--json", "--save-dir", "clips"]
    with held_at("after:speechcmd.runtime.listening.clip_folder:ClipFolder:write", *listen) as killed:
        kill(killed)
    (clip,) = Path("clips").glob("*.flac")
    assert len(soundfile.read(clip)[0]) == json.loads(clip.with_suffix(".json").read_text())["n_samples"]
    with held_at("before:speechcmd.files::_keep_mode", *listen) as killed:
        assert len(parts("clips")) == 1
        kill(killed)
    assert len(parts("clips")) == 1
    assert list(Path("clips").glob("*.flac")) == [clip]
    again = CliRunner().invoke(cli, listen)
    assert again.exit_code == 0
    assert parts("clips") == []
    assert len(list(Path("clips").glob("*.flac"))) == len(list(Path("clips").glob("*.json"))) == 3


@pytest.mark.parametrize("output_format", sorted(SUFFIXES))
def test_several_processes_give_the_same_bytes_in_every_format(output_format: str) -> None:
    for jobs in ("1", "3"):
        done = transcribe(
            "low.wav", "high.wav", "--format", output_format, "-o", f"out{jobs}/", "--jobs", jobs
        )
        assert (done.exit_code, done.stderr) == (0, "")
    results = [
        {path.name: path.read_bytes() for path in Path(f"out{jobs}").glob("[!.]*")} for jobs in ("1", "3")
    ]
    assert len(results[0]) == 2
    assert results[0] == results[1]
