"""Sounds of mistakes, for a report in which they can be heard."""

from __future__ import annotations

from dataclasses import dataclass

from speechcmd.audio.samples import Waveform


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A mistake to listen to."""

    title: str
    truth: str
    answer: str
    score: float
    waveform: Waveform
    """Shape: (n_samples,)."""
    sample_rate: int
    """The model's."""
    target: str | None
    """The label whose score is explained; None is the recogniser's answer to the sound."""
    path: str = ""
    """Where it comes from."""
