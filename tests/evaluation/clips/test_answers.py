"""Clips through the recogniser: the real path, its posteriors, and a clip that is broken."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes import LABELS, SAMPLE_RATE, tone_recording, toy_card, toy_model

from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import Waveform
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.clips.answers import classify_clips, resample_clip
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.recognizer import Recognizer

pytestmark = pytest.mark.runtime

RECOGNIZER = Recognizer(Session(toy_model()), toy_card())


def example(label: str, seed: int = 0) -> LabelledClip:
    words = [] if label == "_silence_" else [(label, 0.35)]
    waveform = tone_recording(words, 1.0, seed=seed)
    return LabelledClip(f"{label}/{seed}.wav", label, label, "", lambda: waveform)


EXAMPLES = [example("low"), example("_silence_"), example("high"), example("low", 1)]


def test_every_clip_goes_as_a_user_s_clip_does() -> None:
    done: list[tuple[int, int]] = []
    answers = classify_clips(RECOGNIZER, EXAMPLES, on_progress=lambda *counts: done.append(counts))
    assert answers.labels == ["low", "_silence_", "high", "low"]
    assert answers.are_right(EXAMPLES).all()
    assert answers.posteriors.shape == (4, len(LABELS))
    for index, one in enumerate(EXAMPLES):
        expected = RECOGNIZER.classify(one.read())
        assert answers.scores[index] == expected.score
        assert answers.posteriors[index].tolist() == [expected.posteriors[label] for label in LABELS]
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_words_that_may_not_be_the_answer_count_as_unknown() -> None:
    answers = classify_clips(RECOGNIZER, EXAMPLES, only_labels=("high",))
    assert answers.labels == ["_unknown_", "_silence_", "high", "_unknown_"]
    assert answers.posteriors.shape == (4, len(LABELS))
    assert (answers.posteriors[:, LABELS.index("low")] == 0).all()
    assert answers.are_right(EXAMPLES).tolist() == [False, True, True, False]


def test_clips_are_distorted_by_their_number() -> None:
    seen = []

    def distort(waveform: Waveform, index: int) -> Waveform:
        seen.append(index)
        return EXAMPLES[2].read() if index == 0 else waveform

    assert classify_clips(RECOGNIZER, EXAMPLES, distort=distort).labels[0] == "high"
    assert seen == [0, 1, 2, 3]


def test_no_clips_give_no_answers() -> None:
    answers = classify_clips(RECOGNIZER, [])
    assert (answers.labels, answers.scores.shape, answers.posteriors.shape) == ([], (0,), (0, 4))


def test_a_model_of_another_rate_gets_its_rate() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    half = resample_clip(tone, 8_000)
    assert len(half) == 8_000
    expected = np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 8_000)
    np.testing.assert_allclose(half[500:-500], expected[500:-500], atol=1e-3)
    assert resample_clip(tone, SAMPLE_RATE) is tone
    card = toy_card(sample_rate=8_000)
    slow = Recognizer(Session(toy_model()), card)
    # half the rate: to this network a tone of 1 kHz is its "high" of 2 kHz
    sounding = LabelledClip("hum.wav", "", "high", "", lambda: 0.3 * tone)
    assert classify_clips(slow, [sounding]).labels == ["high"]
    assert classify_clips(RECOGNIZER, [sounding]).labels == ["_unknown_"]


def test_a_broken_clip_stops_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "yes" / "broken.wav"
    path.parent.mkdir()
    path.write_bytes(b"RIFF")
    broken = LabelledClip("yes/broken.wav", "yes", "yes", "", partial(read_waveform, path))
    strange = LabelledClip("yes/long.wav", "yes", "yes", "", lambda: np.zeros((2, 2), dtype=np.float32))
    for bad, expected in ((broken, "yes/broken.wav: not audio"), (strange, "^yes/long.wav: expected")):
        with pytest.raises(EvaluationError, match=expected) as error:
            classify_clips(RECOGNIZER, [EXAMPLES[0], bad])
        assert str(error.value).count(bad.path) == 1
        assert "every clip counts" in str(error.value)
