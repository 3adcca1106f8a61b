"""Make clips of words with the voices of espeak-ng, in the official layout, to add to a corpus.

usage: python recipes/synthesise_words.py DEST on,off [--clips 400] [--voices m1,f2] [--seed 0]
                                                                        (needs espeak-ng)

For words of which there is hardly any real audio. Accent, voice, speed, pitch and level are drawn for
each clip; a voice, with its accent, is one speaker. Clips are a second long over faint noise.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VOICES = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
WORDS_PER_MINUTE = (110, 190)
PITCH = (20, 80)  # of espeak-ng's 0 to 99
PEAK_DB = (-20.0, -2.0)
NOISE_DB = (-70.0, -45.0)


def make_clip(word: str, voice: str, rng: np.random.Generator, folder: Path) -> Waveform:
    """One spoken word at a random place of a second. Shape: (16000,)."""
    path = folder / "word.wav"
    speed, pitch = rng.integers(*WORDS_PER_MINUTE), rng.integers(*PITCH)
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), word]
    subprocess.run(command, check=True)
    spoken = np.trim_zeros(read_waveform(path))[:SAMPLE_RATE]
    spoken *= np.float32(10 ** (rng.uniform(*PEAK_DB) / 20) / np.abs(spoken).max())
    clip = rng.standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(
        10 ** (rng.uniform(*NOISE_DB) / 20)
    )
    begin = rng.integers(0, SAMPLE_RATE - len(spoken) + 1)
    clip[begin : begin + len(spoken)] += spoken
    return clip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dest", type=Path)
    parser.add_argument("words")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--voices", default=",".join(VOICES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, voices = np.random.default_rng(arguments.seed), arguments.voices.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for word in arguments.words.split(","):
            (arguments.dest / word).mkdir(parents=True, exist_ok=True)
            for number in range(arguments.clips):
                voice = f"{rng.choice(ACCENTS)}+{rng.choice(voices)}"
                speaker = hashlib.sha1(f"espeak-ng {voice}".encode()).hexdigest()[:8]
                clip = make_clip(word, voice, rng, Path(folder))
                path = arguments.dest / word / f"{speaker}_nohash_{number}.wav"
                soundfile.write(path, float32_to_int16(clip), SAMPLE_RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
