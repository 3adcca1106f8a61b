"""Mistakes to listen to in a report."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from speechcmd.audio.samples import Waveform


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One answer that was wrong, and where its sound lies in the report folder."""

    title: str
    score: float
    """Of the answer, from 0 to 1."""
    path: str = ""
    """The file in which it was made."""
    sound: str | UnsetType = UNSET
    """Name of a file below the report folder; unset where there was nothing to hear."""
    picture: str | UnsetType = UNSET
    """The same of what the answer rests on; unset where the sound is too short for that."""
    listened: str | UnsetType = UNSET
    """What the picture shows, in words."""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What stands beside the sound: names and texts, which may be empty."""
        return [("score", f"{self.score:.2f}"), ("file", self.path)]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """What was heard when a mistake was made."""

    mistake: Mistake
    waveform: Waveform
    """Shape: (n_samples,)."""
    sample_rate: int
    """The model's, in Hz."""
    target: str | None
    """The label whose score is explained; None is the recogniser's answer to the sound."""
