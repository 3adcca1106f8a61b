"""The whole line on made-up words: prepare, train, export, classify, transcribe, through the real commands.

As a script it prints its figures and fails when they are not reached: `python tests/support/toy_line.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import soundfile

from data_prep.split import hashed_split
from data_prep.synthetic import make_corpus, make_recording, make_speakers
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16

T = TypeVar("T")

WORDS = ("no", "up", "down", "left")  # no two of all share a pair of chirps
OTHER_WORDS = ("bird", "tree", "dog", "zero")
SPOKEN = ("down", "left", "left", "no", "up")  # one of them twice: both must be heard
N_SPEAKERS, CLIPS_PER_WORD = 40, 120
LEAST_ACCURACY = 95.0
THRESHOLD = 0.4  # made-up words are half as long as spoken ones, the smoothing is not
# fmt: off
TRAINING = (
    "--architecture", "cnn", "--words", ",".join(WORDS), "--length", "0.6", "--unknown", "all",
    "--epochs", "5", "--batch-size", "32", "--learning-rate", "0.01", "--label-smoothing", "0.05",
    "--speech-percent", "0", "--no-gain", "--no-spec-augment", "--device", "cpu", "--threads", "1",
    "--model", "channels=[4,8,12]", "--model", "width=24", "--model", "dilations=[1,1]",
    "--model", "dropout=0",
)
# fmt: on


@dataclass(frozen=True)
class ToyResult:
    """What came of the line. Accuracy in percent over the testing clips of the asked words and others."""

    accuracy: float
    n_clips: int
    heard: tuple[str, ...]
    expected: tuple[str, ...]
    seconds: dict[str, float]
    model: Path
    run: Path
    store: Path

    @property
    def is_good(self) -> bool:
        """True if the line works."""
        return self.accuracy > LEAST_ACCURACY and self.heard == self.expected


def run_line(folder: Path) -> ToyResult:
    """Run the whole line in an empty folder."""
    seconds: dict[str, float] = {}
    corpus, store, run, model = (folder / name for name in ("corpus", "store", "run", "toy.onnx"))
    _timed(seconds, "corpus", lambda: _make_corpus(corpus))
    _timed(seconds, "prepare", lambda: command("prepare", corpus, "--store", store, "--workers", "1"))
    _timed(seconds, "train", lambda: command("train", store, "--run", run, *TRAINING))
    _timed(seconds, "export", lambda: command("export", run, "-o", model, "--threshold", THRESHOLD))
    accuracy, n_clips = _timed(seconds, "classify", lambda: _accuracy(corpus, model))
    recording = _make_recording(folder / "recording.wav")
    heard = _timed(seconds, "transcribe", lambda: _labels("transcribe", model, [recording]))
    return ToyResult(accuracy, n_clips, tuple(heard), SPOKEN, seconds, model, run, store)


def command(*arguments: object) -> str:
    """Run `speechcmd` with these arguments inside this process and return what it writes to stdout."""
    from speechcmd.cli.main import cli

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = cli.main([str(argument) for argument in arguments], "speechcmd", standalone_mode=False)
    if status not in (None, 0):
        raise RuntimeError(f"speechcmd {arguments[0]} ended with status {status}")
    return printed.getvalue()


def _make_corpus(folder: Path) -> Path:
    return make_corpus(folder, (*WORDS, *OTHER_WORDS), n_speakers=N_SPEAKERS, clips_per_word=CLIPS_PER_WORD)


def _accuracy(corpus: Path, model: Path) -> tuple[float, int]:
    clips = [
        clip
        for word in (*WORDS, *OTHER_WORDS)
        for clip in sorted((corpus / word).glob("*.wav"))
        if hashed_split(clip.name.partition("_nohash_")[0]) == "testing"
    ]
    expected = [clip.parent.name if clip.parent.name in WORDS else "_unknown_" for clip in clips]
    heard = _labels("classify", model, clips)
    n_right = sum(a == b for a, b in zip(heard, expected, strict=True))
    return 100 * n_right / len(clips), len(clips)


def _make_recording(path: Path) -> Path:
    """A voice that is in the testing split."""
    speaker = next(name for name in make_speakers(N_SPEAKERS) if hashed_split(name) == "testing")
    waveform, _ = make_recording(SPOKEN, gaps_s=0.8, speaker=speaker)
    soundfile.write(path, float32_to_int16(waveform), SAMPLE_RATE)
    return path


def _labels(name: str, model: Path, recordings: list[Path]) -> list[str]:
    printed = command(name, "-m", model, "--json", *recordings)
    return [json.loads(line)["label"] for line in printed.splitlines()]


def _timed(seconds: dict[str, float], name: str, work: Callable[[], T]) -> T:
    began = time.perf_counter()
    result = work()
    seconds[name] = time.perf_counter() - began
    return result


def main() -> int:
    """Run the line in a temporary folder and print its figures."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_line(Path(folder))
    sys.stdout.write(f"accuracy: {result.accuracy:.1f} % of {result.n_clips} testing clips\n")
    sys.stdout.write(f"spoken: {' '.join(result.expected)}\nheard:  {' '.join(result.heard)}\n")
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())
    sys.stdout.write(f"{times}; {'good' if result.is_good else 'NOT GOOD'}\n")
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
