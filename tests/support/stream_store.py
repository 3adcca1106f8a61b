"""A tiny store whose words are bursts at known places, written without the tools that prepare one."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from data_prep.store import COLUMNS, SCHEMA, Row, Store, write_rows
from data_prep.store_folder import measure_durations
from speechcmd.audio.samples import SAMPLE_RATE, Int16, Waveform, float32_to_int16
from speechcmd.evaluation.synthesis import stream_plan

WORDS, OTHER_WORDS = ("yes", "no"), ("bird", "cat")
SPEAKERS = ("anna", "bert", "cleo")
BURST_S, MARGIN = 0.3, 800
SPEECH_PAUSE_S = 0.4


def burst_start(index: int) -> int:
    """Where the word of a clip begins: another place in each."""
    return 4_000 + 37 * index


def tone(n_samples: int, *hertz: float) -> Waveform:
    times = np.arange(n_samples) / SAMPLE_RATE
    waves = np.sin(2 * np.pi * np.outer(hertz, times))
    mixed: Waveform = waves.mean(axis=0).astype(np.float32)
    return mixed


def word_clip(index: int, level: float = 0.3, floor: float = 3e-4) -> Waveform:
    rng = np.random.default_rng(index)
    clip = rng.standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(floor)
    start, n_samples = burst_start(index), round(BURST_S * SAMPLE_RATE)
    clip[start : start + n_samples] += np.float32(level) * tone(n_samples, 300 + 10 * index, 900)
    return clip


def running_speech(seconds: float) -> Waveform:
    """Bursts with pauses, a second together; any three quarters of a second hold some of a pause."""
    speech = tone(round(seconds * SAMPLE_RATE), 250.0, 1_300.0) * np.float32(0.2)
    times = np.arange(len(speech)) / SAMPLE_RATE
    speech[times % 1.0 > 1 - SPEECH_PAUSE_S] *= np.float32(1e-3)
    return speech


def barks(seconds: float) -> Waveform:
    """Full-scale bursts of 0.1 s every 0.8 s, and digital silence between them."""
    noise = np.random.default_rng(7).uniform(-1, 1, round(seconds * SAMPLE_RATE)).astype(np.float32)
    noise[(np.arange(len(noise)) / SAMPLE_RATE) % 0.8 > 0.1] = 0.0
    return noise


def find_boundaries_once(patch: pytest.MonkeyPatch) -> None:
    """A plan says the few clips of this store a hundred times: where a word lies in each is found once."""
    find, found = stream_plan.find_boundaries, dict[tuple[bytes, int, int], tuple[int, int]]()

    def find_once(clip: Waveform, start: int, end: int) -> tuple[int, int]:
        key = (clip.tobytes(), start, end)
        if key not in found:
            found[key] = find(clip, start, end)
        return found[key]

    patch.setattr(stream_plan, "find_boundaries", find_once)


class _Tape:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.parts: list[Int16] = []
        self._offset = 0

    def add(self, kind: str, path: str, waveform: Waveform, *, word: str = "", speaker: str = "",
            split: str = "testing", speech: tuple[int, int] | None = None, flags: tuple[str, ...] = ()) -> None:  # fmt: skip
        start, end = speech or (0, len(waveform))
        middle = (start + end) // 2
        self.rows.append(
            Row(kind, word, speaker, split, "", path, self._offset, len(waveform), start, end, middle, -70.0, flags, "")
        )  # fmt: skip
        self.parts.append(float32_to_int16(waveform))
        self._offset += len(waveform)


def write_store(folder: Path, *, without: Collection[str] = (), rumble: bool = False) -> Store:
    """Store of the kinds word, other, speech, noise and music, but for those in `without`."""
    tape, index = _Tape(), 0
    for word in (*WORDS, *(() if "other" in without else OTHER_WORDS)):
        for speaker in SPEAKERS:
            for take in range(2):
                index += 1
                start = burst_start(index)
                speech = (start - MARGIN, start + round(BURST_S * SAMPLE_RATE) + MARGIN)
                path = f"{word}/{speaker}_nohash_{take}.wav"
                tape.add("word", path, word_clip(index), word=word, speaker=speaker, speech=speech)
        silent = np.zeros(SAMPLE_RATE, dtype=np.float32)
        tape.add("word", f"{word}/silent.wav", silent, word=word, flags=("near_silent",))
        tape.add("word", f"{word}/other_split.wav", word_clip(0), word=word, split="training")
    rng = np.random.default_rng(3)
    if "speech" not in without:
        tape.add("speech", "books/short.wav", running_speech(3.0), speaker="dora")
        tape.add("speech", "books/long.wav", running_speech(15.0), speaker="emil")
    if "noise" not in without:
        for split in ("testing", "training"):
            hiss = rng.standard_normal(5 * SAMPLE_RATE).astype(np.float32) * np.float32(0.01)
            tape.add("noise", f"noise/hiss_{split}.wav", hiss, split=split)
        tape.add("noise", "noise/barks.wav", barks(4.0))
        tape.add("noise", "noise/too_short.wav", barks(0.5))
    if rumble:
        wind = rng.standard_normal(10 * SAMPLE_RATE).astype(np.float32) * np.float32(0.002)
        wind += tone(len(wind), 12.0) * np.float32(0.05) + np.float32(0.2)
        tape.add("noise", "noise/wind.wav", wind)
    if "music" not in without:
        tape.add("music", "music/chord.wav", tone(30 * SAMPLE_RATE, 220.0, 277.2, 329.6) * np.float32(0.1))
    folder.mkdir(parents=True)
    np.save(folder / "audio.npy", np.concatenate(tape.parts))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, tape.rows)
    info = {"schema": SCHEMA, "length": "mean", "data_digest": "d1"}
    (folder / "store.json").write_text(json.dumps(info | {"statistics": measure_durations(tape.rows)}))
    return Store.open(folder)
