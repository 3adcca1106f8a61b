"""What is done to clips, against values made by hand and against scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.robustness.distortion import (
    WordPlace,
    add_noise,
    change_gain,
    clip_share,
    find_word,
    fit_length,
    limit_band,
    limit_rate,
    shift_time,
)
from speechcmd.evaluation.robustness.time_stretch import change_rate

RATE = 16_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(frequency_hz: float, duration_s: float = 1.0, amplitude: float = 0.3) -> Waveform:
    time_s = np.arange(round(duration_s * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def word_in_silence(floor: float = 0.001, level: float = 0.1) -> Waveform:
    """A clip of a second: white noise of `level` from 0.3 to 0.7 s, quieter noise round it."""
    waveform = floor * rng(1).standard_normal(RATE)
    waveform[4_800:11_200] = level * rng(2).standard_normal(6_400)
    return waveform.astype(np.float32)


def rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def power_at(waveform: Waveform, frequency_hz: float) -> float:
    """Amplitude of one frequency that has a whole number of periods in the clip."""
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(len(waveform)) / RATE)
    return float(2 * abs(np.mean(waveform * turns)))


class TestWordLevel:
    def test_is_the_rms_of_the_word_however_long_the_silence(self) -> None:
        assert find_word(word_in_silence()).level == pytest.approx(0.1, rel=0.02)
        longer = np.concatenate([word_in_silence(), np.zeros(5 * RATE, dtype=np.float32)])
        assert find_word(longer).level == pytest.approx(0.1, rel=0.02)

    def test_one_loud_sample_counts_for_no_more_than_its_power(self) -> None:
        clicked = word_in_silence()
        clicked[8_000] = 1.0
        assert find_word(clicked).level == pytest.approx(0.1, rel=0.02)

    def test_a_pause_and_a_weak_end_belong_to_the_word(self) -> None:
        """Loud, nearly nothing, weak: their powers, weighed by their lengths."""
        parts = [(0.001, 4_800), (0.1, 3_200), (0.001, 800), (0.01, 2_400), (0.001, 4_800)]
        clip = np.concatenate([np.tile([level, -level], n // 2) for level, n in parts]).astype(np.float32)
        power = sum(level**2 * n for level, n in parts[1:4]) / sum(n for _, n in parts[1:4])
        assert find_word(clip).level == pytest.approx(power**0.5, rel=1e-5)

    def test_silence_and_less_than_5_ms(self) -> None:
        assert find_word(np.zeros(RATE, dtype=np.float32)).level == 0.0
        assert find_word(np.array([0.5, -0.5], dtype=np.float32)).level == pytest.approx(0.5)


class TestNoise:
    @pytest.mark.parametrize("snr_db", [20.0, 5.0, 0.0, -5.0])
    def test_the_ratio_is_as_asked_over_the_word(self, snr_db: float) -> None:
        clean = word_in_silence()
        noise = (3.0 * rng(5).standard_normal(RATE) + 0.7).astype(np.float32)  # an offset is no noise
        noisy = add_noise(clean, noise, snr_db, find_word(clean))
        word, added = clean[4_800:11_200], noisy - clean
        assert 20 * np.log10(rms(word) / rms(added)) == pytest.approx(snr_db, abs=0.2)
        place = find_word(clean)
        assert abs(added[place.start : place.end].mean()) < 1e-6

    def test_the_noise_under_the_word_counts(self) -> None:
        """A dog that barks beside the word, and hardly under it."""
        clean = word_in_silence()
        noise = 0.5 * rng(5).standard_normal(RATE).astype(np.float32)
        noise[4_000:12_000] *= np.float32(0.01)
        added = add_noise(clean, noise, 10.0, find_word(clean)) - clean
        inside = slice(4_800, 11_200)
        assert 20 * np.log10(rms(clean[inside]) / rms(added[inside])) == pytest.approx(10.0, abs=0.2)

    @pytest.mark.parametrize("n_samples", [1, 40])
    def test_without_noise_under_the_word_the_clip_stays(self, n_samples: int) -> None:
        clip = np.full(n_samples, 0.25, dtype=np.float32)
        for noise in (np.zeros_like(clip), np.ones_like(clip)):
            np.testing.assert_array_equal(add_noise(clip, noise, 0.0, WordPlace(0, n_samples, 0.1)), clip)


class TestLevel:
    @pytest.mark.parametrize("gain_db", [-30.0, -10.0, 0.0, 10.0])
    def test_gain(self, gain_db: float) -> None:
        loud = change_gain(tone(440.0, amplitude=0.3), gain_db)
        assert 20 * np.log10(rms(loud) / rms(tone(440.0))) == pytest.approx(gain_db, abs=0.02)

    def test_gain_clips_at_full_scale_and_rounds_to_16_bits(self) -> None:
        loud = change_gain(np.array([0.5, -0.5, 0.1, 0.25], dtype=np.float32), 20.0)
        np.testing.assert_array_equal(
            loud, np.float32([32_767 / 32_768, -1.0, 32_767 / 32_768, 32_767 / 32_768])
        )
        quiet = change_gain(np.array([1.4 / 32_768, 1.6 / 32_768], dtype=np.float32), 0.0) * 32_768
        np.testing.assert_array_equal(quiet, [1.0, 2.0])

    @pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
    def test_clipping(self, share: float) -> None:
        clean = word_in_silence()
        clipped = clip_share(clean, share)
        at_limit = np.abs(clipped) >= np.abs(clipped).max() * (1 - 1e-6)
        assert at_limit.mean() == pytest.approx(share, abs=1e-3)
        assert np.std(clipped) == pytest.approx(np.std(clean), rel=1e-5)
        below = ~at_limit & (clean != 0)
        ratios = clipped[below] / clean[below]
        assert np.ptp(ratios) < 1e-4  # what is not clipped keeps its form

    def test_clipping_digital_silence_leaves_it(self) -> None:
        mostly_zero = np.zeros(100, dtype=np.float32)
        mostly_zero[7] = 0.5
        np.testing.assert_array_equal(clip_share(mostly_zero, 0.05), mostly_zero)


class TestShift:
    @pytest.mark.parametrize("shift_ms", [-300.0, -100.0, 100.0, 200.0])
    def test_the_word_moves_by_as_much(self, shift_ms: float) -> None:
        clean = word_in_silence()
        shifted = shift_time(clean, shift_ms, rng())
        lag = int(np.argmax(signal.correlate(shifted, clean))) - (RATE - 1)
        assert lag == round(shift_ms * 16)

    def test_what_comes_in_is_as_quiet_as_the_clip_and_no_digital_zero(self) -> None:
        later = shift_time(word_in_silence(floor=0.001), 300.0, rng())
        earlier = shift_time(word_in_silence(floor=0.001), -300.0, rng())
        for came_in in (later[:4_800], earlier[-4_800:]):
            assert rms(came_in) == pytest.approx(0.001, rel=0.15)

    def test_further_than_the_clip_is_long(self) -> None:
        clip = word_in_silence()[:1_000]
        assert shift_time(clip, 300.0, rng()).shape == (1_000,)


class TestBand:
    def test_nothing_is_left_above_half_the_rate(self) -> None:
        kept = limit_rate(tone(1_000.0) + tone(3_400.0))
        assert power_at(kept, 1_000.0) == pytest.approx(0.3, rel=0.01)
        assert power_at(kept, 3_400.0) == pytest.approx(0.3, rel=0.02)
        gone = limit_rate(tone(5_000.0))
        assert rms(gone[800:-800]) < 0.3e-3

    def test_edges_of_the_telephone_band(self) -> None:
        """Forwards and backwards, a Butterworth filter loses 6 dB at its edges and nothing inside."""
        for frequency_hz, expected_db in ((300.0, -6.0), (1_000.0, 0.0), (3_400.0, -6.0)):
            passed = limit_band(tone(frequency_hz, duration_s=2.0))[RATE // 2 : 3 * RATE // 2]
            assert 20 * np.log10(power_at(passed, frequency_hz) / 0.3) == pytest.approx(expected_db, abs=0.2)
        for frequency_hz in (100.0, 6_000.0):
            stopped = limit_band(tone(frequency_hz, duration_s=2.0))[RATE // 2 : 3 * RATE // 2]
            assert power_at(stopped, frequency_hz) < 0.3e-3

    @pytest.mark.parametrize("change", [limit_rate, limit_band])
    def test_the_word_does_not_move(self, change: Callable[[Waveform], Waveform]) -> None:
        clean = word_in_silence()
        assert int(np.argmax(signal.correlate(change(clean), clean))) == RATE - 1


def test_fit_length() -> None:
    np.testing.assert_array_equal(fit_length(np.float32([1, 2, 3]), 2), [1, 2])
    np.testing.assert_array_equal(fit_length(np.float32([1, 2]), 4), [1, 2, 0, 0])


CHANGES: dict[str, Callable[[Waveform, np.random.Generator], Waveform]] = {
    "gain": lambda waveform, _: change_gain(waveform, 10.0),
    "clipping": lambda waveform, _: clip_share(waveform, 0.2),
    "later": lambda waveform, rng: shift_time(waveform, 100.0, rng),
    "earlier": lambda waveform, rng: shift_time(waveform, -100.0, rng),
    "slower": lambda waveform, rng: change_rate(waveform, 0.8, rng),
    "faster": lambda waveform, rng: change_rate(waveform, 1.25, rng),
    "rate": lambda waveform, _: limit_rate(waveform),
    "band": lambda waveform, _: limit_band(waveform),
}


@pytest.mark.parametrize("name", CHANGES)
@given(n_samples=st.integers(1, 3_000), seed=st.integers(0, 99), level=st.sampled_from([0.0, 1e-4, 0.5]))
@settings(max_examples=12, deadline=None)
def test_length_form_and_repeatability(name: str, n_samples: int, seed: int, level: float) -> None:
    clip = (level * rng(seed).uniform(-1, 1, n_samples)).astype(np.float32)
    before = clip.copy()
    changed = CHANGES[name](clip, rng(seed))
    assert changed.shape == clip.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(changed, CHANGES[name](clip, rng(seed)))
    np.testing.assert_array_equal(clip, before)
