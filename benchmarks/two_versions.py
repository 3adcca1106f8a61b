"""Whether a change made speechcmd slower: the same commands of two checkouts in turn, and the ratios.

    python benchmarks/two_versions.py BEFORE [AFTER] [--clips CLIPS] [--runs 7]

BEFORE and AFTER (default: this checkout) are folders with the source of a version; the Python that runs this script
runs both. Each command is a process of its own; processor time is user and system time of it and its children.
Without --clips, words are synthetic. Printed: medians of both, and the ratio of after to before.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import soundfile

from data_prep.synthetic import make_corpus

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "commands.flac"


@dataclass(frozen=True)
class Cost:
    """Seconds of one run."""

    processor: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--clips", type=Path, help="a folder of clips in the official layout")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    versions = {"before": arguments.before.resolve(), "after": arguments.after.resolve()}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clips = (
            arguments.clips.resolve() if arguments.clips else make_corpus(work / "clips", clips_per_word=60)
        )
        samples, rate = soundfile.read(EXAMPLE, dtype="int16")
        with soundfile.SoundFile(work / "long.wav", "w", rate, 1) as file:
            for _ in range(20):
                file.write(samples)
        run(versions["after"], work, ["prepare", str(clips), "--store", "ready", "--workers", "1"])
        print(
            f"{'':<12}{'before, s':>12}{'after, s':>10}{'ratio':>8}{'wall ratio':>12}   medians of {arguments.runs}"
        )
        for name, command in commands(clips).items():
            measure(name, command, versions, work, arguments.runs)


def commands(clips: Path) -> dict[str, list[str]]:
    """What is measured; `{run}` is a name that is new each time."""
    train = (
        "train ready --run {run} --words yes,no,up,down --epochs 3 --batch-size 32 "
        "--threads 1 --device cpu --negatives none"
    )
    return {
        "--help": ["--help"],
        "info": ["info"],
        "classify": ["classify", str(EXAMPLE)],
        "transcribe": ["transcribe", "long.wav", "--json"],
        "prepare": ["prepare", str(clips), "--store", "{run}", "--workers", "1"],
        "train": train.split(),
    }


def measure(name: str, command: list[str], versions: dict[str, Path], work: Path, runs: int) -> None:
    costs: dict[str, list[Cost]] = {version: [] for version in versions}
    for number in range(runs + 1):
        for version, checkout in versions.items():
            cost = run(
                checkout, work, [part.replace("{run}", f"{name}-{version}-{number}") for part in command]
            )
            if number:  # the first only warms the caches
                costs[version].append(cost)
    before, after = (statistics.median(cost.processor for cost in costs[version]) for version in versions)
    wall = [statistics.median(cost.wall for cost in costs[version]) for version in versions]
    print(
        f"{name:<12}{before:>12.3f}{after:>10.3f}{after / before:>8.2f}{wall[1] / wall[0]:>12.2f}", flush=True
    )


def run(checkout: Path, work: Path, arguments: list[str]) -> Cost:
    used, began = os.times(), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "speechcmd", *arguments],
        cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{checkout}: {' '.join(arguments)}: {errors.decode()}")
    done = os.times()
    processor = done.children_user - used.children_user + done.children_system - used.children_system
    return Cost(processor, time.perf_counter() - began)


if __name__ == "__main__":
    main()
