"""Signals that end a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import find_speechcmd, heed_interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

PATIENCE_S = 60.0
# the program, with clips that take long
SLOW_PROGRAM = """
import pathlib, time
import data_prep.clip_workers
from speechcmd.cli.main import main
real = data_prep.clip_workers.measure_clips
def slow(sources, trim):
    pathlib.Path("began").touch()
    time.sleep(60)
    return real(sources, trim)
data_prep.clip_workers.measure_clips = slow
if __name__ == "__main__":
    main()
"""


def in_group(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes of Linux")
@pytest.mark.parametrize(
    ("is_to_all", "number", "status"),
    [(False, "SIGTERM", 143), (True, "SIGTERM", 143), (True, "SIGHUP", 129)],
)
def test_prepare_ends_with_its_workers_and_without_a_word(
    is_to_all: bool,
    number: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_speechcmd(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW_PROGRAM)
    for word in ("yes", "no"):
        Path("corpus", word).mkdir(parents=True)
        for speaker in range(100):
            Path("corpus", word, f"{speaker:08x}_nohash_0.wav").write_bytes(b"RIFF")
    process = subprocess.Popen(
        [sys.executable, "slow.py", "prepare", "corpus", "--store", "store", "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while not Path("began").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(in_group(process.pid)) == 3
    (os.killpg if is_to_all else os.kill)(process.pid, getattr(signal, number))
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, stdout, stderr) == (status, b"", b"")
    assert in_group(process.pid) == []
