"""One recording of many hours through `transcribe` and `evaluate-stream`: time and memory.

    python benchmarks/long_file.py --hours 1 10

The recording is `examples/commands.flac` again and again, as 16-bit wav at 16 kHz. Printed for each length and
command: seconds of the clock and of the processor, and the largest memory of the process (Linux: MB). What
`transcribe` keeps must not grow with the length; `evaluate-stream` keeps posteriors and levels of all of it,
and what its decoders asked and heard: the example is dense with words, and no label names them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "commands.flac"
COMMANDS = {
    "transcribe": ["transcribe", "--format", "jsonl"],
    "evaluate-stream": ["evaluate-stream", "--json", "--offsets", "2", "--jobs", "1"],
}


def write_recording(path: Path, hours: float) -> None:
    """The example, repeated to a length."""
    example = float32_to_int16(read_waveform(EXAMPLE))
    left = round(hours * 3600 * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, subtype="PCM_16") as file:
        while left > 0:
            file.write(example[:left])
            left -= len(example)


def run_command(arguments: list[str], path: Path) -> tuple[float, float, float]:
    """Seconds of the clock, seconds of the processor, largest memory in MB of one run."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "speechcmd", *arguments, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument(
        "--folder", type=Path, help="Where the recording is written meanwhile (115 MB an hour)."
    )
    arguments = parser.parse_args()
    print(f"{'command':<18}{'hours':>8}{'clock s':>10}{'processor s':>13}{'MB':>8}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "long.wav"
        for hours in arguments.hours:
            write_recording(path, hours)
            for name, command in COMMANDS.items():
                clock_s, processor_s, memory_mb = run_command(command, path)
                print(
                    f"{name:<18}{hours:>8g}{clock_s:>10.1f}{processor_s:>13.1f}{memory_mb:>8.0f}", flush=True
                )


if __name__ == "__main__":
    main()
