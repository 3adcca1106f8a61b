"""Everything that thresholds are tried on: traces, words, and the hours in which no keyword is said."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from speechcmd.arrays import IntArray
from speechcmd.audio.reading import duration_s
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import Annotation, Word
from speechcmd.evaluation.streams.matching import TOLERANCE_S
from speechcmd.evaluation.streams.recording_set import GivenRecording
from speechcmd.evaluation.streams.trace import Trace, make_trace
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.recognition.recognizer import Recognizer

OTHER_WORDS = "other words"
KEYWORD_KIND, UNKNOWN_KIND = "keyword", "unknown"  # as make-stream names them
UNIT_S = 60.0
_KIND = "kind"

_MOST_NESTED = 50  # stretches of speech that are looked back at
_LATE_S = 1.0  # labels may reach so far beyond a recording: players and codecs differ


class Span(NamedTuple):
    """A stretch of speech without keywords, in seconds."""

    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class HeardRecording:
    """A recording and what the network says of it.

    `words` are those that the model knows, `others` all else that is said, in the order of their starts.
    """

    recording: GivenRecording
    trace: Trace
    words: tuple[Word, ...]
    others: tuple[Span, ...]
    duration_s: float

    def kind_at(self, time_s: float) -> str:
        """Kind of the audio in which something was decided: the stretch of speech there, or the recording.

        A stretch that ended up to 0.75 s before is meant too, as for words, if none covers the time itself.
        """
        near = [span for span in self._begun(time_s) if time_s <= span.end_s + TOLERANCE_S]
        covering = [span for span in near if time_s <= span.end_s]
        return next(iter(covering or near), Span(self.recording.kind, 0.0, 0.0)).kind

    def hours(self) -> dict[str, float]:
        """Hours outside words by kind; where stretches of speech overlap, the one that began last counts."""
        hours = {self.recording.kind: 0.0, **dict.fromkeys((span.kind for span in self.others), 0.0)}
        edges = {0.0, self.duration_s}
        edges |= {time_s for word in self.words for time_s in (word.start_s, word.end_s)}
        edges |= {time_s for span in self.others for time_s in (span.start_s, span.end_s)}
        starts = [word.start_s for word in self.words]
        ends = list(accumulate((word.end_s for word in self.words), max))
        for begin_s, end_s in pairwise(sorted(edges)):
            n_begun = bisect.bisect(starts, begin_s)
            if n_begun and ends[n_begun - 1] >= end_s:
                continue  # inside a word
            covering = (span.kind for span in self._begun(begin_s) if span.end_s >= end_s)
            hours[next(covering, self.recording.kind)] += (end_s - begin_s) / 3600
        return hours

    def _begun(self, time_s: float) -> tuple[Span, ...]:
        """The last stretches that began up to a time, the latest first."""
        number = bisect.bisect(self.others, time_s, key=lambda span: span.start_s)
        return self.others[max(0, number - _MOST_NESTED) : number][::-1]


@dataclass(frozen=True, eq=False)
class HeardSet:
    """All recordings that one measurement is made on.

    Words are numbered through all recordings, in the order of the recordings and of their times.
    """

    card: ModelCard
    heard: tuple[HeardRecording, ...]

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All keywords."""
        return tuple(word for one in self.heard for word in one.words)

    @cached_property
    def word_recordings(self) -> IntArray:
        """Number of each word's recording. Shape: (n_words,)."""
        return np.repeat(np.arange(len(self.heard)), [len(one.words) for one in self.heard])

    @cached_property
    def word_labels(self) -> IntArray:
        """Each word as its number in `card.words`. Shape: (n_words,)."""
        numbers = {label: number for number, label in enumerate(self.card.words)}
        return np.array([numbers[word.label] for word in self.words], dtype=np.int64)

    @cached_property
    def word_units(self) -> IntArray:
        """What the word was drawn with: its recording, or the minute of a longer one. Shape: (n_words,)."""
        minutes = [int(word.start_s // UNIT_S) for word in self.words]
        pairs = np.stack([self.word_recordings, np.array(minutes, dtype=np.int64)], axis=1)
        units: IntArray = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return units

    @cached_property
    def _hours(self) -> tuple[dict[str, float], ...]:
        """Of each recording, by kind."""
        return tuple(one.hours() for one in self.heard)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of audio, in the order in which they come."""
        return tuple(dict.fromkeys(kind for hours in self._hours for kind in hours))

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
        for one, own in zip(self.heard, self._hours, strict=True):
            sounds = one.recording.heard
            if (without_homophones and sounds) or (label is not None and label in sounds):
                continue
            for kind, value in own.items():
                hours[kind] += value
        return hours

    def at_temperature(self, temperature: float) -> HeardSet:
        """Return what the same model would give with another temperature."""
        ratio = temperature / self.card.temperature
        heard = tuple(replace(one, trace=one.trace.at_temperature(ratio)) for one in self.heard)
        return HeardSet(replace(self.card, temperature=temperature), heard)

    @property
    def has_homophones(self) -> bool:
        """Whether a label sounds in any recording without labels."""
        return any(one.recording.heard for one in self.heard)


def listen_to(
    recognizer: Recognizer,
    recordings: Sequence[GivenRecording],
    on_progress: Callable[[float], None] | None = None,
) -> HeardSet:
    """Run the network over all recordings, once.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    EvaluationError
        If a word is labelled where the recording has ended.
    """
    for recording in recordings:
        _check_labels(recording)
    heard = []
    for recording in recordings:
        trace = make_trace(recognizer, recording.path, on_progress=on_progress)
        heard.append(_combine(recording, trace, recognizer.card))
    return HeardSet(recognizer.card, tuple(heard))


def _check_labels(recording: GivenRecording) -> None:
    """Refuse labels beyond the end before hours of work: they belong to another recording."""
    annotation = recording.annotation
    if annotation is None:
        return
    length_s = duration_s(recording.path)
    for word in (*annotation.words, *annotation.others):
        if word.end_s > length_s + _LATE_S:
            raise EvaluationError(
                f"{word.label!r} is labelled to {word.end_s:g} s, but the recording has {length_s:.1f} s",
                path=recording.path,
                advice="are these its labels?",
            )


def _combine(recording: GivenRecording, trace: Trace, card: ModelCard) -> HeardRecording:
    length_s = trace.n_samples / card.sample_rate
    annotation = recording.annotation or Annotation(())
    said = [one for one in annotation.others if one.label in card.words and _kind_of(one) == UNKNOWN_KIND]
    spoken = [*annotation.words, *said]
    words = sorted((one for one in spoken if one.label in card.words), key=_start)
    strange = [one for one in annotation.words if one.label not in card.words]
    silent = [one for one in annotation.others if one not in said]
    others = sorted([*silent, *strange], key=_start)
    return HeardRecording(
        recording,
        trace,
        tuple(_clipped(word, length_s) for word in words),
        tuple(Span(_kind_of(one), *_within(one, length_s)) for one in others),
        length_s,
    )


def _kind_of(word: Word) -> str:
    """What is said: a word of the model's own that was not asked for counts as other words too."""
    kind = str(word.attributes.get(_KIND, OTHER_WORDS))
    return OTHER_WORDS if kind == KEYWORD_KIND else kind


def _start(word: Word) -> float:
    return word.start_s


def _clipped(word: Word, length_s: float) -> Word:
    start_s, end_s = _within(word, length_s)
    return replace(word, start_s=start_s, end_s=end_s)


def _within(word: Word, length_s: float) -> tuple[float, float]:
    return min(word.start_s, length_s), min(word.end_s, length_s)
