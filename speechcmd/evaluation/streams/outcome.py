"""What a decoder with certain settings makes of the audio: each word's fate, each false accept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from speechcmd.arrays import DoubleArray, IntArray
from speechcmd.evaluation.streams.heard import HeardRecording, HeardSet
from speechcmd.evaluation.streams.matching import match_words
from speechcmd.evaluation.streams.trace import Replayer
from speechcmd.runtime.model.card import DecoderSettings
from speechcmd.runtime.recognition.decoder import Detection


class Fate(IntEnum):
    """What became of a word."""

    MISSED = 0
    FOUND = 1
    SUBSTITUTED = 2
    """Another label was heard in its place: a miss, and counted with the false accepts too."""


@dataclass(frozen=True, slots=True)
class FalseAccept:
    """A detection that nobody said, or that somebody said as another word."""

    label: str
    recording: int
    time_s: float
    score: float
    kind: str
    word: int = -1
    """The word in whose place it was heard; -1 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One decoder on all of the audio."""

    settings: DecoderSettings
    fates: IntArray
    """A `Fate` a word. Shape: (n_words,)."""
    delays_s: DoubleArray
    """From the end of each found word to its decision; nan for others. Shape: (n_words,)."""
    false_accepts: tuple[FalseAccept, ...]
    duplicates: tuple[str, ...]
    """Label of each word that was heard once more."""


class Scorer:
    """Scores decoders on one set of audio; the second costs less than the first."""

    def __init__(self, audio: HeardSet) -> None:
        self._audio = audio
        self._replayers = [Replayer(audio.card, one.trace) for one in audio.heard]

    def score(self, settings: DecoderSettings) -> Outcome:
        """Decode and count with these settings."""
        fates: list[IntArray] = []
        delays: list[DoubleArray] = []
        false_accepts: list[FalseAccept] = []
        duplicates: list[str] = []
        n_words = 0
        for number, (one, replayer) in enumerate(zip(self._audio.heard, self._replayers, strict=True)):
            detections = replayer.decode(settings)
            matching = match_words(one.words, detections)
            own_fates, own_delays = _judge_words(one, detections, matching.heard_by)
            fates.append(own_fates)
            delays.append(own_delays)
            for index in matching.false:
                false_accepts.append(_false_accept(one, number, detections[index]))
            for index in np.flatnonzero(own_fates == Fate.SUBSTITUTED):
                wrong = detections[matching.heard_by[index]]
                false_accepts.append(_false_accept(one, number, wrong, n_words + int(index)))
            duplicates += [detections[index].label for index in matching.duplicates]
            n_words += len(one.words)
        all_fates: IntArray = np.concatenate([*fates, np.zeros(0, dtype=np.int64)])
        all_delays: DoubleArray = np.concatenate([*delays, np.zeros(0)])
        return Outcome(settings, all_fates, all_delays, tuple(false_accepts), tuple(duplicates))


def _judge_words(
    one: HeardRecording, detections: Sequence[Detection], heard_by: IntArray
) -> tuple[IntArray, DoubleArray]:
    fates = np.full(len(one.words), Fate.MISSED, dtype=np.int64)
    delays = np.full(len(one.words), np.nan)
    for index in np.flatnonzero(heard_by >= 0):
        word, detection = one.words[index], detections[heard_by[index]]
        if word.label == detection.label:
            fates[index], delays[index] = Fate.FOUND, detection.decided_s - word.end_s
        else:
            fates[index] = Fate.SUBSTITUTED
    return fates, delays


def _false_accept(one: HeardRecording, number: int, detection: Detection, word: int = -1) -> FalseAccept:
    kind = one.kind_at(detection.decided_s) if word < 0 else one.recording.kind
    return FalseAccept(detection.label, number, detection.decided_s, detection.score, kind, word)
