"""`speechcmd prepare` against a plain loop of librosa.load + librosa.effects.trim + pad, same clips, same run.

usage: python benchmarks/prepare.py CORPUS [--every 1] [--runs 5] [--workers 2] [--folder DIR]

CORPUS is a folder in the official layout; `--every 8` takes every eighth clip. The loop is one
process, writes nothing, is told the mean length beforehand and is timed without its imports; the
command is timed whole: start, scan, store on the disk, audit, picture; `prepare_store` is the same without
imports, audit and picture. They take turns, files
are in the page cache, the table shows medians. CPU time is that of all processes; on a busy machine
it is the steadier of the two figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import librosa

from data_prep.corpus import scan_corpus
from data_prep.prepare import PrepareConfig, prepare_store
from data_prep.store import Store
from speechcmd.audio.samples import SAMPLE_RATE


class Timing(NamedTuple):
    """Seconds on the clock and on the processors."""

    wall_s: float
    cpu_s: float


def make_sample(corpus: Path, every: int, folder: Path) -> list[Path]:
    """Link every n-th clip, and the lists, into `folder`; returns the clips."""
    found = scan_corpus(corpus)
    clips = []
    for source in [source for source in found.sources if source.kind == "word"][::every]:
        link = folder / source.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.path.resolve())
        clips.append(link)
    for name in ("validation_list.txt", "testing_list.txt"):
        if (found.root / name).exists():
            shutil.copy(found.root / name, folder / name)
    return clips


def cpu_s() -> float:
    """Processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def time_loop(clips: list[Path], n_samples: int) -> Timing:
    """The plain loop."""
    wall, cpu = time.perf_counter(), cpu_s()
    for path in clips:
        waveform, _ = librosa.load(path, sr=SAMPLE_RATE)
        trimmed, _ = librosa.effects.trim(waveform)
        librosa.util.fix_length(trimmed, size=n_samples)
    return Timing(time.perf_counter() - wall, cpu_s() - cpu)


def time_command(corpus: Path, store: Path, n_workers: int) -> Timing:
    """The command, from its start to its end."""
    shutil.rmtree(store, ignore_errors=True)
    command = [sys.executable, "-m", "speechcmd", "prepare", corpus, "--store", store, "--workers", n_workers]
    wall, cpu = time.perf_counter(), cpu_s()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return Timing(time.perf_counter() - wall, cpu_s() - cpu)


def time_store(corpus: Path, store: Path, n_workers: int) -> Timing:
    """What the command does but for imports, audit and picture: scan, measure, write."""
    shutil.rmtree(store, ignore_errors=True)
    wall, cpu = time.perf_counter(), cpu_s()
    prepare_store(PrepareConfig(corpus, n_workers=n_workers), store, "benchmark")
    return Timing(time.perf_counter() - wall, cpu_s() - cpu)


def report(name: str, timings: list[Timing], n_clips: int) -> None:
    wall = statistics.median(timing.wall_s for timing in timings)
    cpu = statistics.median(timing.cpu_s for timing in timings)
    print(
        f"{name:<22}{n_clips / wall:>12,.0f}{wall:>12.2f}{1000 * wall / n_clips:>14.3f}{1000 * cpu / n_clips:>17.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the sample and the store may lie meanwhile")
    arguments = parser.parse_args()
    loop: list[Timing] = []
    command: list[Timing] = []
    inside: list[Timing] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        sample, store = Path(name, "corpus"), Path(name, "store")
        clips = make_sample(arguments.corpus, arguments.every, sample)
        time_command(sample, store, arguments.workers)  # fills the page cache
        n_samples = Store.open(store).length_samples("mean")
        time_loop(clips[:100], n_samples)  # imports and compiles
        for _ in range(arguments.runs):
            loop.append(time_loop(clips, n_samples))
            command.append(time_command(sample, store, arguments.workers))
            inside.append(time_store(sample, store, arguments.workers))
    print(
        f"{len(clips):,} clips, {os.cpu_count()} cores, {arguments.workers} workers, median of {arguments.runs} runs\n"
    )
    print(f"{'':<22}{'clips/s':>12}{'seconds':>12}{'ms per clip':>14}{'CPU ms per clip':>17}")
    report("librosa, one process", loop, len(clips))
    report("speechcmd prepare", command, len(clips))
    report("prepare_store", inside, len(clips))
    for name, timings in (("speechcmd prepare", command), ("prepare_store", inside)):
        ratios = [a.wall_s / b.wall_s for a, b in zip(loop, timings, strict=True)]
        print(
            f"{name}: faster by {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )


if __name__ == "__main__":
    main()
