"""Hand-made recordings with known answers: what is found, missed, false, twice, in which hours."""

from __future__ import annotations

import numpy as np
import pytest
from made_audio import made_audio, made_recording

from speechcmd.evaluation.streams.annotation import Word
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import Fate, Outcome, Scorer


def score(audio: HeardSet) -> Outcome:
    return Scorer(audio).score(audio.card.decoder)


def test_a_burst_of_forty_frames_is_one_false_accept() -> None:
    """Two known tools count 40, or one for each 250 ms."""
    outcome = score(made_audio(made_recording([("yes", 3.0, 0.9)], width=40)))
    assert [one.label for one in outcome.false_accepts] == ["yes"]


def test_each_word_has_its_fate() -> None:
    words = [Word("yes", 1.0, 1.4), Word("no", 3.0, 3.4), Word("yes", 5.0, 5.4), Word("yes", 7.0, 7.4)]
    peaks = [("yes", 1.5, 0.9), ("yes", 3.5, 0.9), ("yes", 7.3, 0.9), ("yes", 7.8, 0.8), ("no", 9.0, 0.95)]
    outcome = score(made_audio(made_recording(peaks, words)))
    assert outcome.fates.tolist() == [Fate.FOUND, Fate.SUBSTITUTED, Fate.MISSED, Fate.FOUND]
    assert outcome.duplicates == ("yes",)
    nobody, instead = outcome.false_accepts
    assert (nobody.label, nobody.word, nobody.kind) == ("no", -1, "speech")
    assert (instead.label, instead.word) == ("yes", 1), "heard in the place of no: it counts as false too"
    assert outcome.delays_s[[1, 2]] == pytest.approx([np.nan, np.nan], nan_ok=True)
    assert outcome.delays_s[0] == pytest.approx(0.1, abs=0.041), "decided one or two steps after the rise"


def test_words_are_numbered_through_all_recordings() -> None:
    first = made_recording([("no", 1.5, 0.9)], [Word("yes", 1.0, 1.4)])
    second = made_recording([("no", 2.5, 0.9)], [Word("no", 2.0, 2.4), Word("yes", 4.0, 4.5)])
    audio = made_audio(first, made_recording([("yes", 5.0, 0.9)], kind="music"), second)
    outcome = score(audio)
    assert outcome.fates.tolist() == [Fate.SUBSTITUTED, Fate.FOUND, Fate.MISSED]
    assert [(one.recording, one.word, one.kind) for one in outcome.false_accepts] == [
        (0, 0, "speech"),
        (1, -1, "music"),
    ]
    assert audio.word_recordings.tolist() == [0, 2, 2]
    assert audio.word_labels.tolist() == [0, 1, 0]


def test_hours_are_outside_words_and_by_kind() -> None:
    words = [Word("yes", 1.0, 2.0), Word("no", 1.5, 3.0)]  # they overlap: two seconds in all
    stream = made_recording([], words, kind="stream", others=[("unknown", 5.0, 5.5), ("talk", 6.0, 8.0)])
    audio = made_audio(stream, made_recording([], kind="music", duration_s=36.0))
    hours = audio.hours()
    assert {kind: round(3600 * value, 3) for kind, value in hours.items()} == {
        "stream": 10 - 2 - 0.5 - 2, "unknown": 0.5, "talk": 2.0, "music": 36.0,
    }  # fmt: skip


def test_a_false_accept_belongs_to_what_was_said_before_it() -> None:
    peaks = [("yes", 4.8, 0.9), ("yes", 5.7, 0.9), ("no", 7.0, 0.9)]
    stream = made_recording(peaks, [], kind="stream", others=[("unknown", 5.0, 5.3)])
    assert [one.kind for one in score(made_audio(stream)).false_accepts] == ["stream", "unknown", "stream"]


def test_pieces_of_speech_that_overlap_are_counted_once() -> None:
    """A long talk with a short cough in it, and a word over both."""
    stream = made_recording(
        [("no", 5.0, 0.9), ("no", 2.6, 0.9)],
        [Word("yes", 7.0, 8.0)],
        kind="stream",
        others=[("talk", 1.0, 9.0), ("cough", 2.0, 2.5)],
    )
    audio = made_audio(stream)
    assert {kind: round(3600 * value, 3) for kind, value in audio.hours().items()} == {
        "stream": 2.0, "talk": 8 - 0.5 - 1, "cough": 0.5,
    }  # fmt: skip
    assert sorted(one.kind for one in score(audio).false_accepts) == ["talk", "talk"], "it covers both"


def test_a_sentence_with_a_homophone_is_no_hour_of_its_label() -> None:
    know = made_recording(
        [("no", 3.0, 0.9), ("yes", 6.0, 0.9)], kind="sentences", sounds=["no"], duration_s=36.0
    )
    audio = made_audio(know, made_recording([("no", 3.0, 0.9)], kind="sentences", duration_s=72.0))
    assert audio.hours()["sentences"] == pytest.approx(0.03)
    assert audio.hours(without_homophones=True)["sentences"] == pytest.approx(0.02)
    assert audio.hours(label="no")["sentences"] == pytest.approx(0.02)
    assert audio.hours(label="yes")["sentences"] == pytest.approx(0.03)
    assert audio.has_homophones


def test_minutes_of_a_long_recording_are_drawn_apart() -> None:
    words = [Word("yes", 10.0, 10.5), Word("yes", 59.0, 59.5), Word("yes", 61.0, 61.5)]
    long = made_recording([], words, duration_s=130.0)
    units = made_audio(long, made_recording([], [Word("no", 1.0, 2.0)])).word_units.tolist()
    assert units[0] == units[1] != units[2]
    assert len(set(units)) == 3
