"""Make examples/commands.flac with a speech synthesiser: commands, a repeated word, other words, pauses.

usage: python examples/make_recording.py OUTPUT.flac     (needs the program espeak-ng)

Three voices of espeak-ng speak in turn over low background noise. The words that are commands go to
standard output, one a line with the second at which they begin.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16

VOICES = ("en-us", "en-gb", "en-us+m7")
WORDS_PER_MINUTE = 150
COMMANDS = frozenset({"yes", "no", "up", "down", "left", "right", "stop", "go"})
SCRIPT = (
    "please", "yes", "no", "computer", "left", "left", "thank you", "right", "up", "orange",
    "down", "go", "umbrella", "go", "stop",
)  # fmt: skip
PAUSE_S = (0.5, 1.1)
PEAK = 0.4
NOISE_RMS = 0.001


def speak(text: str, voice: str) -> Waveform:
    """One utterance at 16 kHz, scaled to a common peak. Shape: (n_samples,)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(WORDS_PER_MINUTE), "-w", str(path), text]
        subprocess.run(command, check=True)
        waveform = read_waveform(path)
    return waveform * np.float32(PEAK / np.abs(waveform).max())


def main(output: str) -> None:
    rng = np.random.default_rng(7)
    parts = [np.zeros(SAMPLE_RATE // 2, dtype=np.float32)]
    for number, text in enumerate(SCRIPT):
        if text in COMMANDS:
            print(f"{sum(map(len, parts)) / SAMPLE_RATE:6.2f} {text}")
        parts.append(speak(text, VOICES[number % len(VOICES)]))
        parts.append(np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE), dtype=np.float32))
    waveform = np.concatenate(parts)
    waveform += rng.standard_normal(len(waveform)).astype(np.float32) * np.float32(NOISE_RMS)
    soundfile.write(output, float32_to_int16(waveform), SAMPLE_RATE, format="FLAC", subtype="PCM_16")


if __name__ == "__main__":
    main(sys.argv[1])
