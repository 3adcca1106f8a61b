"""Seconds that a new user waits: `--help`, `import speechcmd`, loading the model, a one-second file, clone to words.

usage: python benchmarks/startup.py [--clone]

Median of eleven runs of each, in new processes of this Python. With --clone also the README's first
command in a fresh clone of this repository, once.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parent.parent
RUNS = 11


def seconds_of(command: list[str]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def clone_to_words() -> float:
    """Seconds from `git clone` to the recognised words with the README's first command."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- command: run -->\s*```bash\n(.*?)```", readme, re.DOTALL)
    if found is None:
        sys.exit("README.md has no command marked `<!-- command: run -->`")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), "clone"], check=True, cwd=folder)
        subprocess.run(["bash", "-e", "-c", found[1]], check=True, cwd=Path(folder) / "clone")
        return time.perf_counter() - began


def main() -> None:
    python = sys.executable
    print(f"speechcmd --help         {seconds_of([python, '-m', 'speechcmd', '--help']):.3f} s")
    print(f"import speechcmd         {seconds_of([python, '-c', 'import speechcmd']):.3f} s")
    load = "from speechcmd import Recognizer; Recognizer.load()"
    print(f"load the released model  {seconds_of([python, '-c', load]):.3f} s")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "second.wav"
        soundfile.write(clip, soundfile.read(ROOT / "examples" / "commands.flac", frames=16_000)[0], 16_000)
        for command in ("classify", "transcribe"):
            seconds = seconds_of([python, "-m", "speechcmd", command, str(clip)])
            print(f"{command} a second      {seconds:.3f} s")
    print(f"python itself            {seconds_of([python, '-c', 'pass']):.3f} s")
    if "--clone" in sys.argv:
        print(f"git clone to words       {clone_to_words():.1f} s")


if __name__ == "__main__":
    main()
