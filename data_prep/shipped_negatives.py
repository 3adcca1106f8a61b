"""The shipped negatives as a store: other people's sentences, single words and household noise.

assets/negatives.ogg    Opus, 16 kHz: segments end to end, made by recipes/negatives.py
assets/negatives.csv    a `Segment` a row
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from data_prep.clip import block_levels
from data_prep.store import Row, Store
from data_prep.trim import find_speech, floor_and_peak
from speechcmd.audio.samples import SAMPLE_RATE, Int16, int16_to_float32

ASSETS = Path(__file__).resolve().parents[1] / "speechcmd" / "assets"
AUDIO_FILE, INDEX_FILE = "negatives.ogg", "negatives.csv"
KINDS = ("word", "speech", "noise")


@dataclass(frozen=True)
class Segment:
    """Where one recording lies in the file, and what is said in it. Positions in samples."""

    kind: str
    word: str
    speaker: str
    split: str
    offset: int
    n_samples: int
    text: str


class ShippedStore(Store):
    """The shipped negatives as a store; its audio is decoded when it is asked for, in each process anew."""

    @cached_property
    def audio(self) -> Int16:
        """All audio: int16, (n_samples,)."""
        return _decode(self.path)


def open_shipped(words: Sequence[str], kinds: Sequence[str] = KINDS) -> ShippedStore:
    """The shipped negatives of some kinds, without the segments in which one of the `words` is said."""
    segments = [each for each in _read_index() if each.kind in kinds and not _says(each.text, words)]
    audio = _decode(ASSETS / AUDIO_FILE)
    rows = tuple(_row_of(each, audio) for each in segments)
    names = "".join(f"{row.path}\t{row.digest}\t{row.split}\n" for row in rows)
    info = {
        "data_digest": hashlib.sha256(names.encode()).hexdigest(),
        "length": "mean",
        # how long its words are says nothing about the user's
        "statistics": {"mean_trimmed_samples": 0, "p95_trimmed_samples": 0, "n_words_measured": 0},
    }
    return ShippedStore(ASSETS / AUDIO_FILE, rows, info)


def _says(text: str, words: Sequence[str]) -> bool:
    """Whether one of the words is said: "smart_mirror" is "smart mirror", and "stop" is in "full stop"."""
    said = f" {_plain(text)} "
    return any(f" {_plain(word)} " in said or _plain(word).replace(" ", "") in said.split() for word in words)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _read_index() -> list[Segment]:
    with (ASSETS / INDEX_FILE).open(newline="", encoding="utf-8") as handle:
        return [
            Segment(**{**row, "offset": int(row["offset"]), "n_samples": int(row["n_samples"])})  # type: ignore[arg-type]
            for row in csv.DictReader(handle)
        ]


def _decode(path: Path) -> Int16:
    samples, _ = soundfile.read(path, dtype="int16")
    decoded: Int16 = np.asarray(samples)
    return decoded


def _row_of(segment: Segment, audio: Int16) -> Row:
    samples = audio[segment.offset : segment.offset + segment.n_samples]
    waveform = int16_to_float32(samples)
    start, end, centre = 0, len(samples), len(samples) // 2
    if segment.kind == "word":
        speech = find_speech(waveform, SAMPLE_RATE)
        start, end, centre, floor_db = speech.start, speech.end, speech.centre, speech.floor_db
    else:
        floor_db, _ = floor_and_peak(block_levels(waveform))
    # another name than a user's own speakers have
    speaker = f"shipped {segment.speaker}" if segment.speaker else ""
    return Row(
        segment.kind, segment.word, speaker, segment.split, "", f"{AUDIO_FILE}/{segment.offset}",
        segment.offset, len(samples), start, end, centre, round(float(floor_db), 1), (),
        hashlib.blake2b(samples.tobytes(), digest_size=8).hexdigest(),
    )  # fmt: skip
