"""The recogniser from a model file to words, with a toy network whose words are tones."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import (
    LABELS,
    SAMPLE_RATE,
    STEP_SAMPLES,
    WINDOW_SAMPLES,
    field,
    model,
    tone_recording,
    toy_card,
    toy_graph,
    toy_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import speechcmd
from speechcmd.errors import AudioError, ModelError
from speechcmd.runtime.model.card import METADATA_KEY
from speechcmd.runtime.model.session import Session
from speechcmd.runtime.recognition.decoder import Detection
from speechcmd.runtime.recognition.recognizer import Recognizer

pytestmark = pytest.mark.runtime

WORDS = [("low", 0.6), ("low", 1.4), ("high", 2.3)]
RECORDING = tone_recording(WORDS, 3.0)
RECOGNIZER = Recognizer(Session(toy_model()), toy_card())


def assert_heard(detections: Iterable[Detection], words: list[tuple[str, float]] = WORDS) -> None:
    """These words, each within a tenth of a second of where it was put."""
    found = [(one.label, one.start_s) for one in detections]
    assert [label for label, _ in found] == [label for label, _ in words]
    np.testing.assert_allclose([start for _, start in found], [start for _, start in words], atol=0.1)


def wrong_arithmetic() -> bytes:
    """A model whose network does not compute what its card says."""
    bias = {"bias": np.array([-21, 0, -8, -8.1], dtype=np.float32)}
    return model(toy_graph(changed_weights=bias), {METADATA_KEY: toy_card().to_json()})


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "words.wav"
    soundfile.write(path, RECORDING, SAMPLE_RATE)
    return path


def test_load_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_model())
    recognizer = speechcmd.Recognizer.load(path)
    assert recognizer.card == toy_card()
    assert recognizer.labels == LABELS


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"garbage", "not an ONNX model"),
        (toy_model()[:-20], "not an ONNX model"),
        (model(toy_graph()), "has no model card"),
        (model(toy_graph(), {METADATA_KEY: "{}"}), "schema: expected 1"),
        (model(b"", {METADATA_KEY: toy_card().to_json()}), "expected a network|cannot open"),
        (wrong_arithmetic(), "computes the network wrongly"),
        (toy_model() + field(8, field(1, "evil")), "operators of 'evil'"),
    ],
)
def test_a_model_that_cannot_be_trusted_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"bad.onnx: .*({expected})") as caught:
        Recognizer.load(path)
    assert "\n" not in str(caught.value)


def test_posteriors_are_those_of_each_window() -> None:
    posteriors = RECOGNIZER.posteriors(RECORDING)
    assert posteriors.dtype == np.float32
    assert posteriors.shape == ((len(RECORDING) - WINDOW_SAMPLES) // STEP_SAMPLES + 1, len(LABELS))
    np.testing.assert_allclose(posteriors.sum(axis=1), 1, atol=1e-5)
    window = RECORDING[50 * STEP_SAMPLES : 50 * STEP_SAMPLES + WINDOW_SAMPLES]
    np.testing.assert_allclose(RECOGNIZER.posteriors(window)[0], posteriors[50], atol=1e-5)


def test_long_posteriors_do_not_depend_on_the_runs() -> None:
    """Twelve seconds need two runs of the network; the logits in one run are the reference."""
    waveform = tone_recording([("low", 9.9), ("high", 10.1)], 12.0)
    logits = Session(toy_model()).run(waveform[None])[0]
    exponentials = np.exp(logits.astype(float))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(RECOGNIZER.posteriors(waveform), expected, atol=1e-4)


def test_temperature_divides_the_logits() -> None:
    warm = Recognizer(Session(toy_model()), toy_card(temperature=4.0))
    ratio = np.log(RECOGNIZER.posteriors(RECORDING)) / np.log(warm.posteriors(RECORDING))
    assert ratio.max() > 1
    window = RECORDING[:WINDOW_SAMPLES]
    logits = Session(toy_model()).run(window[None])[0, 0] / 4
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(warm.posteriors(window)[0], expected, atol=1e-6)


def test_a_waveform_shorter_than_the_window_has_no_posteriors() -> None:
    with pytest.raises(AudioError, match="at least one window of 4800 samples, got 4799"):
        RECOGNIZER.posteriors(RECORDING[: WINDOW_SAMPLES - 1])


def test_a_word_spoken_twice_appears_twice(recording: Path) -> None:
    detections = list(RECOGNIZER.transcribe(recording))
    assert_heard(detections)
    for detection in detections:
        assert 0 <= detection.start_s < detection.end_s <= detection.decided_s <= 3.0
        assert detection.score > 0.9


def test_array_path_and_open_file_give_the_same(recording: Path) -> None:
    from_path = list(RECOGNIZER.transcribe(recording))
    with recording.open("rb") as file:
        assert list(RECOGNIZER.transcribe(file)) == from_path
    assert list(RECOGNIZER.transcribe(io.BytesIO(recording.read_bytes()))) == from_path
    assert_heard(RECOGNIZER.transcribe(RECORDING))


def test_any_rate_and_channel_count(tmp_path: Path) -> None:
    import soxr

    path = tmp_path / "stereo.flac"
    fast = soxr.resample(RECORDING, SAMPLE_RATE, 48_000)
    soundfile.write(path, np.stack([fast, np.zeros_like(fast)], axis=1), 48_000)
    assert_heard(RECOGNIZER.transcribe(path))


@pytest.mark.parametrize("start_s", [0.0, 2.7])
def test_words_at_the_very_edges_are_heard_and_timed_inside(start_s: float) -> None:
    (detection,) = RECOGNIZER.transcribe(tone_recording([("high", start_s)], 3.0))
    assert detection.label == "high"
    assert abs(detection.start_s - start_s) < 0.1
    assert 0 <= detection.start_s < detection.end_s <= detection.decided_s <= 3.0


def test_only_the_asked_words_and_the_given_threshold() -> None:
    assert_heard(RECOGNIZER.transcribe(RECORDING, only_labels=["high"]), WORDS[2:])
    assert (
        list(RECOGNIZER.transcribe(RECORDING, settings=RECOGNIZER.card.decoder.override(threshold=1.0))) == []
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [("left", "'left' is not a word of this model; its words are low, high"), ("_silence_", "never fires")],
)
def test_a_word_that_cannot_fire_is_refused_at_once(label: str, expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        RECOGNIZER.transcribe(RECORDING, only_labels=[label])
    with pytest.raises(ModelError, match=expected):
        RECOGNIZER.classify(RECORDING, only_labels=[label])


def test_progress_adds_up_to_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone_recording([], 23.0), SAMPLE_RATE)
    done: list[float] = []
    list(RECOGNIZER.transcribe(path, on_progress=done.append))
    assert len(done) >= 3
    assert sum(done) == pytest.approx(23.0)


def test_not_a_number_is_heard_as_silence() -> None:
    spoilt = RECORDING.copy()
    spoilt[5_000:5_100] = np.nan
    assert_heard(RECOGNIZER.transcribe(spoilt))
    assert RECOGNIZER.classify(np.full(8_000, np.nan)).label == "_silence_"


@pytest.mark.parametrize("n_samples", [0, 1, 100, 4_799, 4_800, 4_801])
def test_recordings_shorter_than_a_window(tmp_path: Path, n_samples: int) -> None:
    quiet = tone_recording([], 1.0)[:n_samples]
    path = tmp_path / "short.wav"
    soundfile.write(path, quiet, SAMPLE_RATE)
    assert list(RECOGNIZER.transcribe(path)) == []
    assert RECOGNIZER.classify(path).label == "_silence_"


@pytest.mark.parametrize(
    ("words", "duration_s", "expected"),
    [
        ([("low", 0.0)], 0.3, "low"),  # trimmed to the word
        ([("high", 0.0)], 0.3, "high"),
        ([("high", 0.35)], 1.0, "high"),
        ([("low", 4.0)], 8.0, "low"),  # a word somewhere in much longer audio
        ([], 2.0, "_silence_"),
    ],
)
def test_classify_clips_longer_and_shorter_than_the_window(
    words: list[tuple[str, float]], duration_s: float, expected: str
) -> None:
    result = RECOGNIZER.classify(tone_recording(words, duration_s))
    assert result.label == expected
    assert result.score == result.posteriors[expected] > 0.9
    assert set(result.posteriors) == set(LABELS)


def test_classify_hears_other_sounds_as_unknown() -> None:
    other = np.sin(2 * np.pi * 1_200 * np.arange(16_000) / SAMPLE_RATE) * 0.3
    assert RECOGNIZER.classify(other).label == "_unknown_"
    limited = RECOGNIZER.classify(tone_recording([("low", 0.3)], 1.0), only_labels=["high"])
    assert limited.label == "_unknown_"
    assert "low" not in limited.posteriors


def test_no_samples_and_no_silence_label_is_an_error() -> None:
    card = toy_card(labels=("quiet", "other", "low", "high"))
    with pytest.raises(AudioError, match="no samples"):
        Recognizer(Session(toy_model()), card).classify(np.zeros(0))


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 20_000), max_size=15))
def test_any_division_into_blocks_gives_the_same_detections(sizes: list[int]) -> None:
    stream = RECOGNIZER.stream()
    expected = stream.feed(RECORDING) + stream.flush()
    assert_heard(expected)
    detections = []
    for part in np.split(RECORDING, np.minimum(np.cumsum(sizes, dtype=int), len(RECORDING))):
        detections += stream.feed(part)
    assert detections + stream.flush() == expected


def test_live_and_file_hear_the_same() -> None:
    live, file = RECOGNIZER.stream(update_s=0.02), list(RECOGNIZER.transcribe(RECORDING))
    detections = [one for block in np.split(RECORDING, 100) for one in live.feed(block)] + live.flush()
    assert_heard(detections)
    assert [one.label for one in detections] == [one.label for one in file]
    assert [one.decided_s for one in detections] == pytest.approx([one.decided_s for one in file])


def test_a_live_word_comes_soon_after_it_was_spoken() -> None:
    stream = RECOGNIZER.stream()
    for position in range(0, len(RECORDING), 160):
        for detection in stream.feed(RECORDING[position : position + 160]):
            now_s = (position + 160) / SAMPLE_RATE
            assert detection.decided_s <= now_s <= max(1.02, detection.decided_s + 0.07)


def test_reset_drops_the_recording() -> None:
    stream = RECOGNIZER.stream()
    stream.feed(RECORDING[:15_000])
    stream.reset()
    assert_heard(stream.feed(RECORDING) + stream.flush())


def test_one_recognizer_serves_many_threads() -> None:
    recordings = [tone_recording([("low", 0.5 + i / 10), ("high", 2.0)], 3.0, seed=i) for i in range(8)]
    alone = [list(RECOGNIZER.transcribe(one)) for one in recordings]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: list(RECOGNIZER.transcribe(one)), recordings))
    assert together == alone
