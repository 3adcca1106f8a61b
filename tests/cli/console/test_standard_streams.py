"""Standard output as real processes see it: closed, full, with a reader that goes, and with libraries that write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from fakes import SAMPLE_RATE, tone_recording, toy_model
from processes import find_speechcmd

pytestmark = [pytest.mark.runtime, pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")]

COMMANDS = [
    "info -m toy.onnx",
    "transcribe -m toy.onnx --format srt a.wav",
    "listen -m toy.onnx --input-file a.wav --json",
    "--help",
]
# the program, with a network that writes past Python whenever it computes
NOISY_PROGRAM = """
import os
from speechcmd.cli.main import main
from speechcmd.runtime.model.session import Session
real = Session.run
def noisy(self, waveforms):
    os.write(1, b"[library] warning\\n")
    return real(self, waveforms)
Session.run = noisy
if __name__ == "__main__":
    main()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_speechcmd(monkeypatch)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # buffers are where results get lost
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    Path("noisy.py").write_text(NOISY_PROGRAM)
    for name in ("a.wav", "b.wav"):
        soundfile.write(name, tone_recording([("low", 0.5), ("high", 1.2)], 2.0), SAMPLE_RATE)


def run(command: str, program: str = "-m speechcmd") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{sys.executable} {program} {command}"], capture_output=True, text=True, timeout=60
    )


def last_line(text: str) -> str:
    return text.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("where", "reason"), [(">&-", "it is closed"), (">/dev/full", "No space left on device")]
)
def test_results_that_cannot_be_written_are_an_error(command: str, where: str, reason: str) -> None:
    if where == ">/dev/full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = run(f"{command} {where}")
    assert done.returncode == 1
    assert last_line(done.stderr) == (
        f"speechcmd: error: standard output: {reason}; send the results to a file with room, or to /dev/null"
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_ends_the_command_without_a_word(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "speechcmd", *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(writer)
    assert done.returncode == 1
    assert b"error" not in done.stderr
    assert b"Exception" not in done.stderr


def test_a_file_is_written_though_standard_output_is_closed() -> None:
    """And nothing else gets into it: the first file that a program opens takes the lowest free descriptor."""
    done = run("transcribe -m toy.onnx a.wav --format csv -o words.csv >&-", program="noisy.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(",")[1] for line in Path("words.csv").read_text().splitlines()] == [
        "label",
        "low",
        "high",
    ]


def test_results_come_though_standard_error_is_closed() -> None:
    done = run("transcribe -m toy.onnx a.wav missing.wav 2>&-")
    assert done.returncode == 1
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["low", "high"]


@pytest.mark.parametrize(
    "command",
    [
        "classify -m toy.onnx a.wav --json",
        "transcribe -m toy.onnx a.wav --json",
        "transcribe -m toy.onnx a.wav b.wav --json --jobs 2",
        "listen -m toy.onnx --input-file a.wav --json",
        "info -m toy.onnx --json",
    ],
)
def test_json_is_nothing_but_json_whatever_libraries_write(command: str) -> None:
    done = run(command, program="noisy.py")
    assert done.returncode == 0
    assert done.stdout != ""
    assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())


def test_the_name_of_standard_output_leads_to_it() -> None:
    """Libraries write to where /dev/stdout leads, results do not."""
    done = run("classify -m toy.onnx a.wav --json -o /dev/stdout", program="noisy.py")
    assert json.loads(done.stdout)["path"] == "a.wav"


def test_a_file_that_the_shell_appends_to_is_not_replaced() -> None:
    Path("words.txt").write_text("before\n")
    assert run("classify -m toy.onnx a.wav -o words.txt >>words.txt").returncode == 0
    assert Path("words.txt").read_text().startswith("before\na.wav")
