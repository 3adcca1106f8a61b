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
from speech.kokoro_words import MANIFEST, read_manifest
from speech.lookalike_list import Lookalike
from speech.place import NOISE_DB, PEAK_DB, place_in_clip
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16

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
COLUMNS = ("path", "text", "command", "distance", "engine", "voice", "settings", "seed", "thrown_away")
RECORDING_COLUMNS = ("path", "text", "engine", "voice", "settings", "seed")


def make_clips(words: Sequence[Lookalike], folder: Path, seed: int) -> Counter[tuple[str, str]]:
    """Clips of one second in the official layout, all for training; (engine, outcome) counted.

    Words that are made already are left as they are, so what is there can be used while the rest is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("validation", "testing"):
        (folder / f"{split}_list.txt").touch()
    manifest = folder / MANIFEST
    done = {row["text"] for row in read_manifest(manifest)}
    with tempfile.TemporaryDirectory() as between:
        for lookalike in words:
            if lookalike.word not in done:
                _append(manifest, COLUMNS, _speak(lookalike, folder, seed, Path(between)))
    return Counter((row["engine"], row["thrown_away"] or "kept") for row in read_manifest(manifest))


def _speak(lookalike: Lookalike, folder: Path, seed: int, between: Path) -> list[tuple[object, ...]]:
    # each word from its own seed: another list leaves its clips as they are
    rng = np.random.default_rng((seed, *lookalike.word.encode()))
    n_espeak, n_flite = N_CLIPS[lookalike.distance]
    rows: list[tuple[object, ...]] = []
    for number in range(n_espeak + n_flite):
        voice = draw_espeak(rng) if number < n_espeak else draw_flite(rng)
        clip = place_in_clip(speak(lookalike.word, voice, between), rng)
        path = f"{lookalike.word}/{_speaker_id(voice)}_nohash_{number}.wav"
        thrown_away = clip if isinstance(clip, str) else ""
        if not isinstance(clip, str):
            (folder / lookalike.word).mkdir(exist_ok=True)
            soundfile.write(folder / path, clip, SAMPLE_RATE, subtype="PCM_16")
        said = (path, lookalike.word, lookalike.command, lookalike.distance)
        rows.append((*said, *_described(voice), seed, thrown_away))
    return rows


def make_recordings(words: Sequence[Lookalike], n_recordings: int, folder: Path, seed: int) -> None:
    """Phrases with pauses between them, nearer words more often; with a roles.csv, all for training."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    n_done = len(read_manifest(manifest))
    weights = np.array([10 ** (each.frequency / 4) / each.distance**2 for each in words])
    shares = weights / weights.sum()
    with tempfile.TemporaryDirectory() as between:
        for number in range(n_done, n_recordings):
            rng = np.random.default_rng((seed, number))
            voice = draw_flite(rng) if number % 2 else draw_espeak(rng)
            phrases = [str(rng.choice(PHRASES)) for _ in range(PER_RECORDING)]
            drawn = [rng.choice(len(words), 2, p=shares) for _ in phrases]
            said = [
                phrase.format(*(words[int(each)].word for each in pair))
                for phrase, pair in zip(phrases, drawn, strict=True)
            ]
            spoken = speak(" ".join(said), voice, Path(between))
            spoken = spoken * np.float32(10 ** (rng.uniform(*PEAK_DB) / 20) / np.abs(spoken).max())
            noise = rng.standard_normal(len(spoken)) * 10 ** (rng.uniform(*NOISE_DB) / 20)
            path = Path(_speaker_id(voice)) / f"{number}.wav"
            (folder / path.parent).mkdir(exist_ok=True)
            samples = float32_to_int16(spoken + noise.astype(np.float32))
            soundfile.write(folder / path, samples, SAMPLE_RATE, subtype="PCM_16")
            row = (path.as_posix(), " ".join(said), *_described(voice), seed)
            _append(manifest, RECORDING_COLUMNS, [row])
    roles = "".join(f"{row['path']},train\n" for row in read_manifest(manifest))
    (folder / "roles.csv").write_text(f"path,role\n{roles}", encoding="utf-8")


def _append(manifest: Path, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    is_new = not manifest.exists()
    with manifest.open("a", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        if is_new:
            writer.writerow(columns)
        writer.writerows(rows)


def _described(voice: Voice) -> tuple[str, str, str]:
    return voice.engine, voice.speaker, " ".join(voice.settings)


def _speaker_id(voice: Voice) -> str:
    return hashlib.sha1(f"{voice.engine} {voice.speaker}".encode()).hexdigest()[:8]
