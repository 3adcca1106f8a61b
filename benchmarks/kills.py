"""Kill -9 at random moments, again and again: what is left of the files of `export`, `train` and `listen`.

    python benchmarks/kills.py --kills 30

The network is a small one on synthetic words, the recording is `examples/commands.flac`. Moments
are drawn evenly over the processor time that the same command takes undisturbed, so that other work on the
machine shifts none of them. Modules are loaded once and each command is a fork: kills fall into the work and
not into the start of Python. For Linux.

Printed for each command: kills; how many came while a file was being written; files that were damaged or
missing then; begun files that the next undisturbed run did not remove; and what came of going on: a training
with `--resume` must have the same bits as one that nobody killed, an export the same model. A clip of `listen`
is two files: those that have only one are counted (the limit of the folder counts and deletes them as others).
Ends with 1 if a file was damaged, or one was left, or a bit differs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from data_prep.synthetic import make_corpus
from speechcmd.files import is_part

ROOT = Path(__file__).resolve().parent.parent
TRAINING = (
    "--words", "no,up", "--unknown", "all", "--speech-percent", "0", "--architecture", "mlp", "--model",
    "hidden=12", "--epochs", "2", "--batch-size", "8", "--learning-rate", "0.01", "--threads", "1", "--workers",
    "0", "--device", "cpu", "--resume",
)  # fmt: skip
MODULES = (
    "matplotlib.figure",
    "onnxscript",
    "speechcmd.cli.commands.export",
    "speechcmd.cli.commands.listen",
    "speechcmd.cli.commands.train",
    "speechcmd.runtime.listening.listener",
    "speechcmd.training.export.onnx_export",
    "speechcmd.training.loop.trainer",
)
POLL_S, LONGEST_WAIT_S = 0.002, 0.03
TIMINGS = {"seconds", "clips_per_s"}
SAVE_LIMIT = "300KB"  # small, so that old clips are deleted too


@dataclass
class Row:
    """What the kills of one command did."""

    command: str
    n_kills: int = 0
    n_writing: int = 0
    n_damaged: int = 0
    n_left: int = 0
    n_single: int = 0
    n_equal: int = 0
    n_compared: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was damaged, left or different."""
        return self.n_damaged == self.n_left == 0 and self.n_equal == self.n_compared

    def look(self, folder: Path, find_damaged: Callable[[Path], list[str]]) -> None:
        """Count what a kill did to a folder."""
        damaged = find_damaged(folder)
        self.n_kills += 1
        self.n_writing += bool(parts_in(folder))
        self.n_damaged += len(damaged)
        self.problems += damaged


def start(arguments: list[str]) -> int:
    """Run `speechcmd` in a fork of this process, without a word, and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        from speechcmd.cli.main import cli

        status = cli.main(arguments, "speechcmd", standalone_mode=False) or 0
    finally:
        os._exit(status)


def run_whole(arguments: list[str]) -> float:
    """Run to the end and return the seconds of the processor that it took."""
    _, status, usage = os.wait4(start(arguments), 0)
    if status:
        raise SystemExit(f"speechcmd {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def is_killed(arguments: list[str], whole_s: float, rng: random.Random) -> bool:
    """Run, and kill -9 at a random moment; False if it had ended by then.

    `whole_s` is the processor time of the whole command. What waits for the disk takes none: hence the wait.
    """
    after_s, wait_s = rng.uniform(0.0, whole_s), rng.uniform(0.0, LONGEST_WAIT_S)
    pid = start(arguments)
    while processor_seconds(pid) < after_s:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(POLL_S)
    time.sleep(wait_s)
    os.kill(pid, signal.SIGKILL)  # one that has ended waits for us, its id is not another's
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def processor_seconds(pid: int) -> float:
    """What a process has taken so far; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def parts_in(folder: Path) -> list[Path]:
    """Files that somebody began to write."""
    return [path for path in folder.rglob(".*") if is_part(path.name)]


def kill_exports(folder: Path, run: Path, n_kills: int, rng: random.Random) -> Row:
    """Into an empty folder, and in the place of an older file, by turns."""
    row, place = Row("export"), folder / "models"
    place.mkdir()
    path, older = place / "toy.onnx", folder / "older.onnx"
    export = ["export", str(run), "-o", str(path)]
    whole_s = run_whole(export)
    path.rename(older)
    while row.n_kills < n_kills:
        has_older = row.n_kills % 2 == 1
        if has_older:
            shutil.copyfile(older, path)
        else:
            path.unlink(missing_ok=True)
        if is_killed(export, whole_s, rng):
            whole = {older.read_bytes()} if has_older or path.exists() else set()
            there = {path.read_bytes()} if path.exists() else set()
            row.look(place, lambda folder, is_bad=there != whole: ["toy.onnx is not whole"] * is_bad)
    run_whole(export)
    row.n_left = len(parts_in(place))
    row.n_equal, row.n_compared = int(path.read_bytes() == older.read_bytes()), 1
    return row


def kill_trainings(folder: Path, store: Path, n_kills: int, rng: random.Random) -> Row:
    """Each killed once, then resumed to its end."""
    row, whole = Row("train"), folder / "whole"
    whole_s = run_whole(["train", str(store), "--run", str(whole), *TRAINING])
    while row.n_kills < n_kills:
        killed = folder / "killed"
        train = ["train", str(store), "--run", str(killed), *TRAINING]
        if is_killed(train, whole_s, rng):
            row.look(killed, find_damaged_of_run)
            run_whole(train)
            row.n_left += len(parts_in(killed))
            row.n_equal += is_same_run(whole, killed)
            row.n_compared += 1
        shutil.rmtree(killed, ignore_errors=True)
    return row


def find_damaged_of_run(run: Path) -> list[str]:
    """Files of a run that cannot be read; the last line of the metrics may be cut, `--resume` drops it."""
    from speechcmd.errors import TrainingError
    from speechcmd.training.loop.checkpoint import load_checkpoint

    damaged = []
    for path in run.glob("[!.]*"):
        try:
            if path.suffix == ".pt":
                load_checkpoint(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
        except (TrainingError, ValueError):
            damaged.append(f"{path.name} cannot be read")
    return damaged


def is_same_run(one: Path, other: Path) -> bool:
    """Whether checkpoints and metrics are the same to the bit, but for timings."""
    from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint

    pairs = [[load_checkpoint(run / name) for run in (one, other)] for name in (LAST, BEST)]
    return all(is_same(*pair) for pair in pairs) and metrics_of(one) == metrics_of(other)


def is_same(one: object, other: object) -> bool:
    """Whether what two checkpoints hold is the same."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def metrics_of(run: Path) -> list[dict[str, object]]:
    """Of each epoch, without its timings."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in TIMINGS} for line in lines]


def kill_listeners(folder: Path, n_kills: int, rng: random.Random) -> Row:
    """All into one folder of clips."""
    row, clips, recording = Row("listen"), folder / "clips", ROOT / "examples" / "commands.flac"
    listen = ["listen", "-m", "tiny", "--input-file", str(recording), "--json",
              "--save-dir", str(clips), "--save-limit", SAVE_LIMIT]  # fmt: skip
    whole_s = run_whole(listen)
    while row.n_kills < n_kills:
        if is_killed(listen, whole_s, rng):
            row.look(clips, find_damaged_clips)
    row.n_single = len(single_files(clips))
    run_whole(listen)
    row.n_left = len(parts_in(clips))
    return row


def find_damaged_clips(folder: Path) -> list[str]:
    """Clips that cannot be read to their end, or are not what their JSON file says."""
    damaged = []
    for path in folder.glob("*.flac"):
        try:
            n_samples = len(soundfile.read(path)[0])
            about = path.with_suffix(".json")
            if about.exists() and json.loads(about.read_text())["n_samples"] != n_samples:
                damaged.append(f"{path.name} has {n_samples} samples")
        except (soundfile.LibsndfileError, ValueError, KeyError):
            damaged.append(f"{path.name} or its JSON file cannot be read")
    return damaged


def single_files(folder: Path) -> list[Path]:
    """Clips that have one of their two files."""
    stems = [path.stem for path in folder.glob("[!.]*")]
    return [path for path in folder.glob("[!.]*") if stems.count(path.stem) == 1]


def load_modules() -> None:
    """What the commands import, so that forks need not; nothing of it starts a thread."""
    for name in MODULES:
        importlib.import_module(name)


def main() -> int:
    """Kill and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="Of each command.")
    parser.add_argument("--seed", type=int, default=0, help="Of the moments.")
    arguments = parser.parse_args()
    rng, n_kills = random.Random(arguments.seed), arguments.kills
    load_modules()
    print(f"{'command':<10}{'kills':>7}{'writing':>9}{'damaged':>9}{'left':>6}{'single':>8}{'equal':>9}")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_corpus(folder / "corpus", ("no", "up", "zero"), n_speakers=10, clips_per_word=30, noise_s=4.0)
        run_whole(["prepare", str(folder / "corpus"), "--store", str(folder / "store"), "--workers", "1"])
        for work in (
            lambda: kill_listeners(folder, n_kills, rng),
            lambda: kill_trainings(folder, folder / "store", n_kills, rng),
            lambda: kill_exports(folder, folder / "whole", n_kills, rng),
        ):
            began = time.perf_counter()
            row = work()
            rows.append(row)
            equal = f"{row.n_equal}/{row.n_compared}" if row.n_compared else "-"
            print(
                f"{row.command:<10}{row.n_kills:>7}{row.n_writing:>9}{row.n_damaged:>9}{row.n_left:>6}"
                f"{row.n_single:>8}{equal:>9}   {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            for problem in row.problems:
                print(f"  {problem}")
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
