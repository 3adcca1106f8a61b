"""Rooms, made and read: decay, direct path, place and level of the word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcmd.errors import AudioError, EvaluationError
from speechcmd.evaluation.robustness.reverberation import (
    make_room,
    measure_rt60,
    read_response,
    reverberate,
    reverberate_level,
)

RATE = 16_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def fitted_rt60(tail: np.ndarray) -> float:
    """By a line through the backward integral from -5 to -25 dB."""
    curve = np.cumsum(tail[::-1].astype(np.float64) ** 2)[::-1]
    curve_db = 10 * np.log10(np.maximum(curve / curve[0], 1e-12))
    inside = (curve_db < -5) & (curve_db > -25)
    slope, _ = np.polyfit(np.flatnonzero(inside) / RATE, curve_db[inside], 1)
    return float(-60 / slope)


@pytest.mark.parametrize("rt60_s", [0.2, 0.4, 0.8])
class TestRoom:
    def test_decay(self, rt60_s: float) -> None:
        tail = make_room(rt60_s, rng())[40:]
        assert fitted_rt60(tail) == pytest.approx(rt60_s, rel=0.08)
        assert measure_rt60(tail) == pytest.approx(rt60_s, rel=0.1)

    @pytest.mark.parametrize("ratio_db", [0.0, 6.0])
    def test_direct_path_and_its_ratio_to_the_rest(self, rt60_s: float, ratio_db: float) -> None:
        room = make_room(rt60_s, rng(), ratio_db)
        assert room[0] == 1.0
        assert not room[1:39].any()
        assert -10 * np.log10(np.sum(room[1:].astype(np.float64) ** 2)) == pytest.approx(ratio_db, abs=1e-3)


def test_rt60_of_a_known_decay() -> None:
    decay = np.exp(-np.arange(2 * RATE) / RATE * 3 * np.log(10) / 0.5).astype(np.float32)
    assert measure_rt60(decay) == pytest.approx(0.5, rel=0.01)


def test_the_direct_path_stays_at_its_place_and_level() -> None:
    click = np.zeros(8_000, dtype=np.float32)
    click[1_000] = 0.5
    wet = reverberate(click, make_room(0.4, rng()))
    np.testing.assert_allclose(wet[:1_001], click[:1_001], atol=1e-6)
    assert np.abs(wet[1_040:]).max() > 0.001


def test_reverberation_is_the_convolution() -> None:
    clip, response = rng(1).standard_normal(300), rng(2).standard_normal(90)
    wet = reverberate(clip.astype(np.float32), response.astype(np.float32), direct=20)
    np.testing.assert_allclose(wet, np.convolve(clip, response)[20:320], atol=1e-4)


class TestReadResponse:
    def write(self, path: Path, response: np.ndarray, rate: int = RATE) -> Path:
        soundfile.write(path, response, rate, subtype="FLOAT")
        return path

    def test_aligned_at_its_strongest_sample_whatever_the_delay(self, tmp_path: Path) -> None:
        response = np.zeros(40_000)
        response[30_000], response[30_800] = -0.2, 0.05
        read = read_response(self.write(tmp_path / "hall.wav", response))
        assert (read.name, read.direct, read.delay_ms) == ("hall", 30_000, 1_875.0)
        click = np.zeros(8_000, dtype=np.float32)
        click[1_000] = 0.5
        wet = reverberate_level(click, read)
        assert int(np.argmax(np.abs(wet))) == 1_000
        assert np.std(wet) == pytest.approx(np.std(click), rel=1e-4)
        assert wet[1_800] / wet[1_000] == pytest.approx(-0.25, rel=1e-3)

    def test_stereo_of_another_rate(self, tmp_path: Path) -> None:
        response = np.zeros((44_100, 2))
        response[4_410] = (0.5, 0.3)
        read = read_response(self.write(tmp_path / "stereo.wav", response, rate=44_100))
        assert read.direct == pytest.approx(1_600, abs=1)
        assert len(read.waveform) == pytest.approx(16_000, abs=2)

    def test_silence_is_refused_in_one_line(self, tmp_path: Path) -> None:
        silent = self.write(tmp_path / "silent.wav", np.zeros(100))
        with pytest.raises(EvaluationError, match=r"silent\.wav: expected an impulse response, got silence"):
            read_response(silent)
        with pytest.raises(AudioError):
            read_response(tmp_path / "missing.wav")

    def test_a_silent_clip_stays_silent(self, tmp_path: Path) -> None:
        read = read_response(self.write(tmp_path / "one.wav", np.array([0.0, 1.0, 0.5])))
        assert not reverberate_level(np.zeros(100, dtype=np.float32), read).any()
