"""Text spoken by espeak-ng and flite: hundreds of voices for next to nothing, none of them very human."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import Waveform

# those with which synthesise_words.py makes clips for thresholds (m8, Annie, ...) are not among them
ESPEAK_ACCENTS = (
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-029",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
ESPEAK_VOICES = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
FLITE_VOICES = ("kal16", "awb", "rms", "slt")
WORDS_PER_MINUTE = (110, 190)
PITCH = (20, 80)  # of espeak-ng's 0 to 99
STRETCH = (0.75, 1.4)  # of flite
F0_SHIFT = (0.8, 1.25)


@dataclass(frozen=True)
class Voice:
    """A voice with its settings; `speaker` names voice and accent only."""

    engine: str
    speaker: str
    settings: tuple[str, ...]


def draw_espeak(rng: np.random.Generator) -> Voice:
    name = f"{rng.choice(ESPEAK_ACCENTS)}+{rng.choice(ESPEAK_VOICES)}"
    speed, pitch = rng.integers(*WORDS_PER_MINUTE), rng.integers(*PITCH)
    return Voice("espeak-ng", name, ("-v", name, "-s", str(speed), "-p", str(pitch)))


def draw_flite(rng: np.random.Generator) -> Voice:
    name, stretch, shift = str(rng.choice(FLITE_VOICES)), rng.uniform(*STRETCH), rng.uniform(*F0_SHIFT)
    wanted = ("--setf", f"duration_stretch={stretch:.2f}", "--setf", f"f0_shift={shift:.2f}")
    return Voice("flite", name, ("-voice", name, *wanted))


def speak(text: str, voice: Voice, folder: Path) -> Waveform:
    """What a voice makes of a text, at 16 kHz; `folder` is for a file in between. Shape: (n_samples,).

    Raises
    ------
    subprocess.CalledProcessError
        If the engine cannot say it.
    """
    path = folder / "spoken.wav"
    ends = {"espeak-ng": ("-w", str(path), text), "flite": ("-t", text, "-o", str(path))}
    command = [voice.engine, *voice.settings, *ends[voice.engine]]
    subprocess.run(command, check=True, capture_output=True)
    return read_waveform(path)
