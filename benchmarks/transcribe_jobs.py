"""Speed and peak memory of `speechcmd transcribe` as a whole process, with one job and with several.

usage: python benchmarks/transcribe_jobs.py CLIPS... [--model MODEL] [--hours 1] [--pieces 60] [--jobs 1 2] [--runs 3]

CLIPS are folders of wav or flac files at 16 kHz. Clips drawn from them (seeded), one after the other, make one
long recording and the same audio as a folder of pieces. A single recording is done by one process whatever
--jobs says. Speed is the median of interleaved runs, from the start of the program to its end; memory is the
largest resident size of each process (VmHWM of Linux, pages shared with others included), looked at all 20 ms.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, Int16

ROOT = Path(__file__).resolve().parent.parent
LOOK_S = 0.02


def draw_clips(folders: Sequence[Path], seed: int) -> Iterator[Int16]:
    """Samples of clips in a random order, the folders in turn; again and again."""
    orders = []
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac"))
        if not paths:
            raise SystemExit(f"{folder}: no wav or flac file in it")
        random.Random(seed).shuffle(paths)
        orders.append(itertools.cycle(paths))
    for order in itertools.cycle(orders):
        yield read_int16(next(order))


def make_recordings(folders: Sequence[Path], hours: float, n_pieces: int, where: Path, seed: int) -> None:
    """Write long.wav, and the same in pieces."""
    n_samples = round(hours * 3_600 * SAMPLE_RATE)
    waveform = np.zeros(n_samples, dtype=np.int16)
    position = 0
    for clip in draw_clips(folders, seed):
        part = clip[: n_samples - position]
        waveform[position : position + len(part)] = part
        position += len(part)
        if position == n_samples:
            break
    soundfile.write(where / "long.wav", waveform, SAMPLE_RATE, subtype="PCM_16")
    (where / "pieces").mkdir()
    for number, piece in enumerate(np.array_split(waveform, n_pieces)):
        soundfile.write(where / "pieces" / f"{number:04d}.wav", piece, SAMPLE_RATE, subtype="PCM_16")


def processes_below(pid: int) -> list[int]:
    """A process and all that it started, as far as they still run."""
    found = [pid]
    for one in found:
        try:
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            continue
    return found


def peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def run_once(where: Path, what: str, jobs: int, model: str | None) -> tuple[float, float, float, int]:
    """Seconds, peak memory of the parent and of its children together in MB, and lines written."""
    command = [sys.executable, "-m", "speechcmd", "transcribe", what, "--json", "--jobs", str(jobs)]
    command += ["-m", model] if model else []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    peaks: dict[int, float] = {}
    with (where / "words.jsonl").open("wb") as words:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=where, stdout=words, env=environment)
        while process.poll() is None:
            for pid in processes_below(process.pid):
                peaks[pid] = max(peaks.get(pid, 0.0), peak_mb(pid))
            time.sleep(LOOK_S)
        seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"transcribe ended with {process.returncode}")
    parent = peaks.pop(process.pid)
    n_lines = len((where / "words.jsonl").read_bytes().splitlines())
    return seconds, parent, sum(peaks.values()), n_lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--pieces", type=int, default=60)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = (
        str(Path(arguments.model).resolve())
        if arguments.model and Path(arguments.model).exists()
        else arguments.model
    )
    cases = list(itertools.product(("long.wav", "pieces"), arguments.jobs))
    results: dict[tuple[str, int], list[tuple[float, float, float, int]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        make_recordings(arguments.clips, arguments.hours, arguments.pieces, Path(folder), arguments.seed)
        for _ in range(arguments.runs):
            for case in cases:
                results[case].append(run_once(Path(folder), *case, model))
    print(
        f"{arguments.hours:g} hours, {arguments.pieces} pieces, {os.cpu_count()} processors, "
        f"median of {arguments.runs} runs, seed {arguments.seed}"
    )
    for (what, jobs), runs in results.items():
        seconds = statistics.median(run[0] for run in runs)
        parent, children = max(run[1] for run in runs), max(run[2] for run in runs)
        print(
            f"{what:9s} --jobs {jobs}: {seconds:6.2f} s, {arguments.hours * 3600 / seconds:5.0f} times real time, "
            f"peak memory {parent:.0f} MB (parent) + {children:.0f} MB (its processes), {runs[0][3]} words"
        )


if __name__ == "__main__":
    main()
