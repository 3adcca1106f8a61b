"""Labels against the recording they lie beside, before and after it was heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import toy_model
from made_audio import write_tones

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import Annotation, Word
from speechcmd.evaluation.streams.heard import HeardSet, listen_to
from speechcmd.evaluation.streams.recording_set import GivenRecording
from speechcmd.runtime.recognition.recognizer import Recognizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "toy.onnx").write_bytes(toy_model())
    write_tones(root / "a.wav", [("low", 1.0)], 6.0, labelled=False)
    return root


def hear(folder: Path, *words: Word, others: tuple[Word, ...] = ()) -> HeardSet:
    recording = GivenRecording(folder / "a.wav", "stream", Annotation(words, others))
    return listen_to(Recognizer.load(folder / "toy.onnx"), [recording])


@pytest.mark.parametrize("as_other", [False, True])
def test_labels_of_a_longer_recording_are_refused(folder: Path, as_other: bool) -> None:
    """They would make hours out of nothing."""
    late = Word("low", 3.0, 36_000.0)
    with pytest.raises(
        EvaluationError, match=r"a\.wav: 'low' is labelled to 36000 s, .* has 6\.0 s; are these"
    ):
        hear(folder, *([] if as_other else [late]), others=(late,) if as_other else ())


def test_labels_end_with_the_recording(folder: Path) -> None:
    audio = hear(folder, Word("low", 1.0, 1.3), others=(Word("x", 5.0, 6.9, {"kind": "talk"}),))
    assert audio.hours() == {"stream": pytest.approx((5 - 0.3) / 3600), "talk": pytest.approx(1 / 3600)}


def test_a_word_of_the_model_that_was_not_asked_for_is_a_word(folder: Path) -> None:
    """A stream made for fewer words than the model has: hearing the others is no mistake."""
    other = (Word("low", 1.0, 1.3, {"kind": "unknown"}), Word("low", 3.0, 4.0, {"kind": "speech"}))
    audio = hear(folder, Word("purple", 4.5, 5.0, {"kind": "keyword"}), others=other)
    assert [(word.label, word.start_s) for word in audio.words] == [("low", 1.0)]
    assert set(audio.kinds) == {"stream", "speech", "other words"}
