"""The program, stopped at a known place: a second one meets it there, or it is killed there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 120.0

# waits at one method, before or after its work, until the file "go" is there
_PROGRAM = """
import importlib, sys, time
from pathlib import Path
when, module, owner, name = sys.argv[1].split(":")
del sys.argv[1]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
real = getattr(holder, name)
def wait():
    Path("began").touch()
    while not Path("go").exists():
        time.sleep(0.01)
def held(*arguments, **options):
    if when == "before":
        wait()
    result = real(*arguments, **options)
    if when == "after":
        wait()
    return result
setattr(holder, name, held)
if __name__ == "__main__":
    from speechcmd.cli.main import main
    main()
"""


@contextmanager
def held_at(place: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run `speechcmd` in the current folder and yield it when it has come to a place.

    `place` is before:MODULE:CLASS:METHOD, or after:…; without a class a function of the module. `release`
    lets it go on; what is left of it ends with the block.
    """
    Path("began").unlink(missing_ok=True)
    Path("go").unlink(missing_ok=True)
    Path("held.py").write_text(_PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "held.py", place, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not Path("began").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def release(process: subprocess.Popen[str]) -> int:
    """Let it go on, and return the exit status that it ends with."""
    Path("go").touch()
    process.communicate(timeout=PATIENCE_S)
    return process.returncode


def kill(process: subprocess.Popen[str]) -> None:
    """Kill it as no program can heed."""
    process.kill()
    process.wait()
