"""What listening costs: milliseconds of one core for each second of audio, in one run.

usage: python benchmarks/live_cost.py [MODEL ...] [--seconds 30] [--runs 7]

A model is a path or a released name; by default all released models. For each: a live stream (an update each 80 ms)
that computes the whole window anew each time, one that goes on where its last run ended, and a file (10 s at a time).
Models and ways take turns; a figure is the median of its runs, in time of the processor. The audio is noise with words
from examples/ in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.runtime.model.model_file import released_models
from speechcmd.runtime.recognition.recognizer import FILE_UPDATE_S, LIVE_UPDATE_S, Recognizer
from speechcmd.runtime.recognition.stream import PosteriorStream, Stream

ROOT = Path(__file__).resolve().parent.parent
BLOCK = SAMPLE_RATE // 25
WAYS = ("window anew", "goes on", "file")


def make_audio(seconds: float) -> Waveform:
    said = np.concatenate([read_waveform(path) for path in sorted((ROOT / "examples").glob("*.flac"))])
    n_samples = round(seconds * SAMPLE_RATE)
    return np.resize(said, n_samples) + np.float32(1e-3) * white_noise(n_samples, seed=0)


def stream_of(recognizer: Recognizer, way: str) -> Stream:
    stream = recognizer.stream(update_s=FILE_UPDATE_S if way == "file" else LIVE_UPDATE_S)
    if way == "window anew":  # as a network does that cannot go on
        stream._posteriors = PosteriorStream(recognizer._infer, recognizer.card, LIVE_UPDATE_S)
    return stream


def cost_ms(recognizer: Recognizer, way: str, audio: Waveform) -> float:
    """Of a second of audio."""
    stream = stream_of(recognizer, way)
    block = len(audio) if way == "file" else BLOCK
    began = time.process_time()
    for first in range(0, len(audio), block):
        stream.feed(audio[first : first + block])
    stream.flush()
    return 1_000 * (time.process_time() - began) / (len(audio) / SAMPLE_RATE)


def take_turns(
    measure: Callable[[str, str], float], models: list[str], n_runs: int
) -> dict[tuple[str, str], list[float]]:
    seen: dict[tuple[str, str], list[float]] = {(model, way): [] for model in models for way in WAYS}
    for turn in range(n_runs + 1):
        for model, way in seen:
            figure = measure(model, way)
            if turn:  # the first fills caches
                seen[model, way].append(figure)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=released_models())
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    audio = make_audio(arguments.seconds)
    recognizers = {model: Recognizer.load(model) for model in arguments.models}
    seen = take_turns(
        lambda model, way: cost_ms(recognizers[model], way, audio), arguments.models, arguments.runs
    )
    print("ms of a core for a second of audio")
    print(f"{'model':30} {'window anew':>12} {'goes on':>9} {'times':>6} {'file':>7}")
    for model in arguments.models:
        anew, on, file = (statistics.median(seen[model, way]) for way in WAYS)
        print(f"{model[-30:]:30} {anew:12.2f} {on:9.2f} {anew / on:6.1f} {file:7.2f}")


if __name__ == "__main__":
    main()
