"""Checks of a recording, on made signals whose truth can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_sound import speech_like

from speechcmd.audio.samples import Waveform, float32_to_int16, int16_to_float32
from speechcmd.runtime.microphone.signal_check import (
    Check,
    check_bandwidth,
    check_clipping,
    check_hum,
    check_level,
    check_noise,
    check_offset,
    check_signal,
    check_zeros,
)

pytestmark = pytest.mark.runtime

RATE = 16_000
RATES = (16_000, 44_100, 48_000)


def sine(
    frequency_hz: float, amplitude: float, duration_s: float = 3.0, rate: int = RATE, phase: float = 0.7
) -> Waveform:
    time_s = np.arange(round(duration_s * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s + phase)).astype(np.float32)


def noise(rms: float, duration_s: float = 3.0, rate: int = RATE, seed: int = 3) -> Waveform:
    samples = np.random.default_rng(seed).standard_normal(round(duration_s * rate)) * rms
    return samples.astype(np.float32)


def assert_problem(check: Check, *expected: str) -> None:
    assert check.status == "problem"
    assert check.advice
    for text in expected:
        assert text in check.measured


def test_only_digital_zero_throughout_is_a_closed_door() -> None:
    waveform = np.zeros(1_000, dtype=np.float32)
    assert_problem(check_zeros(waveform), "digital zero")
    waveform[500] = 1e-5
    check = check_zeros(waveform)
    assert (check.status, check.values) == ("ok", {"zero_share": 0.999})


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("level_dbfs", "status"), [(-49.0, "ok"), (-51.0, "problem")])
def test_level_of_a_sine_is_its_rms(rate: int, level_dbfs: float, status: str) -> None:
    """A sine of amplitude a has an rms of a / sqrt(2); 200 Hz has four whole periods in 20 ms."""
    amplitude = math.sqrt(2) * 10 ** (level_dbfs / 20)
    check = check_level(sine(200, amplitude, rate=rate) + np.float32(0.2), rate)  # an offset is no sound
    assert check.status == status
    assert check.values["level_dbfs"] == pytest.approx(level_dbfs, abs=0.02)


def test_level_is_that_of_the_words() -> None:
    """Two words of 0.2 s in 3 s are enough, and a knock of 50 ms is too little."""
    quiet = noise(1e-4)
    words, knock = quiet.copy(), quiet.copy()
    for start_s in (0.5, 2.0):
        words[round(start_s * RATE) : round((start_s + 0.2) * RATE)] += sine(200, 0.1, 0.2)
    knock[8_000:8_800] += sine(200, 0.5, 0.05)
    assert check_level(words, RATE).values["level_dbfs"] == pytest.approx(-23.0, abs=0.1)
    assert_problem(check_level(knock, RATE), "too quiet: loudest parts at -79 dBFS")  # noise of -80


@pytest.mark.parametrize(("step_db", "status"), [(9.0, "problem"), (11.0, "ok")])
def test_noise_is_the_difference_of_loud_and_quiet(step_db: float, status: str) -> None:
    waveform = sine(200, 0.01)
    waveform[:RATE] *= np.float32(10 ** (step_db / 20))
    check = check_noise(waveform, RATE)
    assert check.status == status
    assert check.values["speech_over_noise_db"] == pytest.approx(step_db, abs=0.02)
    assert check.values["noise_dbfs"] == pytest.approx(-43.0, abs=0.02)  # 20 log10(0.01 / sqrt(2))


@pytest.mark.parametrize(
    ("run", "n_runs", "counted", "status"),
    [(3, 3, 9, "ok"), (3, 4, 12, "problem"), (2, 100, 0, "ok"), (12, 1, 12, "problem"), (1, 500, 0, "ok")],
)
@pytest.mark.parametrize("top", [1.0, -1.0, 0.995])
def test_clipping_counts_flat_tops(run: int, n_runs: int, counted: int, status: str, top: float) -> None:
    """Of 10 000 samples 10 may be clipped."""
    waveform = np.zeros(10_000, dtype=np.float32)
    for index in range(n_runs):
        waveform[20 * index : 20 * index + run] = top
    check = check_clipping(waveform)
    assert (check.status, check.values["clipped_share"]) == (status, counted / 10_000)


def test_a_flat_top_at_the_very_end_and_none_below_full_scale() -> None:
    waveform = np.zeros(1_000, dtype=np.float32)
    waveform[-5:] = 1.0
    assert check_clipping(waveform).values["clipped_share"] == 0.005
    assert check_clipping(np.full(1_000, 0.98, dtype=np.float32)).status == "ok"


@pytest.mark.parametrize(
    ("offset", "status"), [(0.009, "ok"), (-0.009, "ok"), (0.011, "problem"), (-0.011, "problem")]
)
def test_offset_is_the_mean(offset: float, status: str) -> None:
    check = check_offset(sine(100, 0.3) + np.float32(offset), RATE)
    assert check.status == status
    assert check.values["offset"] == pytest.approx(offset, abs=1e-5)


def test_clipped_speech_is_no_offset() -> None:
    """Cut at the top only, the word has a mean of some hundredths; the pauses have none."""
    waveform = np.minimum(20 * speech_like(RATE), np.float32(1.0))
    assert abs(waveform.mean()) > 0.03
    assert check_offset(waveform, RATE).status == "ok"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("frequency_hz", "mains_hz"), [(50, 50), (60, 60), (100, 50), (120, 60), (180, 60)])
def test_a_sine_20_db_over_noise_is_hum(rate: int, frequency_hz: int, mains_hz: int) -> None:
    rms = 0.01
    check = check_hum(sine(frequency_hz, rms * math.sqrt(2), rate=rate) + noise(rms / 10, rate=rate), rate)
    assert_problem(check, f"{mains_hz} Hz and harmonics at -40 dBFS, +20 dB")
    assert check.values["mains_hz"] == mains_hz
    assert check.values["hum_dbfs"] == pytest.approx(-40.0, abs=0.1)
    assert check.values["hum_over_noise_db"] == pytest.approx(20.0, abs=0.5)


@pytest.mark.parametrize(("over_db", "status"), [(4.0, "ok"), (8.0, "problem")])
def test_hum_is_a_problem_only_over_the_noise(over_db: float, status: str) -> None:
    rms = 0.01 * 10 ** (over_db / 20)
    assert check_hum(sine(50, rms * math.sqrt(2)) + noise(0.01), RATE).status == status


@pytest.mark.parametrize(("level_dbfs", "status"), [(-66.0, "ok"), (-64.0, "problem")])
def test_faint_hum_is_none(level_dbfs: float, status: str) -> None:
    rms = 10 ** (level_dbfs / 20)
    assert check_hum(sine(50, rms * math.sqrt(2)) + noise(rms / 10), RATE).status == status


@pytest.mark.parametrize("pitch_hz", [50.0, 60.0, 100.0, 110.0, 120.0, 180.0])
def test_a_voice_with_pauses_is_no_hum(pitch_hz: float) -> None:
    """The worst voice: its pitch never moves. It rests for 0.3 s between words."""
    within_s = (np.arange(3 * RATE) / RATE) % 0.9
    envelope = np.where(within_s < 0.6, np.sin(np.pi * within_s / 0.6), 0.0).astype(np.float32)
    voice = sum(sine(pitch_hz * k, 0.2 / k) for k in range(1, 20)) * envelope
    assert check_hum(voice + noise(0.0005), RATE).status == "ok"
    hum = sine(50, 0.005)
    assert check_hum(voice + hum + noise(0.0005), RATE).values["mains_hz"] == 50
    assert_problem(check_hum(voice + hum + noise(0.0005), RATE))


@pytest.mark.parametrize("kind", ["white", "rumble", "speech", "offset"])
def test_other_sounds_are_no_hum(kind: str) -> None:
    waveform = {
        "white": noise(0.01),
        "rumble": np.cumsum(noise(0.001)).astype(np.float32),  # brown noise: most of it below 20 Hz
        "speech": speech_like(RATE),
        "offset": noise(0.0001) + np.float32(0.3),
    }[kind]
    assert check_hum(waveform - waveform.mean() * (kind == "rumble"), RATE).status == "ok"


def test_hum_needs_a_whole_piece() -> None:
    assert check_hum(noise(0.01, 0.19), RATE).status == "skipped"
    assert_problem(check_hum(sine(50, 0.1, 0.2), RATE))


def band_limited(waveform: Waveform, rate: int, highest_hz: float) -> Waveform:
    """Nothing above a frequency, then rounded as a sound card does."""
    spectrum = np.fft.rfft(waveform)
    spectrum[np.fft.rfftfreq(len(waveform), 1 / rate) > highest_hz] = 0.0
    limited = np.fft.irfft(spectrum, len(waveform)).astype(np.float32)
    return int16_to_float32(float32_to_int16(limited))


@pytest.mark.parametrize("rate", RATES)
def test_a_telephone_ends_at_4_khz(rate: int) -> None:
    speech = speech_like(rate)
    assert check_bandwidth(speech, rate, "Webcam", 48_000).status == "ok"
    assert check_bandwidth(band_limited(speech, rate, 8_000), rate, "Webcam", 48_000).status == "ok"
    assert_problem(
        check_bandwidth(band_limited(speech, rate, 4_000), rate, "Webcam", 48_000), "nothing above 4 kHz"
    )


def test_the_bands_are_compared_by_density() -> None:
    """White noise has the same density everywhere."""
    check = check_bandwidth(noise(0.1), RATE, "Webcam", 48_000)
    assert check.values["high_band_db"] == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize(
    ("name", "default_rate", "status"),
    [
        ("Headset (WH-1000 Hands-Free AG Audio)", 8_000, "problem"),
        ("AirPods Pro", 16_000, "problem"),
        ("bluez_input.11_22.headset-head-unit", 16_000, "problem"),
        ("AirPods Pro", 24_000, "ok"),
        ("USB array", 16_000, "ok"),
    ],
)
def test_bluetooth_is_known_by_its_name_and_rate(name: str, default_rate: int, status: str) -> None:
    assert check_bandwidth(speech_like(RATE), RATE, name, default_rate).status == status


def test_a_low_rate_holds_no_high_band() -> None:
    assert check_bandwidth(noise(0.1), 8_000, "USB array", 8_000).status == "skipped"


@pytest.mark.parametrize("rate", [8_000, *RATES])
def test_good_speech_passes_all(rate: int) -> None:
    checks = check_signal(speech_like(rate), rate, "Webcam", 48_000)
    assert [check.name for check in checks if check.status == "problem"] == []
    assert all(not check.advice for check in checks)


def test_zeros_are_told_once() -> None:
    checks = check_signal(np.zeros(RATE, dtype=np.float32), RATE, "Webcam", 48_000)
    assert [check.status for check in checks] == ["problem", *["skipped"] * 6]
    names = [check.name for check in check_signal(speech_like(RATE), RATE, "Webcam", 48_000)]
    assert [check.name for check in checks] == names


@pytest.mark.parametrize("n_samples", [1, 2, 100, 400])
def test_a_few_samples_are_judged_too(n_samples: int) -> None:
    for check in check_signal(np.full(n_samples, 0.001, dtype=np.float32), RATE, "Webcam", 48_000):
        assert all(math.isfinite(value) for value in check.values.values())
