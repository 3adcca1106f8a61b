"""Hours of listening in minutes: memory of the live path, hour by hour.

usage: python benchmarks/soak.py RECORDING [RECORDING ...] [--hours 24] [-m MODEL]

The recordings are cut into the blocks of a microphone, and go round and round through the listener, with
clips of hits and near misses kept in a ring of 5 MB, and half a second lost each ten minutes. Nothing waits for the clock.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from speechcmd import Recognizer
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE, int16_to_float32
from speechcmd.runtime.listening.clip_saver import ClipSaver
from speechcmd.runtime.listening.listener import Listener
from speechcmd.runtime.microphone.open_microphone import BLOCK_S, Block

BLOCK = round(BLOCK_S * SAMPLE_RATE)
GAP_EVERY_S, GAP_SAMPLES = 600, SAMPLE_RATE // 2
RING_BYTES = 5_000_000


def endless_blocks(paths: list[str]) -> Iterator[Block]:
    recordings = [read_int16(path) for path in paths]  # read once: the memory measured is the listener's
    for samples in itertools.cycle(recordings):
        for begin in range(0, len(samples) - BLOCK, BLOCK):
            yield Block(int16_to_float32(samples[begin : begin + BLOCK]), 0, time.monotonic())


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("-m", "--model")
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        saver = ClipSaver(Path(folder), sample_rate=SAMPLE_RATE, limit_bytes=RING_BYTES, details={})
        stream = recognizer.stream(keep_near_misses=True)
        listener = Listener(stream, saver=saver, on_notice=print)
        next_report_s, next_gap_s, began = 600.0, float(GAP_EVERY_S), time.perf_counter()
        for block in endless_blocks(arguments.recordings):
            if listener.position_s >= next_gap_s:
                next_gap_s += GAP_EVERY_S
                listener.feed(Block(block.waveform, GAP_SAMPLES, block.arrived_at))
            else:
                listener.feed(block)
            if listener.position_s >= next_report_s:
                hours = listener.position_s / 3600
                speed = listener.position_s / (time.perf_counter() - began)
                print(
                    f"{hours:6.2f} h  {resident_mb():7.2f} MB  {listener.summary.heard.total()} words, "
                    f"{saver.n_saved} clips, {speed:.0f} times real time",
                    flush=True,
                )
                next_report_s = (int(hours) + 1) * 3600.0
                if hours >= arguments.hours:
                    break
        listener.finish()


if __name__ == "__main__":
    main()
