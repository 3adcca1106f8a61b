"""Make examples/commands.flac: one voice gives commands, with other words and pauses between.

usage: python examples/make_recording.py VOICES OUTPUT.flac

VOICES is the folder of the Kokoro voices that `python recipes/make_speech.py kokoro DATA DEST` fetches, DEST/kokoro-voices.
The voice is one that no training heard. The words that are commands go to standard output, one a line with the second at
which they begin.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16

sys.path.append(str(Path(__file__).resolve().parents[1] / "recipes"))
from speech.arpabet import phonemes_of
from speech.kokoro import Kokoro, Mixture
from speech.pronunciation import pronunciations

VOICE = "am_michael"  # of speech.kokoro.HELD_OUT
COMMANDS = frozenset({"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"})
SCRIPT = (
    "please", "yes", "no", "computer", "left", "left", "orange", "right", "up", "down",
    "umbrella", "go", "stop", "window", "on", "off",
)  # fmt: skip
PAUSE_S = (0.3, 0.8)  # beside the quiet that the voice leaves around a word
PEAK = 0.3
NOISE_RMS = 0.001


def speak(kokoro: Kokoro, word: str) -> Waveform:
    """A word by itself with the quiet around it, scaled to a common peak. Shape: (n_samples,)."""
    voice = Mixture((VOICE,), (1.0,))
    spoken = kokoro.say(f"{phonemes_of(pronunciations(word)[0], voice.british)}.", voice, speed=1.0)
    return spoken * np.float32(PEAK / np.abs(spoken).max())


def main(voices: str, output: str) -> None:
    kokoro, rng = Kokoro(Path(voices)), np.random.default_rng(7)
    parts = [np.zeros(SAMPLE_RATE // 2, dtype=np.float32)]
    for word in SCRIPT:
        if word in COMMANDS:
            print(f"{sum(map(len, parts)) / SAMPLE_RATE:6.2f} {word}")
        parts.append(speak(kokoro, word))
        parts.append(np.zeros(round(rng.uniform(*PAUSE_S) * SAMPLE_RATE), dtype=np.float32))
    waveform = np.concatenate(parts)
    waveform += rng.standard_normal(len(waveform)).astype(np.float32) * np.float32(NOISE_RMS)
    soundfile.write(output, float32_to_int16(waveform), SAMPLE_RATE, format="FLAC", subtype="PCM_16")


if __name__ == "__main__":
    main(*sys.argv[1:])
