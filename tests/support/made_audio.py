"""Recordings whose posteriors are written by hand, and files that the toy model hears words in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from fakes import SAMPLE_RATE, plain_card, tone_recording

from speechcmd.arrays import FloatArray
from speechcmd.evaluation.streams.annotation import Annotation, Word, write_json
from speechcmd.evaluation.streams.heard import HeardRecording, HeardSet, Span
from speechcmd.evaluation.streams.recording_set import GivenRecording
from speechcmd.evaluation.streams.trace import Trace
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard

# 20 ms a step, windows of 0.4 s, no averaging: what is written is what counts
CARD = replace(
    plain_card(),
    labels=("_silence_", "_unknown_", "yes", "no"),
    sample_rate=1_000,
    window_samples=400,
    step_samples=20,
    decoder=DecoderSettings(LabelSettings(), smoothing_steps=1),
)
STEP_S = 0.02
_EDGE_S = 0.2  # half a window of noise stands before a recording
_HOPS_PER_STEP = 2


def step_decided_at(time_s: float) -> int:
    """Number of the step whose window ends at a time."""
    return round((time_s - 0.4 + _EDGE_S) / STEP_S)


def made_trace(
    peaks: Sequence[tuple[str, float, float]],
    duration_s: float = 10.0,
    card: ModelCard = CARD,
    width: int = 3,
) -> Trace:
    """A trace in which labels rise for some steps: (label, second at which the rise begins, posterior)."""
    n_steps = round(duration_s / STEP_S)
    table: FloatArray = np.zeros((n_steps, len(card.labels)), dtype=np.float32)
    for label, time_s, posterior in peaks:
        first = step_decided_at(time_s)
        table[first : first + width, card.labels.index(label)] = posterior
    table[:, 0] = 1 - table[:, 1:].sum(axis=1)
    levels = np.full(n_steps * _HOPS_PER_STEP, -60.0, dtype=np.float32)
    return Trace(table, levels, round(duration_s * card.sample_rate))


def made_recording(
    peaks: Sequence[tuple[str, float, float]],
    words: Sequence[Word] | None = None,
    *,
    kind: str = "speech",
    sounds: Sequence[str] = (),
    duration_s: float = 10.0,
    others: Sequence[tuple[str, float, float]] = (),
    width: int = 3,
) -> HeardRecording:
    annotation = None if words is None else Annotation(tuple(words), duration_s=duration_s)
    recording = GivenRecording(Path(f"{kind}.wav"), kind, annotation, heard=frozenset(sounds))
    trace = made_trace(peaks, duration_s, width=width)
    return HeardRecording(
        recording, trace, tuple(words or ()), tuple(Span(*other) for other in others), duration_s
    )


def made_audio(*heard: HeardRecording) -> HeardSet:
    return HeardSet(CARD, heard)


def write_tones(
    path: Path, words: Sequence[tuple[str, float]], duration_s: float, *, labelled: bool, seed: int = 0
) -> Path:
    """A wav file with words of the toy model, and labels beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone_recording(list(words), duration_s, seed=seed), SAMPLE_RATE, subtype="PCM_16")
    if labelled:
        said = [
            Word(label, start_s, start_s + 0.3, {"snr_db": 10.0 * (n % 2)})
            for n, (label, start_s) in enumerate(words)
        ]
        write_json(Annotation(tuple(said), duration_s=duration_s), path.with_suffix(".json"))
    return path
