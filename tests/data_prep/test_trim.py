"""Finding the word in a clip, where `librosa.effects.trim` alone fails too."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.synthetic import make_speakers, make_word, voice_of
from data_prep.trim import TrimConfig, find_speech, frame_levels
from speechcmd.audio.samples import SAMPLE_RATE, Waveform

MARGIN = 800  # 50 ms
# one hop, and half a frame that a loud border lights before it begins
FRAME_TOLERANCE = 160 + 200
SPEAKERS = make_speakers(12)
RNG_SEED = 5


def clip_with(word: Waveform, start: int, noise_rms: float, n_samples: int = SAMPLE_RATE) -> Waveform:
    clip = np.random.default_rng(RNG_SEED).standard_normal(n_samples).astype(np.float32) * np.float32(
        noise_rms
    )
    clip[start : start + len(word)] += word
    return clip


def vowel(n_samples: int, peak: float = 0.2) -> Waveform:
    t = np.arange(n_samples) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * f * t) for f in (150, 450, 1200))
    return (peak / 3 * tones * np.hanning(n_samples) ** 0.2).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["yes", "no", "stop", "bird", "seven"]),
    st.sampled_from(SPEAKERS),
    st.floats(0.0, 1.0),
    st.floats(30.0, 50.0),
)
def test_borders_of_made_words_lie_within_a_frame_and_the_margin(
    word: str, speaker: str, place: float, snr_db: float
) -> None:
    spoken = make_word(word, voice_of(speaker))
    start = round(place * (SAMPLE_RATE - len(spoken)))
    noise_rms = np.sqrt(np.mean(spoken**2)) * 10 ** (-snr_db / 20)
    found = find_speech(clip_with(spoken, start, float(noise_rms)))
    assert found.reason == ""
    assert abs(found.start - max(0, start - MARGIN)) <= FRAME_TOLERANCE
    assert abs(found.end - min(SAMPLE_RATE, start + len(spoken) + MARGIN)) <= FRAME_TOLERANCE
    assert start <= found.centre <= start + len(spoken)


def test_one_click_before_a_quiet_word_is_left_out_and_librosa_keeps_it() -> None:
    clip = clip_with(vowel(4800, 0.02), 8000, 1e-4)
    clip[400:420] += np.float32(0.9)  # 33 dB above the word
    found = find_speech(clip)
    assert found.start > 8000 - MARGIN - FRAME_TOLERANCE
    for top_db in (30, 20):
        _, (start, _) = librosa.effects.trim(clip, top_db=top_db, frame_length=512, hop_length=128)
        assert start < 512


def test_a_soft_consonant_after_the_vowel_survives() -> None:
    hiss = np.diff(np.random.default_rng(1).standard_normal(2401)).astype(np.float32)
    hiss *= np.float32(0.2 * 10 ** (-25 / 20) / hiss.std() / 2)
    clip = clip_with(np.concatenate([vowel(4800), hiss]), 4000, 2e-4)
    assert find_speech(clip).end >= 4000 + 4800 + 2400


@pytest.mark.parametrize("offset", ["dc", "hum"])
def test_an_offset_or_hum_does_not_move_the_borders(offset: str) -> None:
    clip = clip_with(vowel(4800), 6000, 1e-3)
    hum = 0.004 * np.sin(2 * np.pi * 50 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    disturbed = clip + (np.float32(0.05) if offset == "dc" else hum.astype(np.float32))
    plain, found = find_speech(clip), find_speech(disturbed)
    assert abs(found.start - plain.start) <= 2 * 160
    assert abs(found.end - plain.end) <= 2 * 160


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (np.zeros(SAMPLE_RATE, np.float32), "near_silent"),
        (np.zeros(0, np.float32), "near_silent"),
        (clip_with(vowel(4800, 1e-4), 6000, 1e-5), "near_silent"),
        (clip_with(vowel(4800, 0.05), 6000, 0.03), "low_contrast"),
    ],
    ids=["zeros", "nothing", "whisper", "noise"],
)
def test_a_clip_without_a_word_is_kept_whole_and_says_why(clip: Waveform, reason: str) -> None:
    found = find_speech(clip)
    assert (found.start, found.end, found.reason) == (0, len(clip), reason)


def test_librosa_returns_silence_whole_and_trims_nothing_in_noise() -> None:
    """Why there is a word finder of our own."""
    silent = np.zeros(SAMPLE_RATE, np.float32)
    assert len(librosa.effects.trim(silent)[0]) == SAMPLE_RATE
    noisy = clip_with(vowel(4800, 0.05), 6000, 0.03)
    for top_db in (60, 30, 10):
        assert len(librosa.effects.trim(noisy, top_db=top_db)[0]) > 0.9 * SAMPLE_RATE


def test_levels_are_librosa_s() -> None:
    clip = clip_with(vowel(4800), 6000, 1e-3)
    rms = librosa.feature.rms(y=clip - clip.mean(), frame_length=400, hop_length=160)[0]
    plain, _ = frame_levels(clip, SAMPLE_RATE)
    n_frames = min(len(plain), len(rms)) - 2  # the last frames lie over the end
    np.testing.assert_allclose(plain[:n_frames], 20 * np.log10(rms[:n_frames]), atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20_000), st.integers(0, 2**32 - 1), st.floats(1e-6, 1.0))
def test_whatever_the_clip_the_borders_are_in_order(n_samples: int, seed: int, level: float) -> None:
    clip = np.random.default_rng(seed).standard_normal(n_samples).astype(np.float32) * np.float32(level)
    found = find_speech(clip, SAMPLE_RATE, TrimConfig())
    assert 0 <= found.start <= found.centre <= found.end <= n_samples
