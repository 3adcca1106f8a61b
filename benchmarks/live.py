"""Listening as it happens: time of an update, share of a core, delay of a word, memory.

usage: python benchmarks/live.py STORE [--split testing] [-m MODEL] [--words 60] [--virtual-microphone]

Words of the split, one in one and a half seconds, over noise at 15 dB. `speechcmd listen` hears them at the pace at
which they are spoken, on one core, once with --json and once with the live view in a terminal of 80 x 24. The
share of a core is without the start of the program. The delay of a word is the time of its line less the time at
which its sound ended: from a recording, and with --virtual-microphone through PulseAudio and PortAudio (counted
from the start of `paplay`, so that the delay of the sound system is in it).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from listening import TOLERANCE_S, Word, word_stream
from virtual_microphone import VirtualMicrophone

from data_prep.store import Store
from speechcmd import Recognizer
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16
from speechcmd.runtime.listening.listener import Listener
from speechcmd.runtime.microphone.capture import play
from speechcmd.runtime.recognition.recognizer import LIVE_UPDATE_S

SETTLE_S = 4.0  # of a sound server
Line = tuple[float, str]


@dataclass
class Run:
    """One `speechcmd listen`."""

    began: float = 0.0
    lines: list[Line] = field(default_factory=list)
    cpu_s: float = 0.0
    peak_mb: float = 0.0


def listen(arguments: list[str], model: str | None, *, in_terminal: bool = False, environment: dict[str, str] | None = None,
           during: contextlib.AbstractContextManager[object] | None = None) -> Run:  # fmt: skip
    """Run `listen` on one core and note when each line comes."""
    run = Run()
    command = [sys.executable, "-m", "speechcmd", "listen", *(["-m", model] if model else []), *arguments]
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        command,
        stdout=terminal if in_terminal else subprocess.PIPE,
        stderr=terminal if in_terminal else subprocess.PIPE,
        env={**(environment or os.environ), "TERM": "xterm-256color"},
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )
    os.close(terminal)
    if in_terminal:
        readers = [threading.Thread(target=drain, args=(controller,))]
    else:
        readers = [
            threading.Thread(target=collect, args=(process.stderr, run, True)),
            threading.Thread(target=collect, args=(process.stdout, run, False)),
        ]
    for reader in readers:
        reader.start()
    watcher = threading.Thread(target=watch_memory, args=(process.pid, run))
    watcher.start()
    if during is not None:
        with during:
            process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    for reader in (*readers, watcher):
        reader.join()
    os.close(controller)
    run.cpu_s = usage.ru_utime + usage.ru_stime
    return run


def collect(stream: object, run: Run, is_stderr: bool) -> None:
    for line in stream:  # type: ignore[attr-defined]
        if not is_stderr:
            run.lines.append((time.time(), line.decode()))
        elif line.startswith(b"listening"):
            run.began = time.time()


def watch_memory(pid: int, run: Run) -> None:
    """Peak of the program itself: what `wait` tells holds the memory of whoever started it."""
    with contextlib.suppress(OSError, StopIteration):
        while True:
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            run.peak_mb = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1_000
            time.sleep(0.5)


def drain(controller: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(controller, 65_536):
            pass


def delays_ms(run: Run, words: list[Word], sound_began: float, offset_s: float = 0.0) -> list[float]:
    """From the end of each word that was heard to its line; `offset_s` is what was heard before the sound."""
    heard = [(at, json.loads(line)) for at, line in run.lines]
    delays = []
    for label, start_s, end_s in words:
        for at, row in heard:
            decided_s = row["decided_s"] - offset_s
            if row["label"] == label and start_s <= decided_s <= end_s + TOLERANCE_S:
                delays.append(1_000 * (at - sound_began - end_s))
                break
    return delays


def report_delays(name: str, delays: list[float], n_words: int) -> None:
    middle, late = statistics.median(delays), float(np.percentile(delays, 95))
    print(
        f"{name}: {len(delays)} of {n_words} words; median {middle:.0f} ms, 95 % {late:.0f} ms after their end"
    )


def report_updates(recognizer: Recognizer, path: Path) -> None:
    """Time of the pieces that complete an update, as fast as they come."""
    listener = Listener(recognizer.stream(keep_near_misses=True), on_notice=print)
    times_ms = []
    for piece in play(path, SAMPLE_RATE, realtime=False):
        began = time.perf_counter()
        listener.feed(piece)
        times_ms.append(1_000 * (time.perf_counter() - began))
    update_s = recognizer.card.steps_in(LIVE_UPDATE_S) * recognizer.card.step_s
    n_updates = int(listener.position_s / update_s)
    updates = sorted(times_ms)[-n_updates:]
    middle, late = statistics.median(updates), float(np.percentile(updates, 95))
    print(
        f"an update each {1_000 * update_s:.0f} ms: median {middle:.2f} ms, 95 % {late:.2f} ms "
        f"({late / (10 * update_s):.1f} % of the time between two)"
    )


@contextlib.contextmanager
def playing(path: Path, environment: dict[str, str], began: list[float]) -> Iterator[None]:
    time.sleep(SETTLE_S)
    began.append(time.time())
    subprocess.run(["paplay", "--device=speaker", str(path)], env=environment, check=True)
    time.sleep(1.0)
    yield


def report_microphone(path: Path, words: list[Word], model: str | None) -> None:
    with VirtualMicrophone() as microphone:
        sound_began: list[float] = []
        run = listen(["--json"], model, environment=microphone.environment,
                     during=playing(path, microphone.environment, sound_began))  # fmt: skip
    # what the first second and the sound server's start put before the sound, from the words themselves
    first = [json.loads(line)["end_s"] for _, line in run.lines]
    offsets = [end - nearest(end, words, first[0]) for end in first]
    report_delays(
        "virtual microphone", delays_ms(run, words, sound_began[0], statistics.median(offsets)), len(words)
    )
    duration_s = words[-1][2] + SETTLE_S + 1.0
    print(f"  {100 * run.cpu_s / duration_s:.1f} % of a core with start and PortAudio, {run.peak_mb:.0f} MB")


def nearest(end_s: float, words: list[Word], first_s: float) -> float:
    """End of the word that stands as far from the first one as a detection from the first detection."""
    return min((word[2] for word in words), key=lambda other: abs(other - words[0][2] - (end_s - first_s)))


def write(path: Path, waveform: Waveform) -> Path:
    soundfile.write(path, float32_to_int16(waveform), SAMPLE_RATE, subtype="PCM_16")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--split", default="testing")
    parser.add_argument("-m", "--model")
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--virtual-microphone", action="store_true")
    arguments = parser.parse_args()
    model = arguments.model
    recognizer = Recognizer.load(model)
    stream, words = word_stream(Store.open(arguments.store), recognizer, arguments.split, seed=0)
    words = words[: arguments.words]
    n_samples = round((words[-1][2] + 1.5) * SAMPLE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "words.wav", stream[:n_samples])
        short = write(Path(folder) / "short.wav", stream[:SAMPLE_RATE])
        report_updates(recognizer, path)
        duration_s = (n_samples - SAMPLE_RATE) / SAMPLE_RATE
        for name, options, in_terminal in (("--json", ["--json"], False), ("live view", [], True)):
            start = listen(
                [*options, "--input-file", str(short), "--realtime"], model, in_terminal=in_terminal
            )
            run = listen([*options, "--input-file", str(path), "--realtime"], model, in_terminal=in_terminal)
            share = (run.cpu_s - start.cpu_s) / duration_s
            print(f"{name}: {100 * share:.1f} % of a core over {duration_s:.0f} s, {run.peak_mb:.0f} MB")
            if not in_terminal:
                report_delays("recording", delays_ms(run, words, run.began), len(words))
        if arguments.virtual_microphone:
            report_microphone(path, words, model)


if __name__ == "__main__":
    main()
