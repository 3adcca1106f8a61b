"""Lossy coding: nothing moves, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.robustness import codec as codec_module
from speechcmd.evaluation.robustness.codec import (
    Codec,
    code_and_decode,
    g711,
    gsm,
    mp3,
    opus,
    vorbis,
    why_missing,
)

RATE = 16_000
CODECS = {
    "mp3 64": mp3(64),
    "mp3 8": mp3(8),
    "opus 24": opus(24),
    "opus 6": opus(6),
    "vorbis 5": vorbis(5),
    "vorbis 0": vorbis(0),
    "g711": g711(),
    "gsm": gsm(),
}


def word() -> Waveform:
    """Noise below 1 kHz, which every codec keeps, from 0.3 to 0.7 s."""
    sections = signal.butter(4, 1_000, fs=RATE, output="sos")
    waveform = 0.001 * np.random.default_rng(0).standard_normal(RATE)
    waveform[4_800:11_200] += 0.3 * signal.sosfilt(sections, np.random.default_rng(1).standard_normal(6_400))
    return waveform.astype(np.float32)


def skip_if_missing(codec: Codec) -> None:
    if reason := why_missing(codec):
        pytest.skip(reason)


@pytest.mark.parametrize("name", CODECS)
class TestCodecs:
    def test_a_round_trip_loses_something_and_moves_nothing(self, name: str) -> None:
        skip_if_missing(CODECS[name])
        clean = word()
        coded = code_and_decode(clean, CODECS[name])
        assert coded.shape == clean.shape
        assert coded.dtype == np.float32
        correlation = signal.correlate(coded, clean)
        lag_ms = (int(np.argmax(correlation)) - (RATE - 1)) / RATE * 1000
        assert abs(lag_ms) <= 1.0
        likeness = correlation.max() / np.sqrt(np.sum(clean**2) * np.sum(coded**2))
        assert 0.7 < likeness < 0.99999

    def test_repeatable_and_finite_at_any_length(self, name: str) -> None:
        skip_if_missing(CODECS[name])
        for n_samples in (1, 2, 159, 5_001):
            clip = 2 * word()[4_800 : 4_800 + n_samples]  # above full scale: clipped, not wrapped
            coded = code_and_decode(clip, CODECS[name])
            assert coded.shape == (n_samples,)
            assert np.isfinite(coded).all()
            np.testing.assert_array_equal(coded, code_and_decode(clip, CODECS[name]))


@given(n_samples=st.integers(1, 2_000))
@settings(max_examples=15, deadline=None)
def test_g711_of_any_length(n_samples: int) -> None:
    assert code_and_decode(word()[:n_samples], g711()).shape == (n_samples,)


@pytest.mark.parametrize("kbit_s", [64, 8])
def test_bit_rate_of_mp3_is_what_it_is_called(kbit_s: float) -> None:
    skip_if_missing(mp3(kbit_s))
    assert measure_kbit_s(mp3(kbit_s)) == pytest.approx(kbit_s, rel=0.02)


@pytest.mark.parametrize("kbit_s", [24, 6])
def test_bit_rate_of_opus_is_near_its_name(kbit_s: float) -> None:
    skip_if_missing(opus(kbit_s))
    assert measure_kbit_s(opus(kbit_s)) == pytest.approx(kbit_s, rel=0.35)


def test_a_lower_quality_of_vorbis_is_smaller() -> None:
    skip_if_missing(vorbis(5))
    assert measure_kbit_s(vorbis(0)) < 0.9 * measure_kbit_s(vorbis(5))


def measure_kbit_s(codec: Codec) -> float:
    """By what one more second takes: headers do not count."""
    noise = np.tile(word(), 3)
    sizes = [coded_bytes(noise[: n * RATE], codec) for n in (1, 3)]
    return (sizes[1] - sizes[0]) * 8 / 2 / 1000


def coded_bytes(waveform: Waveform, codec: Codec) -> int:
    import io

    content = io.BytesIO()
    soundfile.write(
        content, waveform, codec.sample_rate, format=codec.format, subtype=codec.subtype, **codec.options
    )
    return content.tell()


class TestMissing:
    def test_a_libsndfile_without_the_format(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV", "OGG": "OGG"})
        monkeypatch.setattr(soundfile, "available_subtypes", lambda _: {"VORBIS": "", "ULAW": ""})
        assert "cannot write it" in why_missing(mp3(16))
        assert "cannot write it" in why_missing(opus(16))
        assert why_missing(g711()) == ""

    def test_a_soundfile_without_compression_levels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class OldSoundFile:
            def __init__(self, file: str, mode: str = "r", subtype: str | None = None) -> None:
                pass

        monkeypatch.setattr(soundfile, "SoundFile", OldSoundFile)
        assert why_missing(mp3(16)).startswith("needs soundfile 0.13 or newer")
        assert why_missing(gsm()) == ""


def test_the_delay_of_a_late_codec_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(waveform: Waveform, _: Codec) -> Waveform:
        return np.concatenate([np.zeros(700, dtype=np.float32), waveform])

    monkeypatch.setattr(codec_module, "_round_trip", late)
    clean = word()
    np.testing.assert_array_equal(code_and_decode(clean, Codec("LATE", "700")), clean)
