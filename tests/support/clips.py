"""What the tests of saved clips share: audio, marks, and what lies in the folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechcmd.audio.samples import Int16, Waveform
from speechcmd.runtime.listening.clip_saver import ClipSaver, Moment

RATE = 1_000
NAME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}_[^/\\:*?\"<>|\s]+_(hit|near_miss)(-\d+)?\.(flac|json)"
)
LOTS = 10**9


def ramp(n_samples: int) -> Int16:
    """Each sample tells its position."""
    return np.arange(1, n_samples + 1).astype(np.int16)


def make(folder: Path, *, limit_bytes: int = LOTS, clip_s: float = 2.0, rate: int = RATE) -> ClipSaver:
    details = {"model": "toy", "thresholds": {"yes": 0.7}}
    return ClipSaver(folder, sample_rate=rate, limit_bytes=limit_bytes, details=details, clip_s=clip_s)


def hit(middle_s: float, label: str = "yes", **fields: Any) -> Moment:
    times = {"start_s": middle_s - 0.3, "end_s": middle_s + 0.3, "decided_s": middle_s + 0.4}
    return Moment(**{"kind": "hit", "label": label, "score": 0.97113, **times, **fields})


def saved(folder: Path) -> dict[str, tuple[list[int], dict[str, Any]]]:
    """Label -> samples and JSON; every file in the folder must belong to a pair."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        samples, rate = soundfile.read(path.with_suffix(".flac"), dtype="int16")
        assert rate == about["sample_rate"]
        assert len(samples) == about["n_samples"]
        found[about["label"]] = (samples.tolist(), about)
    assert len(list(folder.iterdir())) == 2 * len(found)
    return found


def noise(n_samples: int) -> Waveform:
    return np.random.default_rng(2).uniform(-1, 1, n_samples).astype(np.float32)
