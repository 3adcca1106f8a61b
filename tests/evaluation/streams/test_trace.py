"""A trace replayed gives what the recogniser hears, to the bit, with any settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import TONES_HZ, tone_recording, toy_model

from speechcmd.evaluation.streams.trace import Replayer, change_temperature, make_trace
from speechcmd.runtime.recognition.recognizer import Recognizer

WORDS = [("low", 1.0), ("low", 1.5), ("high", 2.2), ("high", 4.0), ("low", 5.6)]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return path


def test_replaying_equals_transcribing(model_file: Path) -> None:
    recognizer = Recognizer.load(model_file)
    waveform = tone_recording(WORDS, 6.0, noise_rms=0.02)
    replayer = Replayer(recognizer.card, make_trace(recognizer, waveform))
    n_heard = set()
    for threshold in (0.2, 0.5, 0.7, 0.5, 0.95):
        for smoothing_steps in (1, 5):
            settings = replace(
                recognizer.card.decoder.override(threshold=threshold), smoothing_steps=smoothing_steps
            )
            live = list(recognizer.transcribe(waveform, settings=settings))
            assert replayer.decode(settings) == live
            n_heard.add(len(live))
    assert max(n_heard) >= len(WORDS)


def test_the_trace_knows_the_length_and_reports_it(model_file: Path) -> None:
    recognizer, heard_s = Recognizer.load(model_file), []
    trace = make_trace(recognizer, tone_recording([], 2.5), on_progress=heard_s.append)
    assert trace.n_samples == 40_000
    assert sum(heard_s) == pytest.approx(2.5)
    assert len(trace.levels) == pytest.approx(100 * (2.5 + 0.3), abs=4), "100 a second, with both edges"


def test_another_temperature_is_that_of_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 4, (50, 5))

    def softmax(values: np.ndarray) -> np.ndarray:
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    posteriors = softmax(logits / 1.5).astype(np.float32)
    assert change_temperature(posteriors, 0.4) == pytest.approx(softmax(logits / 0.6), abs=1e-4)
    assert change_temperature(posteriors, 1.0) is posteriors


def test_a_model_with_another_temperature_gives_the_changed_trace(model_file: Path, tmp_path: Path) -> None:
    warm = tmp_path / "warm.onnx"
    warm.write_bytes(toy_model(temperature=2.5))
    waveform = tone_recording([(next(iter(TONES_HZ)), 0.5)], 1.5)
    cool_trace = make_trace(Recognizer.load(model_file), waveform)
    warm_trace = make_trace(Recognizer.load(warm), waveform)
    assert cool_trace.at_temperature(2.5).posteriors == pytest.approx(warm_trace.posteriors, abs=1e-5)
