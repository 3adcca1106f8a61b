"""Time and memory of `evaluate-stream`: synthetic recordings of some hours, all thresholds.

usage: python benchmarks/evaluation.py STORE [--hours 1,3] [--jobs 2] [--offsets 100]

Each recording is made by `make-stream` of the testing split (a word every three seconds), then measured by a
process of its own. Memory is the sum over it and its processes, looked at twenty times a second; Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PAGE_KB = 4


def resident_mb(pid: int) -> float:
    """Memory of a process and all below it; pages that several share are counted for each."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * _PAGE_KB / 1024 + sum(resident_mb(int(child)) for child in children)


def measure(arguments: list[str]) -> tuple[float, float]:
    """Seconds and most MB of a run of speechcmd."""
    began, most_mb = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "speechcmd", *arguments], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        most_mb = max(most_mb, resident_mb(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} ended with status {process.returncode}")
    return time.perf_counter() - began, most_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("store")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--hours", default="1,3")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--offsets", default="100")
    arguments = parser.parse_args()
    for hours in map(float, arguments.hours.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            stream = f"{folder}/stream.wav"
            made_s, made_mb = measure(
                ["make-stream", arguments.store, "-o", stream, "--minutes", f"{60 * hours:g}"]
            )
            options = ["-m", arguments.model, "--jobs", arguments.jobs, "--offsets", arguments.offsets]
            took_s, most_mb = measure(["evaluate-stream", stream, *options])
        print(
            f"{hours:g} h: make-stream {made_s:.1f} s, {made_mb:.0f} MB; "
            f"evaluate-stream ({arguments.offsets} thresholds, {arguments.jobs} jobs) {took_s:.1f} s, {most_mb:.0f} MB"
        )


if __name__ == "__main__":
    main()
