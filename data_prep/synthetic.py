"""Synthetic words for tests: a corpus in the official layout, and recordings with known boundaries.

A word is a fixed sequence of three chirps with overtones, a quarter to half a second long. A speaker
changes pitch, tempo, level and timbre, never the sequence. Everything is seeded, and the boundaries of
every word are known to the sample, which no recorded corpus offers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from data_prep.split import SPLITS, hashed_split
from speechcmd.arrays import DoubleArray
from speechcmd.audio.coloured_noise import coloured_noise
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16

COMMANDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")
CLIP_S = 1.0

# fmt: off
_NAMED_WORDS = (
    *COMMANDS, "on", "off", "bird", "tree", "cat", "dog", "zero", "one", "two", "three", "four", "five",
    "six", "seven", "eight", "nine", "bed", "happy", "house", "marvin", "sheila", "wow",
    "backward", "forward", "follow", "learn", "visual",
)
# fmt: on


class _Chirp(NamedTuple):
    start_hz: float
    end_hz: float
    duration_s: float


# far apart in frequency or direction, below 4 kHz for every voice
_CHIRPS = (
    _Chirp(350, 650, 0.120),
    _Chirp(650, 350, 0.110),
    _Chirp(900, 1500, 0.130),
    _Chirp(1500, 900, 0.120),
    _Chirp(2000, 3200, 0.115),
    _Chirp(3200, 2000, 0.125),
    _Chirp(1800, 1800, 0.140),
)
_FADE_S = 0.005  # no click at a boundary, and short enough that it stays sharp
_JITTER = 0.03  # no speaker says a word twice alike
_OVERTONES = (1.0, 0.35, 0.15)
_NOISE_RMS = 0.05
_NOISES = {"white_noise": 0.0, "pink_noise": 1.0, "brown_noise": 2.0}


@dataclass(frozen=True)
class Voice:
    """How a speaker differs: factors on pitch and tempo, peak level, strength of the overtones."""

    pitch: float
    tempo: float
    level_db: float
    brightness: float


class SpokenWord(NamedTuple):
    """A word in a recording with its true boundaries."""

    word: str
    start_s: float
    end_s: float


def make_corpus(
    dest: Path,
    words: Sequence[str] = COMMANDS,
    n_speakers: int = 12,
    clips_per_word: int = 36,
    seed: int = 0,
    sample_rate: int = SAMPLE_RATE,
    snr_db: float = 30.0,
    noise_s: float = 10.0,
) -> Path:
    """Write a corpus of 1 s clips in the official layout and return its folder.

    Each word gets `clips_per_word` clips, dealt round to the speakers; with three speakers or more
    every split of the official hash rule has some. `_background_noise_` holds white, pink and brown
    noise of `noise_s` seconds.
    """
    rng = np.random.default_rng(seed)
    speakers = make_speakers(n_speakers, seed)
    for word in words:
        (dest / word).mkdir(parents=True, exist_ok=True)
        for i in range(clips_per_word):
            name = f"{speakers[i % n_speakers]}_nohash_{i // n_speakers}.wav"
            clip, _ = make_clip(word, voice_of(speakers[i % n_speakers]), rng, sample_rate, snr_db)
            _write_wav(dest / word / name, clip, sample_rate)
    noise_folder = dest / "_background_noise_"
    noise_folder.mkdir(exist_ok=True)
    for name, exponent in _NOISES.items():
        noise = coloured_noise(round(noise_s * sample_rate), exponent, rng)
        _write_wav(noise_folder / f"{name}.wav", _NOISE_RMS * noise, sample_rate)
    return dest


def make_speakers(n_speakers: int, seed: int = 0) -> list[str]:
    """Draw speaker ids (8 hex digits); of five, one is for validation and one for testing.

    The first three are one of each split, so that even a handful of clips covers all of them.
    """
    rng = np.random.default_rng([seed, n_speakers])
    wanted = [SPLITS[i % 5] if i % 5 < len(SPLITS) else SPLITS[0] for i in range(n_speakers)]
    speakers: list[str] = []
    for split in wanted:
        speakers.append(next(s for s in _random_ids(rng) if hashed_split(s) == split and s not in speakers))
    return speakers


def _random_ids(rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield f"{rng.integers(2**32):08x}"


def voice_of(speaker: str) -> Voice:
    """Voice of a speaker: the same for the same id, always."""
    rng = np.random.default_rng(list(hashlib.sha256(speaker.encode()).digest()[:8]))
    return Voice(
        pitch=float(rng.uniform(0.9, 1.12)),
        tempo=float(rng.uniform(0.87, 1.15)),
        level_db=float(rng.uniform(-20.0, -6.0)),
        brightness=float(rng.uniform(0.5, 1.5)),
    )


def make_word(
    word: str, voice: Voice, rng: np.random.Generator | None = None, sample_rate: int = SAMPLE_RATE
) -> Waveform:
    """Make the bare word: it starts with the first sample and ends with the last.

    With `rng` tempo and pitch vary by up to 3 %. Any string is a word; the 35 official ones differ
    from each other and from all others in at least one chirp of three. Shape: (n_samples,), 0.25 to 0.5 s.
    """
    tempo, pitch = 1 + _JITTER * (np.zeros(2) if rng is None else rng.uniform(-1, 1, 2))
    chirps = [
        _make_chirp(_CHIRPS[index], pitch * voice.pitch, tempo * voice.tempo, voice.brightness, sample_rate)
        for index in _chirps_of(word)
    ]
    waveform = np.concatenate(chirps)
    peak = 10 ** (voice.level_db / 20)
    scaled: Waveform = (waveform * (peak / np.abs(waveform).max())).astype(np.float32)
    return scaled


def make_clip(
    word: str,
    voice: Voice,
    rng: np.random.Generator,
    sample_rate: int = SAMPLE_RATE,
    snr_db: float = 30.0,
    clip_s: float = CLIP_S,
) -> tuple[Waveform, tuple[int, int]]:
    """Make a clip with the word somewhere in pink noise, and return it with the word's boundaries.

    Returns
    -------
    waveform, (start, end)
        Shape (n_samples,); the boundaries are samples, the word is `waveform[start:end]`.
    """
    spoken = make_word(word, voice, rng, sample_rate)
    n_samples = round(clip_s * sample_rate)
    start = int(rng.integers(0, n_samples - len(spoken) + 1))
    clip = coloured_noise(n_samples, 1.0, rng) * _noise_level(spoken, snr_db)
    clip[start : start + len(spoken)] += spoken
    return clip, (start, start + len(spoken))


def make_recording(
    words: Sequence[str],
    gaps_s: float | Sequence[float] = 1.0,
    speaker: str = "00000000",
    seed: int = 0,
    sample_rate: int = SAMPLE_RATE,
    snr_db: float = 30.0,
) -> tuple[Waveform, list[SpokenWord]]:
    """Make a recording of words by one speaker in pink noise, with the true boundaries.

    `gaps_s` is the pause before each word and after the last: one number for all, or `len(words) + 1`
    of them, 0 for none.

    Returns
    -------
    waveform, words
        Shape (n_samples,); each word with its boundaries in seconds.
    """
    gaps = [gaps_s] * (len(words) + 1) if isinstance(gaps_s, int | float) else list(gaps_s)
    if len(gaps) != len(words) + 1:
        raise ValueError(f"gaps_s: expected {len(words) + 1} pauses for {len(words)} words, got {len(gaps)}")
    rng = np.random.default_rng(seed)
    spoken = [make_word(word, voice_of(speaker), rng, sample_rate) for word in words]
    starts: list[int] = []
    position = 0
    for gap_s, waveform in zip(gaps, spoken, strict=False):
        starts.append(position + round(gap_s * sample_rate))
        position = starts[-1] + len(waveform)
    n_samples = position + round(gaps[-1] * sample_rate)
    reference = np.concatenate(spoken) if spoken else make_word("yes", voice_of(speaker))
    recording = coloured_noise(n_samples, 1.0, rng) * _noise_level(reference, snr_db)
    truth: list[SpokenWord] = []
    for word, start, waveform in zip(words, starts, spoken, strict=True):
        recording[start : start + len(waveform)] += waveform
        truth.append(SpokenWord(word, start / sample_rate, (start + len(waveform)) / sample_rate))
    return recording, truth


def _chirps_of(word: str) -> tuple[int, int, int]:
    """Three chirps of seven. Named words are code words (a, b, a + b): any two differ in two places."""
    n = len(_CHIRPS)
    if word in _NAMED_WORDS:
        code, offset = _NAMED_WORDS.index(word), 0
    else:
        hashed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        offset, code = 1 + hashed % (n - 1), (hashed // (n - 1)) % n**2
    first, second = code % n, (3 * code + code // n) % n
    return first, second, (first + second + offset) % n


def _make_chirp(
    chirp: _Chirp, pitch: float, tempo: float, brightness: float, sample_rate: int
) -> DoubleArray:
    n_samples = round(chirp.duration_s * tempo * sample_rate)
    frequency_hz = pitch * np.linspace(chirp.start_hz, chirp.end_hz, n_samples)
    phase = 2 * np.pi * np.cumsum(frequency_hz) / sample_rate
    waveform = np.zeros(n_samples)
    for i, amplitude in enumerate(_OVERTONES):
        if (i + 1) * frequency_hz.max() < 0.45 * sample_rate:  # nothing may alias
            waveform += (amplitude * brightness if i else 1.0) * np.sin((i + 1) * phase)
    n_fade = round(_FADE_S * sample_rate)
    fade = np.sin(0.5 * np.pi * (np.arange(n_fade) + 0.5) / n_fade)
    waveform[:n_fade] *= fade
    waveform[-n_fade:] *= fade[::-1]
    return waveform


def _noise_level(waveform: Waveform, snr_db: float) -> np.float32:
    return np.float32(np.sqrt(np.mean(waveform**2)) * 10 ** (-snr_db / 20))


def _write_wav(path: Path, waveform: Waveform, sample_rate: int) -> None:
    soundfile.write(path, float32_to_int16(waveform), sample_rate, subtype="PCM_16")
