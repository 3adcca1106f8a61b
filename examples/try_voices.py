"""How many of the eight commands the released model hears from each voice of two speech synthesisers.

usage: python examples/try_voices.py     (needs the programs espeak-ng and flite)
"""

from __future__ import annotations

import subprocess
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

from speechcmd import Recognizer
from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import Waveform

ESPEAK_VOICES = (
    "en-us", "en-gb", "en-gb-scotland", "en-us+f2", "en-us+f3", "en-us+m3", "en-us+m7", "en-gb+f4", "en-gb-x-rp", "en-us+f1",
)  # fmt: skip
ESPEAK_SPEEDS = ("120", "150")
FLITE_VOICES = ("kal", "kal16", "awb", "rms", "slt")
FLITE_STRETCHES = ("1.0", "1.2")
LEAST_SCORE = 0.5


def embed(waveform: Waveform) -> Waveform:
    """A quarter of a second of faint noise on both sides, half the level."""
    padded = np.pad(waveform * np.float32(0.5), 4000)
    return padded + np.random.default_rng(0).standard_normal(len(padded)).astype(np.float32) * np.float32(
        1e-3
    )


def main() -> None:
    recognizer = Recognizer.load()
    voices = [["espeak-ng", "-v", v, "-s", s] for v, s in product(ESPEAK_VOICES, ESPEAK_SPEEDS)]
    voices += [
        ["flite", "-voice", v, "--setf", f"duration_stretch={s}"]
        for v, s in product(FLITE_VOICES, FLITE_STRETCHES)
    ]
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        for voice in voices:
            missed = []
            for word in recognizer.card.words:
                out = (
                    ["-w", str(path), word]
                    if voice[0] == "espeak-ng"
                    else ["-t", f"{word}.", "-o", str(path)]
                )
                subprocess.run([*voice, *out], check=True)
                answer = recognizer.classify(embed(read_waveform(path)))
                if answer.label != word or answer.score < LEAST_SCORE:
                    missed.append(f"{word} as {answer.label} {answer.score:.2f}")
            counts.append(len(recognizer.card.words) - len(missed))
            print(f"{' '.join(voice):45s} {counts[-1]} of {len(recognizer.card.words)}  {', '.join(missed)}")
    print("voices by words heard:", {n: counts.count(n) for n in sorted(set(counts), reverse=True)})


if __name__ == "__main__":
    main()
