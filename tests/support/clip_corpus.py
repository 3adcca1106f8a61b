"""A tiny corpus of tones for the toy model of `fakes.py`, as a folder and as a store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from fakes import SAMPLE_RATE, TONES_HZ

from data_prep.corpus import Source, scan_corpus
from data_prep.store import AUDIO_FILE, COLUMNS, INDEX_FILE, INFO_FILE, Row, write_rows
from data_prep.store_folder import measure_durations
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import Int16, float32_to_int16

# the toy model calls a tone that it does not know `_unknown_`, and quiet noise `_silence_`
WORDS_HZ = {**TONES_HZ, "hum": 1_100.0, "whistle": 3_300.0}
SPLITS = ("training", "validation", "testing")
CLIPS_OF_A_SPEAKER = 3
SPEAKERS_OF_A_SPLIT = 2


def tone(hz: float, seed: int = 0, duration_s: float = 1.0) -> Int16:
    """0.4 s of a tone in the middle of quiet noise."""
    rng = np.random.default_rng(seed)
    n_samples = round(duration_s * SAMPLE_RATE)
    waveform = 0.002 * rng.standard_normal(n_samples)
    time_s = np.arange(n_samples) / SAMPLE_RATE
    inside = abs(time_s - duration_s / 2) < 0.2
    waveform[inside] += 0.3 * np.sin(2 * np.pi * hz * time_s[inside])
    return float32_to_int16(waveform)


def hiss(duration_s: float, seed: int) -> Int16:
    return float32_to_int16(
        0.002 * np.random.default_rng(seed).standard_normal(round(duration_s * SAMPLE_RATE))
    )


def write_wav(path: Path, samples: Int16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def write_corpus(folder: Path) -> Path:
    """Four words by two speakers a split, with lists, and noise for training and for figures."""
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    for w, (word, hz) in enumerate(WORDS_HZ.items()):
        for split in SPLITS:
            for speaker in range(SPEAKERS_OF_A_SPLIT):
                for clip in range(CLIPS_OF_A_SPEAKER):
                    name = f"{word}/{split[:2]}{speaker}_nohash_{clip}.wav"
                    write_wav(folder / name, tone(hz, seed=100 * w + 10 * speaker + clip))
                    lists[split].append(name)
    for split in ("validation", "testing"):
        (folder / f"{split}_list.txt").write_text("\n".join(lists[split]))
    for seed, name in enumerate(("exercise_bike", "running_tap", "white_noise")):
        write_wav(folder / "_background_noise_" / f"{name}.wav", hiss(2.0, seed))
    return folder


def write_store(corpus: Path, store: Path) -> Path:
    """A store of the same clips, without the trimming that evaluation does not look at."""
    sources = scan_corpus(corpus).sources
    samples = [read_int16(source.path) for source in sources]
    rows, offset = [], 0
    for source, clip in zip(sources, samples, strict=True):
        rows.append(_row(source, offset, len(clip)))
        offset += len(clip)
    store.mkdir()
    np.save(store / AUDIO_FILE, np.concatenate(samples))
    with (store / INDEX_FILE).open("w", newline="") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, rows)
    info = {"schema": 1, "length": "mean", "data_digest": "d", "statistics": measure_durations(rows)}
    (store / INFO_FILE).write_text(json.dumps(info))
    return store


def _row(source: Source, offset: int, n_samples: int) -> Row:
    about = (source.kind, source.word, source.speaker, source.split, source.role, source.name)
    return Row(*about, offset, n_samples, 0, n_samples, n_samples // 2, -60.0, (), "0")
