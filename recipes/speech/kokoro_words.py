"""Clips of words by mixed Kokoro voices in the official layout: several in one utterance, cut apart."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from speech.align import Aligner
from speech.arpabet import phonemes_of
from speech.cut import cut_apart
from speech.kokoro import HELD_OUT, Kokoro, draw_mixture
from speech.place import place_in_clip
from speech.pronunciation import pronunciations, without_stress
from speechcmd.audio.samples import SAMPLE_RATE, float32_to_int16

SPEED = (0.8, 1.5)
PAUSE = "... "
ENDINGS = (".", "!", "?", ",", "")  # an intonation each
MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Attempt:
    """A word of an utterance: where its clip lies, or why there is none."""

    path: str
    word: str
    speaker: str
    split: str
    phones: str
    phonemes: str
    speed: float
    mixture: str
    seed: int
    utterance: int
    thrown_away: str


@dataclass(frozen=True)
class Plan:
    """Utterances of so many speakers: of each group one word, in this order.

    A third of the price of single words. Words can be cut apart behind /p t k f s/ and the like; what ends in
    a vowel, /n/, /l/ or /m/ runs into the next word and belongs into the last group.
    """

    groups: tuple[tuple[str, ...], ...]
    n_speakers: int
    seed: int
    split: str = "training"


def speak_plan(plan: Plan, kokoro: Kokoro, folder: Path, n_most: int) -> int:
    """Make what of a plan is not made yet, `n_most` utterances at a time; how many were made.

    Every utterance has its own speaker and speed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    made = {(int(row["seed"]), int(row["utterance"])) for row in read_manifest(manifest)}
    aligner = Aligner()
    todo = [number for number in range(plan.n_speakers) if (plan.seed, number) not in made][:n_most]
    for number in todo:
        append_manifest(manifest, _speak(plan, number, kokoro, aligner, folder))
    return len(todo)


def _speak(plan: Plan, number: int, kokoro: Kokoro, aligner: Aligner, folder: Path) -> list[Attempt]:
    rng = np.random.default_rng((plan.seed, number))
    mixture = draw_mixture(kokoro.voices if plan.split == "training" else HELD_OUT, rng)
    speed = round(float(np.exp(rng.uniform(*np.log(SPEED)))), 3)
    words = [str(rng.choice(group)) for group in plan.groups]
    phones = [str(rng.choice(pronunciations(word))) for word in words]
    phonemes = [phonemes_of(each, mixture.british) for each in phones]
    utterance = kokoro.say(PAUSE.join(phonemes) + str(rng.choice(ENDINGS)), mixture, speed)
    for word, each in zip(words, phones, strict=True):
        aligner.teach(word, [without_stress(each)])
    spans = aligner.words(float32_to_int16(utterance), words)
    pieces = [None] * len(words) if spans is None else cut_apart(utterance, spans)
    speaker = hashlib.sha1(f"kokoro {mixture}".encode()).hexdigest()[:8]
    attempts = []
    for place, (word, said, written, piece) in enumerate(zip(words, phones, phonemes, pieces, strict=True)):
        clip = "runs into its neighbour" if piece is None else place_in_clip(piece, rng)
        path = f"{word}/{speaker}_nohash_{plan.seed}{number:04d}{place}.wav"
        thrown_away = ""
        if isinstance(clip, str):
            thrown_away = clip
        else:
            (folder / word).mkdir(exist_ok=True)
            soundfile.write(folder / path, clip, SAMPLE_RATE, subtype="PCM_16")
        who = (speaker, plan.split, said, written, speed, str(mixture), plan.seed, number)
        attempts.append(Attempt(path, word, *who, thrown_away))
    return attempts


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Rows of a manifest; none if it is not begun."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def append_manifest(path: Path, attempts: Sequence[Attempt]) -> None:
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        if is_new:
            writer.writerow([field.name for field in fields(Attempt)])
        writer.writerows(astuple(attempt) for attempt in attempts)


def write_lists(folder: Path) -> None:
    """validation_list.txt and testing_list.txt of a folder, from its manifest; nothing is for testing."""
    kept = [row for row in read_manifest(folder / MANIFEST) if not row["thrown_away"]]
    held_out = sorted(row["path"] for row in kept if row["split"] == "validation")
    (folder / "validation_list.txt").write_text("".join(f"{path}\n" for path in held_out))
    (folder / "testing_list.txt").write_text("")
