"""`speechcmd transcribe` as real processes: --jobs, interrupts, kills, pipes and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import SAMPLE_RATE, tone_recording, toy_model
from processes import find_speechcmd, heed_interrupts

from speechcmd.audio.samples import float32_to_int16

pytestmark = pytest.mark.runtime

PATIENCE_S = 30.0
LONG_S = 1_800.0
# memory of half an hour over that of three minutes
MOST_MORE_KB = 3_000
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

# the program, with transcriptions that wait once they have begun until the file "go" is there
SLOW_PROGRAM = """
import os, pathlib, time
from speechcmd.cli.main import main
from speechcmd.runtime.recognition.recognizer import Recognizer
real = Recognizer._transcribe
def slow(self, stream, source, on_progress):
    pathlib.Path(f"process.{os.getpid()}").touch()
    pathlib.Path(f"began.{pathlib.Path(source).stem}").touch()
    yield from real(self, stream, source, on_progress)
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
Recognizer._transcribe = slow
if __name__ == "__main__":
    main()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: a model, five recordings, and a program that waits."""
    find_speechcmd(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    Path("slow.py").write_text(SLOW_PROGRAM)
    Path("talks").mkdir()
    for number in range(5):
        words = [(("low", "high")[number % 2], 0.5 + k) for k in range(number + 1)]
        soundfile.write(f"talks/{number}.wav", tone_recording(words, 6.0 - number), SAMPLE_RATE)


def command(*arguments: str, program: tuple[str, ...] = ("-m", "speechcmd")) -> list[str]:
    return [sys.executable, *program, "transcribe", "-m", "toy.onnx", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the program that waits, in a process group of its own; what is left of it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, program: tuple[str, ...] = ("slow.py",), **options: Any) -> Any:
        process = subprocess.Popen(
            command(*arguments, program=program),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=heed_interrupts if os.name == "posix" else None, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(*names: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(Path(name).exists() for name in names):
        assert time.monotonic() < deadline, names
        time.sleep(0.02)


def workers_of(pid: int) -> list[int]:
    """The processes that do the work of another."""
    return [int(path.suffix[1:]) for path in Path().glob("process.*") if path.suffix != f".{pid}"]


def result_names() -> list[str]:
    return sorted(path.name for path in Path("out").iterdir() if not path.name.startswith(".speechcmd"))


def test_several_processes_write_what_one_writes() -> None:
    Path("talks/1b.wav").write_bytes(b"RIFF and no more")
    one, two = (run("talks", "nosuch.wav", "--json", "--jobs", jobs) for jobs in ("1", "2"))
    assert one.returncode == two.returncode == 1
    assert one.stdout == two.stdout
    assert one.stderr == two.stderr
    paths = [json.loads(line)["path"] for line in one.stdout.splitlines()]
    assert paths == sorted(paths, key=lambda path: (path == "nosuch.wav", path))
    assert len(set(paths)) == 7


def test_several_processes_fill_a_folder() -> None:
    done = run("talks", "--format", "textgrid", "-o", "out", "--jobs", "3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert result_names() == [f"{number}.wav.TextGrid" for number in range(5)]
    assert run("talks", "--format", "textgrid", "-o", "out", "--jobs", "2", "--resume").stderr == (
        "speechcmd: 5 of 5 recordings were done already\n"
    )


@posix
@pytest.mark.parametrize(
    ("jobs", "is_to_all", "number", "status"),
    [
        ("1", True, "SIGINT", 130),
        ("1", False, "SIGTERM", 143),
        ("2", True, "SIGINT", 130),
        ("2", False, "SIGTERM", 143),
        ("2", True, "SIGTERM", 143),
        ("2", True, "SIGHUP", 129),
    ],
)
def test_a_signal_ends_all_processes_without_a_word(
    start: Callable[..., subprocess.Popen[bytes]],
    jobs: str,
    is_to_all: bool,
    number: str,
    status: int,
) -> None:
    process = start("talks", "--json", "-o", "out/", "--jobs", jobs)
    wait_for(*[f"began.{number}" for number in range(int(jobs))])
    workers = workers_of(process.pid)
    assert len(workers) == (2 if jobs == "2" else 0)
    (os.killpg if is_to_all else os.kill)(process.pid, getattr(signal, number))
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout, stderr) == (status, b"", b"")
    assert result_names() == []
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


@posix
def test_a_process_that_is_killed_is_one_line(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start("talks", "--json", "-o", "out/", "--jobs", "2")
    wait_for("began.0", "began.1")
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout) == (1, b"")
    (line,) = stderr.decode().splitlines()
    assert line.startswith("speechcmd: error: talks/")
    assert "the process that worked on it was killed by signal 9; " in line
    assert result_names() == []


@posix
def test_resume_after_the_whole_program_is_killed(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    whole = run("talks", "--json", "-o", "expected/")
    assert whole.returncode == 0
    assert run("talks/0.wav", "--json", "-o", "out/").returncode == 0
    process = start("talks", "--json", "-o", "out/", "--jobs", "2", "--resume")
    wait_for("began.1", "began.2")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    begun = [name for name in result_names() if name.startswith((".1.wav.jsonl.", ".2.wav.jsonl."))]
    assert len(begun) == 2
    assert "1.wav.jsonl" not in result_names()
    again = run("talks", "--json", "-o", "out/", "--jobs", "2", "--resume")
    assert again.stderr == "speechcmd: 1 of 5 recordings were done already\n"
    assert result_names() == [f"{number}.wav.jsonl" for number in range(5)]
    for name in result_names():
        assert Path("out", name).read_bytes() == Path("expected", name).read_bytes()


@pytest.mark.parametrize(
    "options", [[], ["--raw-rate", "16000"], ["--raw-rate", "16000", "--raw-channels", "2"]]
)
def test_words_come_while_the_pipe_is_open(
    start: Callable[..., subprocess.Popen[bytes]], options: list[str]
) -> None:
    samples = float32_to_int16(tone_recording([("low", 0.5), ("high", 4.5)], 6.0))
    head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\xff\xff\xff\xff"
    repeat = 2 if "--raw-channels" in options else 1
    process = start("-", "--json", *options, program=("-m", "speechcmd"), stdin=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write((b"" if options else head) + np.repeat(samples[:48_000], repeat).tobytes())
    first = json.loads(process.stdout.readline())  # the pipe is still open
    assert first["label"] == "low"
    process.stdin.write(np.repeat(samples[48_000:], repeat).tobytes())
    process.stdin.close()
    process.stdin = None
    rest, errors = process.communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["label"] for line in rest.splitlines()] == ["high"]
    assert (process.returncode, errors) == (0, b"")


def test_other_formats_on_standard_input_are_copied_first() -> None:
    soundfile.write("a.flac", tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)
    for name in ("a.flac", "talks/0.wav"):
        done = subprocess.run(
            command("-", "--json"), input=Path(name).read_bytes(), capture_output=True, check=False
        )
        assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["low"]


PEAK = """
import re, sys
from speechcmd.cli.main import cli
try:
    cli()
except SystemExit as end:
    assert not end.code, end.code
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of Linux")
@pytest.mark.parametrize("by_pipe", [False, True])
def test_memory_does_not_grow_with_the_length(by_pipe: bool) -> None:
    """At another rate, so that resampling is seen too."""
    rate = 8_000
    minute = float32_to_int16(tone_recording([("low", 5.0), ("high", 31.0)], 60.0))[::2]
    peaks = []
    for seconds in (LONG_S / 10, LONG_S):
        soundfile.write("long.wav", np.tile(minute, round(seconds / 60)), rate)
        with Path("long.wav").open("rb") as file:
            done = subprocess.run(
                command("-" if by_pipe else "long.wav", "--json", program=("-c", PEAK)),
                stdin=file, capture_output=True, check=True, timeout=PATIENCE_S,
            )  # fmt: skip
        assert len(done.stdout.splitlines()) == 2 * round(seconds / 60)
        peaks.append(int(done.stderr))
    assert peaks[1] - peaks[0] < MOST_MORE_KB
