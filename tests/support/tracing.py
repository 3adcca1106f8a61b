"""What a program asks of the system: the files that it writes and the network that it reaches for (strace)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
# with -y a descriptor is followed by the path it stands for: openat(AT_FDCWD</tmp>, "x", O_WRONLY|O_CREAT
_CALL = re.compile(r"^\d+ +(\w+)\((.*)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_CHANGES = re.compile(r"(mkdir|rename|link|symlink|mknod|creat|truncate)(at2?)?\d?$")
_OPENS_TO_WRITE = re.compile(r"O_(WRONLY|RDWR|CREAT)")
_NAME_LOOK_UPS = ("/etc/hosts", "/etc/resolv.conf")
_NO_FILES = ("/dev/", "/proc/")


@dataclass(frozen=True)
class Trace:
    """What a program and all that it started wrote, as paths, and its calls that have to do with a network."""

    written: frozenset[Path]
    network: tuple[str, ...]


@cache
def can_trace() -> bool:
    """Whether strace is there and may be used: some containers forbid it."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True).returncode == 0


def private_environment(home: Path) -> dict[str, str]:
    """An environment whose home and folder for temporary files are in `home`, and which names no CI service.

    Libraries are quiet where they see one.
    """
    for folder in (home, home / "tmp"):
        folder.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
    }


def trace_python(arguments: Sequence[str], environment: dict[str, str], folder: Path) -> Trace:
    """Run Python in a folder until it ends with status 0. Skips the test where there is no strace."""
    if not can_trace():
        pytest.skip("strace cannot be used here")
    log = folder / "trace"
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", str(log), "-e", "trace=%network,%file", sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trace = _read(log, folder)
    log.unlink()
    return trace


def _read(log: Path, folder: Path) -> Trace:
    written, network = set(), []
    for line in log.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        name, arguments = call.groups()
        paths = [Path(at or folder, path) for at, path in _PATH.findall(arguments)]
        if "AF_INET" in arguments or any(str(path) in _NAME_LOOK_UPS for path in paths):
            network.append(line)
        if _CHANGES.match(name) or (name.startswith("open") and _OPENS_TO_WRITE.search(arguments)):
            written.update(path for path in paths if not str(path).startswith(_NO_FILES))
    return Trace(frozenset(written), tuple(network))
