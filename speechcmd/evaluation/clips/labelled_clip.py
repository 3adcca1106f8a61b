"""One clip with its right answer, and sets of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speechcmd.audio.samples import Waveform
from speechcmd.errors import EvaluationError
from speechcmd.labels import NEVER_FIRE


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """One clip and what it holds."""

    path: str
    """Its name in the source."""
    word: str
    """What is spoken; "" for silence and where the source does not say."""
    label: str
    """Right answer of the task."""
    speaker: str
    """"" if unknown."""
    read: Callable[[], Waveform]
    """Return the whole clip at 16 kHz, shape (n_samples,)."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Which clips of a source make the set: the same rule, seed and source give the same digest."""

    rule: str
    """In words: how `_unknown_` and `_silence_` were chosen."""
    seed: int | None
    """None where nothing was left to chance."""
    n_unknown: int
    n_silence: int
    sha256: str
    """Over the names of all clips in their order, one a line."""


@dataclass(frozen=True)
class ClipSet:
    """The clips of a task."""

    name: str
    """The source, as it was given."""
    task: str
    """One of `TASKS`."""
    split: str
    """"" where the source has no splits."""
    labels: tuple[str, ...]
    """Labels of the task."""
    clips: tuple[LabelledClip, ...]
    draw: Draw | None
    voices: str = ""
    """What figures do not say, if the source has voices of this split in training too."""

    @property
    def words(self) -> tuple[str, ...]:
        """Labels of the task that are words: what may be the answer, `_unknown_` and `_silence_` apart."""
        return tuple(label for label in self.labels if label not in NEVER_FIRE)


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device under the name of a clip: reading it would wait for ever.

    Raises
    ------
    EvaluationError
        If there is something, and it is no file.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise EvaluationError("expected an audio file, got a pipe or a device", path=path, advice="remove it")
