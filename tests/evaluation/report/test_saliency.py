"""Saliency: a recogniser that listens to one place must be caught listening to it."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import SAMPLE_RATE, TONES_HZ, tone_recording, toy_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.report.saliency import MOST_TIMES, N_BANDS, Cover, compute_saliency, explain_answer
from speechcmd.runtime.recognition.recognizer import Recognizer


def noise(n_samples: int, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32) * np.float32(0.01)


def energy_share(waveform: Waveform, start_s: float, end_s: float, low_hz: float, high_hz: float) -> float:
    """Energy in a place, as a share that rises from 0 to 1: an ear for this place alone."""
    part = waveform[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    hz = np.fft.rfftfreq(len(part), 1 / SAMPLE_RATE)
    energy = float(power[(hz >= low_hz) & (hz < high_hz)].sum())
    return energy / (energy + 50.0)


@pytest.mark.parametrize(("time_s", "tone_hz"), [(0.25, 1_000.0), (0.75, 3_000.0)])
def test_the_peak_lies_where_the_recogniser_listens(time_s: float, tone_hz: float) -> None:
    waveform = noise(SAMPLE_RATE)
    for place_s in (0.25, 0.5, 0.75):  # the same sounds lie elsewhere too, and must not matter
        for other_hz in (500.0, 1_000.0, 3_000.0):
            start = round((place_s - 0.05) * SAMPLE_RATE)
            tone = np.sin(2 * np.pi * other_hz * np.arange(1_600) / SAMPLE_RATE) * np.hanning(1_600)
            waveform[start : start + 1_600] += (0.2 * tone).astype(np.float32)

    def listen(heard: Waveform) -> float:
        return energy_share(heard, time_s - 0.1, time_s + 0.1, tone_hz - 150, tone_hz + 150)

    saliency = compute_saliency(listen, waveform, SAMPLE_RATE, "word")
    start_s, end_s, low_hz, high_hz = saliency.peak
    assert start_s - 0.05 <= time_s <= end_s + 0.05
    assert low_hz <= tone_hz <= high_hz
    assert saliency.falls.max() > 1.0
    far = np.abs(saliency.time_edges_s[:-1] + 0.025 - time_s) > 0.25
    assert np.abs(saliency.falls[:, far]).max() < 0.05 * saliency.falls.max()


def test_a_recogniser_that_listens_to_nothing_has_no_saliency() -> None:
    saliency = compute_saliency(lambda _: 0.7, noise(8_000), SAMPLE_RATE, "word")
    assert not saliency.falls.any()
    assert (saliency.label, saliency.score) == ("word", 0.7)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_samples=st.integers(1_600, 20_000),
    start_s=st.floats(0, 1),
    low_hz=st.floats(0, 8_000),
)
def test_covering_nothing_changes_nothing(seed: int, n_samples: int, start_s: float, low_hz: float) -> None:
    waveform = noise(n_samples, seed)
    cover = Cover(waveform, SAMPLE_RATE)
    np.testing.assert_array_equal(cover.apply(start_s, start_s, 0.0, np.inf), waveform)
    np.testing.assert_array_equal(cover.apply(0.0, np.inf, low_hz, low_hz), waveform)


def test_a_cover_takes_its_patch_to_the_floor_and_leaves_the_rest() -> None:
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tones = {
        hz: 0.1 * np.sin(2 * np.pi * hz * time_s) * ((time_s > 0.3) & (time_s < 0.7)) for hz in (1_000, 3_000)
    }
    waveform = noise(SAMPLE_RATE) + sum(tones.values()).astype(np.float32)
    covered = Cover(waveform, SAMPLE_RATE).apply(0.2, 0.8, 600.0, 1_500.0)

    def level_db(heard: Waveform, hz: float) -> float:
        middle = heard[round(0.35 * SAMPLE_RATE) : round(0.65 * SAMPLE_RATE)]
        phase = np.exp(-2j * np.pi * hz * np.arange(len(middle)) / SAMPLE_RATE)
        return float(20 * np.log10(np.abs((middle * phase).mean())))

    assert level_db(waveform, 1_000) - level_db(covered, 1_000) > 25
    assert level_db(covered, 1_200) > -120  # its floor, not digital zero
    assert abs(level_db(waveform, 3_000) - level_db(covered, 3_000)) < 0.1
    np.testing.assert_array_equal(covered[: round(0.15 * SAMPLE_RATE)], waveform[: round(0.15 * SAMPLE_RATE)])


@pytest.mark.parametrize("n_samples", [1_600, 1_601, 20_800])  # the last: 26 cells, were they not longer
def test_the_grid_covers_the_recording_and_does_not_grow(n_samples: int) -> None:
    saliency = compute_saliency(lambda _: 0.5, noise(n_samples), SAMPLE_RATE, "word")
    assert saliency.falls.shape == (len(saliency.band_edges_hz) - 1, len(saliency.time_edges_s) - 1)
    assert len(saliency.band_edges_hz) == N_BANDS + 1
    assert len(saliency.time_edges_s) <= MOST_TIMES + 1
    assert saliency.time_edges_s[[0, -1]] == pytest.approx([0.0, n_samples / SAMPLE_RATE])
    assert saliency.band_edges_hz[[0, -1]] == pytest.approx([0.0, SAMPLE_RATE / 2])


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return Recognizer.load(path)


@pytest.mark.parametrize(("target", "label"), [(None, "low"), ("high", "high"), ("nonsense", "low")])
def test_a_real_network_is_asked(recognizer: Recognizer, target: str | None, label: str) -> None:
    waveform = tone_recording([("low", 0.1)], 0.5)
    saliency = explain_answer(recognizer, waveform, SAMPLE_RATE, target)
    assert saliency.label == label
    assert saliency.score == pytest.approx(recognizer.classify(waveform).posteriors[label])
    if label == "low":
        start_s, end_s, low_hz, high_hz = saliency.peak
        assert low_hz <= TONES_HZ["low"] <= high_hz
        assert 0.1 <= (start_s + end_s) / 2 <= 0.4
