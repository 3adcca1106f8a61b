"""Speaking rate: the duration changes, the pitch does not."""

from __future__ import annotations

import numpy as np
import pytest

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.robustness.time_stretch import change_rate, stretch_time

RATE = 16_000


def voice(pitch_hz: float = 130.0, duration_s: float = 1.0) -> Waveform:
    """A steady voice: ten overtones."""
    time_s = np.arange(round(duration_s * RATE)) / RATE
    waveform = sum(np.cos(2 * np.pi * n * pitch_hz * time_s + n**2) / n for n in range(1, 11))
    return (0.1 * np.asarray(waveform)).astype(np.float32)


def strongest_hz(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 8 * RATE))
    return float(np.argmax(spectrum) / 8)


def loud_boundaries(waveform: Waveform) -> tuple[int, int]:
    levels = np.abs(waveform[: len(waveform) // 80 * 80].reshape(-1, 80)).max(axis=1)
    loud = np.flatnonzero(levels > levels.max() / 4)
    return int(loud[0]) * 80, int(loud[-1] + 1) * 80


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.1, 1.25])
class TestStretch:
    def test_the_length_is_exact_and_the_pitch_stays(self, rate: float) -> None:
        stretched = stretch_time(voice(), rate)
        assert len(stretched) == round(RATE / rate)
        assert strongest_hz(stretched) == pytest.approx(130.0, abs=1.0)

    def test_the_level_stays(self, rate: float) -> None:
        """Frames that do not fit together would cancel."""
        stretched = stretch_time(voice(), rate)
        assert np.std(stretched[800:-800]) == pytest.approx(np.std(voice()), rel=0.05)

    def test_each_moment_comes_when_it_should(self, rate: float) -> None:
        clip = np.zeros(RATE, dtype=np.float32)
        clip[4_000:5_600] = voice()[:1_600]
        clip[10_000:12_000] = voice()[:2_000]
        stretched = stretch_time(clip, rate)
        assert loud_boundaries(stretched) == pytest.approx((4_000 / rate, 12_000 / rate), abs=0.02 * RATE)


def test_a_rate_of_one_changes_nothing() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5_000).astype(np.float32)
    np.testing.assert_allclose(stretch_time(noise, 1.0), noise, atol=1e-6)


def test_slower_speech_keeps_its_word_inside_the_clip() -> None:
    """A word at the very end would otherwise fall off."""
    clip = 1e-4 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    clip[9_600:] += voice()[:6_400]
    slower = change_rate(clip, 0.8, np.random.default_rng(0))
    first, last = loud_boundaries(slower)
    assert last - first == pytest.approx(8_000, abs=0.02 * RATE)


def test_faster_speech_is_padded_with_the_clips_own_quiet() -> None:
    clip = 1e-3 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    clip[6_000:10_000] += voice()[:4_000]
    faster = change_rate(clip, 1.25, np.random.default_rng(0))
    assert loud_boundaries(faster) == pytest.approx((8_000 - 1_600, 8_000 + 1_600), abs=0.02 * RATE)
    assert np.std(faster[:1_600]) == pytest.approx(1e-3, rel=0.2)
    assert np.std(faster[-1_600:]) == pytest.approx(1e-3, rel=0.2)
