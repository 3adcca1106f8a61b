"""How loud something is, what a high-pass takes away, and noise that is as loud at any moment."""

from __future__ import annotations

import numpy as np
import pytest
from stream_store import SAMPLE_RATE, barks, tone

from speechcmd.audio.loudness import LARGEST_PEAK, even_out, high_pass, measure_rms
from speechcmd.audio.samples import Waveform

pytestmark = pytest.mark.runtime


def rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2)))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def hiss(level: float, seconds: float = 5.0) -> Waveform:
    noise: Waveform = rng().standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32) * np.float32(
        level
    )
    return noise


def test_an_offset_is_no_level() -> None:
    assert measure_rms(np.float32([0.7, 0.9, 0.7, 0.9])) == pytest.approx(0.1)
    assert measure_rms(np.float32([0.5])) == 0.0


@pytest.mark.parametrize(("hertz", "expected_db"), [(25, -24.6), (50, -6.0), (100, -0.53), (1_000, 0.0)])
def test_the_high_pass_takes_what_lies_below_its_edge(hertz: float, expected_db: float) -> None:
    """Of order two, forwards and backwards: x^4 / (1 + x^4), x = f / 50 Hz."""
    wave = tone(2 * SAMPLE_RATE, hertz)
    passed = high_pass(wave + np.float32(0.3))[8_000:-8_000]
    assert 20 * np.log10(rms(passed) / rms(wave)) == pytest.approx(expected_db, abs=0.1)
    if hertz == 1_000:
        np.testing.assert_allclose(passed, wave[8_000:-8_000], atol=1e-4)  # nothing moves


@pytest.mark.parametrize("n_samples", [0, 1, 2, 777])
def test_the_high_pass_of_any_length(n_samples: int) -> None:
    passed = high_pass(np.full(n_samples, 0.4, dtype=np.float32))
    assert passed.dtype == np.float32
    np.testing.assert_allclose(passed, np.zeros(n_samples), atol=1e-7)


def test_offset_and_rumble_are_no_noise() -> None:
    """What is heard of evened noise has an rms of 1, whatever lies under it."""
    rumble = tone(5 * SAMPLE_RATE, 8.0) * np.float32(0.05)
    evened = even_out(hiss(0.002) + rumble + np.float32(0.2), np.random.default_rng(6))
    assert abs(evened.mean()) < 0.01
    spectrum = np.abs(np.fft.rfft(evened)) ** 2
    hertz = np.fft.rfftfreq(len(evened), 1 / SAMPLE_RATE)
    assert spectrum[hertz > 100].sum() / spectrum.sum() > 0.98
    assert np.corrcoef(evened, hiss(1.0))[0, 1] > 0.98


def test_barks_between_silence_become_as_loud_as_any_noise() -> None:
    evened = even_out(barks(8.0), rng())
    assert rms(evened) == pytest.approx(1.0, abs=0.02)
    halves = evened.reshape(-1, SAMPLE_RATE // 2)
    # where nothing barks for half a second it is softer, as it would be beside a dog
    assert min(map(rms, halves)) > 0.2
    assert max(map(rms, halves)) < 1.6
    hundredths = evened.reshape(-1, SAMPLE_RATE // 100)
    assert min(map(rms, hundredths)) > 0.01  # no digital silence
    assert np.abs(evened).max() <= LARGEST_PEAK


def test_steady_noise_stays_as_it_is_but_for_its_level() -> None:
    steady = hiss(0.02)
    evened = even_out(steady, np.random.default_rng(6))
    assert np.corrcoef(steady, evened)[0, 1] > 0.995
    assert rms(evened) == pytest.approx(1.0, abs=0.01)


def test_a_silent_recording_becomes_white_noise() -> None:
    assert rms(even_out(np.zeros(SAMPLE_RATE, dtype=np.float32), rng())) == pytest.approx(1.0, abs=0.03)
