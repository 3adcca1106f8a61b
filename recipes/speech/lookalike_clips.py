"""Lookalikes spoken by espeak-ng and flite: alone as clips, and in short phrases as recordings."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from speech.engine import Voice, draw_espeak, draw_flite, speak
from speech.lookalike_list import Lookalike
from speech.place import NOISE_DB, PEAK_DB, place_in_clip
from speechcmd.audio import SAMPLE_RATE, float32_to_int16

# clips of a word by how far it is from its command: (espeak-ng, flite)
N_CLIPS = {0.5: (6, 3), 1.0: (5, 2), 1.5: (3, 1), 2.0: (2, 1), 2.5: (2, 1)}
PHRASES = (
    "{}.",
    "the {}.",
    "my {}.",
    "some {}.",
    "{} it.",
    "{} and {}.",
    "a {} man.",
    "I said {}.",
    "{} me?",
    "we {} them.",
)
PER_RECORDING = 9
MANIFEST = "manifest.csv"
COLUMNS = ("path", "text", "command", "distance", "engine", "voice", "settings", "seed", "thrown_away")


def make_clips(words: Sequence[Lookalike], folder: Path, seed: int) -> Counter[tuple[str, str]]:
    """Clips of one second in the official layout, all for training; (engine, outcome) counted."""
    folder.mkdir(parents=True)
    outcomes: Counter[tuple[str, str]] = Counter()
    with (
        (folder / MANIFEST).open("w", encoding="utf-8", newline="") as handle,
        tempfile.TemporaryDirectory() as between,
    ):
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for lookalike in words:
            # each word from its own seed: another list leaves its clips as they are
            rng = np.random.default_rng((seed, *lookalike.word.encode()))
            n_espeak, n_flite = N_CLIPS[lookalike.distance]
            for number in range(n_espeak + n_flite):
                voice = draw_espeak(rng) if number < n_espeak else draw_flite(rng)
                clip = place_in_clip(speak(lookalike.word, voice, Path(between)), rng)
                path = f"{lookalike.word}/{_speaker_id(voice)}_nohash_{number}.wav"
                thrown_away = clip if isinstance(clip, str) else ""
                if not isinstance(clip, str):
                    (folder / lookalike.word).mkdir(exist_ok=True)
                    soundfile.write(folder / path, clip, SAMPLE_RATE, subtype="PCM_16")
                outcomes[voice.engine, thrown_away or "kept"] += 1
                said = (path, lookalike.word, lookalike.command, lookalike.distance)
                writer.writerow(
                    (*said, voice.engine, voice.speaker, " ".join(voice.settings), seed, thrown_away)
                )
    for split in ("validation", "testing"):
        (folder / f"{split}_list.txt").touch()
    return outcomes


def make_recordings(words: Sequence[Lookalike], n_recordings: int, folder: Path, seed: int) -> None:
    """Phrases with pauses between them, nearer words more often; with a roles.csv, all for training."""
    folder.mkdir(parents=True)
    weights = np.array([10 ** (each.frequency / 4) / each.distance**2 for each in words])
    shares = weights / weights.sum()
    rows = []
    with tempfile.TemporaryDirectory() as between:
        for number in range(n_recordings):
            rng = np.random.default_rng((seed, number))
            voice = draw_flite(rng) if number % 2 else draw_espeak(rng)
            said = [
                str(rng.choice(PHRASES)).format(
                    *(words[int(each)].word for each in rng.choice(len(words), 2, p=shares))
                )
                for _ in range(PER_RECORDING)
            ]
            spoken = speak(" ".join(said), voice, Path(between))
            spoken = spoken * np.float32(10 ** (rng.uniform(*PEAK_DB) / 20) / np.abs(spoken).max())
            noise = rng.standard_normal(len(spoken)) * 10 ** (rng.uniform(*NOISE_DB) / 20)
            path = Path(_speaker_id(voice)) / f"{number}.wav"
            (folder / path.parent).mkdir(exist_ok=True)
            samples = float32_to_int16(spoken + noise.astype(np.float32))
            soundfile.write(folder / path, samples, SAMPLE_RATE, subtype="PCM_16")
            rows.append(
                (path.as_posix(), " ".join(said), voice.engine, voice.speaker, " ".join(voice.settings), seed)
            )
    with (folder / MANIFEST).open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "text", "engine", "voice", "settings", "seed"))
        writer.writerows(rows)
    roles = "".join(f"{row[0]},train\n" for row in rows)
    (folder / "roles.csv").write_text(f"path,role\n{roles}", encoding="utf-8")


def _speaker_id(voice: Voice) -> str:
    return hashlib.sha1(f"{voice.engine} {voice.speaker}".encode()).hexdigest()[:8]
