"""Speed of transcribing a ten-minute recording on one core, and against the model run window by window.

usage: python benchmarks/transcribe.py [MODEL] [--recording FILE] [--minutes 10] [--runs 5]

The recording (by default examples/commands.flac) is repeated to the asked length and written as wav.
"blocks" is what `speechcmd transcribe` does; "windows" feeds each window to the same session alone, at
the same step, and decodes the same way. Both must give the same detections. Median of interleaved runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from speechcmd.audio.reading import read_blocks, read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16
from speechcmd.runtime.recognition.decoder import Decoder, Detection
from speechcmd.runtime.recognition.recognizer import FILE_UPDATE_S, Recognizer
from speechcmd.runtime.recognition.stream import PosteriorStream

ROOT = Path(__file__).resolve().parent.parent


def make_long_recording(source: Path, minutes: float, folder: Path) -> Path:
    waveform = np.resize(read_waveform(source), round(minutes * 60 * SAMPLE_RATE))
    path = folder / "long.wav"
    soundfile.write(path, float32_to_int16(waveform), SAMPLE_RATE, subtype="PCM_16")
    return path


class Parts:
    """Seconds of a clock spent in each part of one transcription by blocks."""

    def __init__(
        self, recognizer: Recognizer, path: Path, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock = clock
        self.reading_s = self.network_s = self.decoding_s = 0.0
        self._recognizer = recognizer
        began = self._clock()
        self.detections = self._run(path)
        self.total_s = self._clock() - began

    def _run(self, path: Path) -> list[Detection]:
        card = self._recognizer.card
        decoder = Decoder(card, first_sample=-(card.window_samples // 2))
        stream = PosteriorStream(self._infer, card, FILE_UPDATE_S)
        blocks = read_blocks(path)
        detections: list[Detection] = []
        while True:
            began = self._clock()
            block = next(blocks, None)
            self.reading_s += self._clock() - began
            steps = stream.flush() if block is None else stream.feed(block)
            began = self._clock()
            detections += decoder.feed(*steps)
            if block is None:
                detections += decoder.flush()
            self.decoding_s += self._clock() - began
            if block is None:
                return detections

    def _infer(self, waveform: Waveform) -> Waveform:
        began = self._clock()
        posteriors = self._recognizer._infer(waveform)
        self.network_s += self._clock() - began
        return posteriors


def by_windows(recognizer: Recognizer, path: Path) -> tuple[float, list[Detection]]:
    """Seconds and detections with one call of the network for each window."""
    card = recognizer.card
    window, step = card.window_samples, card.step_samples

    def infer(waveform: Waveform) -> Waveform:
        n_steps = (len(waveform) - window) // step + 1
        return np.concatenate(
            [recognizer._infer(waveform[k * step : k * step + window]) for k in range(n_steps)]
        )

    began = time.perf_counter()
    stream = PosteriorStream(infer, card, FILE_UPDATE_S)
    decoder = Decoder(card, first_sample=-(card.window_samples // 2))
    detections: list[Detection] = []
    for block in read_blocks(path):
        detections += decoder.feed(*stream.feed(block))
    detections += decoder.feed(*stream.flush()) + decoder.flush()
    return time.perf_counter() - began, detections


def largest_difference(one: list[Detection], other: list[Detection]) -> float:
    """Largest difference in score of the same detections; infinite if they are not the same."""
    times = [[(d.label, d.start_s, d.end_s, d.decided_s) for d in detections] for detections in (one, other)]
    if times[0] != times[1]:
        return float("inf")
    return max((abs(a.score - b.score) for a, b in zip(one, other, strict=True)), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("--recording", type=Path, default=ROOT / "examples" / "commands.flac")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    began = time.perf_counter()
    recognizer = Recognizer.load(arguments.model)
    load_s = time.perf_counter() - began
    audio_s = arguments.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        path = make_long_recording(arguments.recording, arguments.minutes, Path(folder))
        blocks, windows = [], []
        for _ in range(arguments.runs):
            blocks.append(Parts(recognizer, path))
            windows.append(by_windows(recognizer, path))
    total_s = statistics.median(one.total_s for one in blocks)
    window_s = statistics.median(seconds for seconds, _ in windows)
    difference = largest_difference(blocks[0].detections, windows[0][1])
    print(
        f"model {recognizer.card.name}, {arguments.minutes:g} minutes, loaded in {1000 * load_s:.0f} ms, one thread"
    )
    print(
        f"blocks   {total_s:7.2f} s  {audio_s / total_s:6.0f} times real time, {len(blocks[0].detections)} detections"
    )
    print(
        f"windows  {window_s:7.2f} s  {audio_s / window_s:6.0f} times real time; blocks are {window_s / total_s:.1f} times faster"
    )
    print(f"largest difference in score {difference:.1e} (inf: other detections)")
    print("milliseconds for each second of audio:")
    for name in ("reading_s", "network_s", "decoding_s"):
        print(
            f"  {name[:-2]:9s} {1000 * statistics.median(getattr(one, name) for one in blocks) / audio_s:.3f}"
        )


if __name__ == "__main__":
    main()
