"""Nothing leaves the computer: no socket, no look-up of a name, no file but those that were asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from fakes import SAMPLE_RATE, tone_recording, toy_model
from tracing import private_environment, trace_python

pytestmark = pytest.mark.runtime

PROGRAM = """
import numpy
from speechcmd import Recognizer
Recognizer.load("toy.onnx").classify(numpy.zeros(16_000, numpy.float32))
"""
WAYS = {
    "classify": (["-m", "speechcmd", "classify", "-m", "toy.onnx", "a.wav"], set()),
    "transcribe in processes": (
        [
            "-m",
            "speechcmd",
            "transcribe",
            "-m",
            "toy.onnx",
            "--jobs",
            "2",
            "-o",
            "words.csv",
            "a.wav",
            "b.wav",
        ],
        {"words.csv"},
    ),
    "listen": (
        ["-m", "speechcmd", "listen", "-m", "toy.onnx", "--input-file", "a.wav", "--save-dir", "clips"],
        {"clips"},
    ),
    "a program": (["-c", PROGRAM], set()),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    for name in ("a.wav", "b.wav"):
        soundfile.write(name, tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_sent_and_nothing_is_written_that_was_not_asked_for(way: str, tmp_path: Path) -> None:
    arguments, results = WAYS[way]
    trace = trace_python(arguments, private_environment(tmp_path / "home"), tmp_path)
    assert trace.network == ()
    inside = {path.relative_to(tmp_path).parts[0] for path in trace.written if path.is_relative_to(tmp_path)}
    assert [path for path in trace.written if not path.is_relative_to(tmp_path)] == []
    # a file that is being written has another name until it is whole
    assert {name for name in inside if not any(result in name for result in results)} == set()


@pytest.mark.parametrize("asked_for", ["", "0"])
def test_home_and_the_folder_for_temporary_files_stay_empty(asked_for: str, tmp_path: Path) -> None:
    """Also where there is no strace; and whoever asks onnxruntime for its reports gets none."""
    environment = private_environment(tmp_path / "home") | {"ORT_DISABLE_TELEMETRY": asked_for}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60)
    assert sorted(path.name for path in (tmp_path / "home").rglob("*")) == ["tmp"]


def test_the_trace_sees_what_it_looks_for(tmp_path: Path) -> None:
    """Otherwise the tests above could not fail."""
    program = """
import os, pathlib, socket
pathlib.Path(os.environ["HOME"], "secret").touch()
os.mkdir("folder")
os.rename("a.wav", "folder/away")
socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
os.path.exists("/etc/hosts")
"""
    trace = trace_python(["-c", program], private_environment(tmp_path / "home"), tmp_path)
    assert trace.written == {tmp_path / name for name in ("home/secret", "folder", "a.wav", "folder/away")}
    assert sum("socket(AF_INET" in call for call in trace.network) == 1
    assert sum("/etc/hosts" in call for call in trace.network) == 1
