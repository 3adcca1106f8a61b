"""Small stores of a few clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_prep.clip import Clip, digest_of
from data_prep.store import Row, Store
from data_prep.store_writer import StoreWriter

SETTINGS = {"trim": 1}
INFO = {"settings": SETTINGS, "length": "mean", "data_digest": "d", "skipped": []}
INFO |= {"statistics": {"mean_trimmed_samples": 8000, "p95_trimmed_samples": 12000, "n_words_measured": 3}}


def clip(name: str, n_samples: int, word: str = "yes") -> Clip:
    samples = np.random.default_rng(len(name) + n_samples).integers(-99, 99, n_samples).astype(np.int16)
    row = Row(
        "word",
        word,
        "anna",
        "training",
        "",
        name,
        0,
        n_samples,
        1,
        n_samples - 1,
        n_samples // 2,
        -60.0,
        (),
        digest_of(samples),
    )
    return Clip(row, samples)


CLIPS = [
    clip("yes/a_nohash_0.wav", 400),
    clip("yes/b_nohash_0.wav", 900),
    clip("no/c_nohash_0.wav", 250, "no"),
]


def write_store(path: Path, clips: list[Clip] = CLIPS) -> Store:
    with StoreWriter(path, SETTINGS) as writer:
        writer.append(clips)
        return writer.finish(INFO)
