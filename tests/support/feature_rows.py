"""Small feature stores, row by row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.feature_store import FeatureStore, write_feature_store
from data_prep.store import Row
from speechcmd.arrays import AnyArray

N_FRAMES, N_MELS = 5, 4
FRONT_END: dict[str, Any] = {"sample_rate": 16_000, "n_fft": 512, "win_length": 480, "hop_length": 160}
FRONT_END |= {"n_mels": N_MELS, "f_min_hz": 0.0, "f_max_hz": 4000.0, "log_floor": 1e-6}
N_SAMPLES = 480 + (N_FRAMES - 1) * 160


def row(name: str, n_speech: int = 400, **other: Any) -> Row:
    made = Row(
        "word", "yes", "anna", "training", "", name, 0, N_SAMPLES, 100, 100 + n_speech, 300, -60.0, (), ""
    )
    return replace(made, **other)


ROWS = [
    row("yes/a", 400),
    row("yes/b", 600),
    row("no/c", 900, word="no", split="testing"),
    row("hum", 0, kind="noise"),
]


def features_of(n_clips: int, dtype: str = "float16", seed: int = 0) -> AnyArray:
    made = np.random.default_rng(seed).uniform(0, 200, (n_clips, N_FRAMES, N_MELS))
    return made.astype(dtype)


def write(
    path: Path,
    rows: list[Row] = ROWS,
    features: Any = None,
    scale: float = 0.1,
    offset: float = -14.63,
    front_end: dict[str, Any] = FRONT_END,
) -> FeatureStore:
    blocks = [features_of(len(rows))] if features is None else features
    return write_feature_store(
        path,
        rows,
        blocks,
        scale=scale,
        offset=offset,
        front_end=front_end,
        info={"tool_version": "0", "settings": {}},
    )
