"""Everything that thresholds are tried on: traces, words, and the hours in which no keyword is said."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.annotation import Word
from speechcmd.evaluation.matching import TOLERANCE_S
from speechcmd.evaluation.recording_set import TestRecording
from speechcmd.evaluation.trace import Trace, make_trace
from speechcmd.runtime.model_card import ModelCard
from speechcmd.runtime.recognizer import Recognizer

OTHER_WORDS = "other words"
PIECE_S = 60.0
_KIND = "kind"

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A recording and what the network says of it.

    `words` are those that the model knows, `others` all else that is said: (kind, start, end) in seconds.
    """

    recording: TestRecording
    trace: Trace
    words: tuple[Word, ...]
    others: tuple[tuple[str, float, float], ...]
    duration_s: float

    def kind_at(self, time_s: float) -> str:
        """Kind of the audio in which something was decided: the piece of speech there, or the recording."""
        number = bisect.bisect(self.others, time_s, key=lambda other: other[1])
        if number:
            kind, _, end_s = self.others[number - 1]
            if time_s <= end_s + TOLERANCE_S:  # as for words: what is decided shortly after it is due to it
                return kind
        return self.recording.kind


@dataclass(frozen=True, eq=False)
class Material:
    """All recordings that one measurement is made on.

    Words are numbered through all recordings, in the order of the recordings and of their times.
    """

    card: ModelCard
    heard: tuple[Heard, ...]

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All keywords."""
        return tuple(word for one in self.heard for word in one.words)

    @cached_property
    def word_recordings(self) -> Indices:
        """Number of each word's recording. Shape: (n_words,)."""
        return np.repeat(np.arange(len(self.heard)), [len(one.words) for one in self.heard])

    @cached_property
    def word_labels(self) -> Indices:
        """Each word as its number in `card.words`. Shape: (n_words,)."""
        numbers = {label: number for number, label in enumerate(self.card.words)}
        return np.array([numbers[word.label] for word in self.words], dtype=np.int64)

    @cached_property
    def word_units(self) -> Indices:
        """What the word was drawn with: its recording, or the minute of a longer one. Shape: (n_words,)."""
        pieces = [int(word.start_s // PIECE_S) for word in self.words]
        pairs = np.stack([self.word_recordings, np.array(pieces, dtype=np.int64)], axis=1)
        units: Indices = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return units

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of audio, in the order in which they come."""
        return tuple(dict.fromkeys(kind for one in self.heard for kind in _hours_of(one)))

    def hours(self, *, label: str | None = None, without_homophones: bool = False) -> dict[str, float]:
        """Hours outside words by kind.

        Parameters
        ----------
        label
            Leave out recordings in which this label sounds.
        without_homophones
            Leave out recordings in which any label sounds.
        """
        hours = dict.fromkeys(self.kinds, 0.0)
        for one in self.heard:
            sounds = one.recording.heard
            if (without_homophones and sounds) or (label is not None and label in sounds):
                continue
            for kind, value in _hours_of(one).items():
                hours[kind] += value
        return hours

    def at_temperature(self, temperature: float) -> Material:
        """Return what the same model would give with another temperature."""
        ratio = temperature / self.card.temperature
        heard = tuple(replace(one, trace=one.trace.at_temperature(ratio)) for one in self.heard)
        return Material(replace(self.card, temperature=temperature), heard)

    @property
    def has_homophones(self) -> bool:
        """Whether a label sounds in any recording without labels."""
        return any(one.recording.heard for one in self.heard)


def _hours_of(one: Heard) -> dict[str, float]:
    """Hours of a recording outside its words, by kind; what overlaps is counted once."""
    by_kind: dict[str, float] = {one.recording.kind: 0.0}
    others_s = 0.0
    for kind, start_s, end_s in one.others:
        by_kind[kind] = by_kind.get(kind, 0.0) + (end_s - start_s) / 3600
        others_s += end_s - start_s
    words_s = _covered_s([(word.start_s, word.end_s) for word in one.words])
    by_kind[one.recording.kind] += max(0.0, one.duration_s - words_s - others_s) / 3600
    return by_kind


def _covered_s(spans: Sequence[tuple[float, float]]) -> float:
    covered_s, reached_s = 0.0, 0.0
    for start_s, end_s in sorted(spans):
        covered_s += max(0.0, end_s - max(start_s, reached_s))
        reached_s = max(reached_s, end_s)
    return covered_s


def listen_to(
    recognizer: Recognizer,
    recordings: Sequence[TestRecording],
    on_progress: Callable[[float], None] | None = None,
) -> Material:
    """Run the network over all recordings, once.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    EvaluationError
        If a word is labelled where the recording has ended.
    """
    heard = []
    for recording in recordings:
        trace = make_trace(recognizer, recording.path, on_progress=on_progress)
        heard.append(_combine(recording, trace, recognizer.card))
    return Material(recognizer.card, tuple(heard))


def _combine(recording: TestRecording, trace: Trace, card: ModelCard) -> Heard:
    duration_s = trace.n_samples / card.sample_rate
    annotation = recording.annotation
    if annotation is None:
        return Heard(recording, trace, (), (), duration_s)
    late = [word for word in annotation.words if word.start_s > duration_s]
    if late:
        raise EvaluationError(
            f"{recording.path}: {late[0].label!r} is labelled at {late[0].start_s:g} s, but the recording "
            f"has {duration_s:.1f} s; are these its labels?"
        )
    words = tuple(word for word in annotation.words if word.label in card.words)
    strange = [word for word in annotation.words if word.label not in card.words]
    others = sorted([*annotation.others, *strange], key=lambda word: word.start_s)
    spans = tuple((str(word.attributes.get(_KIND, OTHER_WORDS)), word.start_s, word.end_s) for word in others)
    return Heard(recording, trace, words, spans, duration_s)
