"""Made-up corpora: official layout, true borders, words that differ and speakers that vary."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from data_prep.speaker import speaker_of
from data_prep.split import SPLITS, hashed_split
from data_prep.synthetic import (
    COMMANDS,
    make_clip,
    make_corpus,
    make_recording,
    make_speakers,
    make_word,
    voice_of,
)
from speechcmd.arrays import FloatArray
from speechcmd.audio.coloured_noise import coloured_noise

pytestmark = pytest.mark.runtime


def level_db(waveform: FloatArray) -> float:
    return float(10 * np.log10(np.mean(waveform.astype(np.float64) ** 2)))


def test_corpus_has_the_official_layout(tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus", ("yes", "no"), n_speakers=3, clips_per_word=6, noise_s=2.0)
    assert sorted(path.name for path in root.iterdir()) == ["_background_noise_", "no", "yes"]
    clips = sorted(root.glob("[a-z]*/*.wav"))
    assert len(clips) == 12
    assert {hashed_split(speaker_of(clip.name)) for clip in clips} == set(SPLITS)
    for clip in clips:
        info = soundfile.info(clip)
        assert (info.frames, info.samplerate, info.channels, info.subtype) == (16_000, 16_000, 1, "PCM_16")
    noises = sorted(path.stem for path in (root / "_background_noise_").iterdir())
    assert noises == ["brown_noise", "pink_noise", "white_noise"]


def test_corpus_is_seeded_and_takes_any_rate(tmp_path: Path) -> None:
    settings = {"words": ("up",), "n_speakers": 3, "clips_per_word": 3, "noise_s": 0.5, "sample_rate": 8000}
    first, again, other = (
        make_corpus(tmp_path / name, **settings, seed=seed)  # type: ignore[arg-type]
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    names = sorted(path.relative_to(first) for path in first.rglob("*.wav"))
    assert [(first / name).read_bytes() for name in names] == [(again / name).read_bytes() for name in names]
    assert names != sorted(path.relative_to(other) for path in other.rglob("*.wav"))
    assert soundfile.info(first / names[-1]).samplerate == 8000


@given(n_speakers=st.integers(3, 25), seed=st.integers(0, 100))
def test_every_split_has_speakers(n_speakers: int, seed: int) -> None:
    speakers = make_speakers(n_speakers, seed)
    assert len(set(speakers)) == n_speakers
    assert all(len(speaker) == 8 and int(speaker, 16) >= 0 for speaker in speakers)
    assert {hashed_split(speaker) for speaker in speakers} == set(SPLITS)


@given(word=st.text(max_size=12), speaker=st.text(max_size=8), seed=st.integers(0, 1000))
def test_word_is_a_quarter_to_half_a_second_without_silence(word: str, speaker: str, seed: int) -> None:
    spoken = make_word(word, voice_of(speaker), np.random.default_rng(seed))
    assert 0.25 <= len(spoken) / 16_000 <= 0.5
    assert 10 ** (-20 / 20) - 1e-6 <= np.abs(spoken).max() <= 10 ** (-6 / 20) + 1e-6
    blocks = spoken[: len(spoken) // 160 * 160].reshape(-1, 160)
    # a 10 ms block of the word, borders and joints included, is never 20 dB below the whole
    assert min(level_db(block) for block in blocks) > level_db(spoken) - 20


def test_named_words_sound_different() -> None:
    voice = voice_of("somebody")
    patterns = {}
    for word in (*COMMANDS, "bird", "tree", "cat", "dog"):
        sixths = np.array_split(make_word(word, voice), 6)
        magnitude = np.stack([np.abs(np.fft.rfft(sixth, 1024))[:512] for sixth in sixths])
        bands = np.sqrt((magnitude**2).reshape(6, 32, 16).sum(axis=2))  # 250 Hz each
        patterns[word] = bands / np.linalg.norm(bands)
    for one, other in combinations(patterns, 2):
        # words may share one chirp of three, in the same place
        assert float((patterns[one] * patterns[other]).sum()) < 0.75, (one, other)


def test_voices_differ_and_stay() -> None:
    voices = [voice_of(speaker) for speaker in make_speakers(12)]
    assert len(set(voices)) == 12
    assert voices == [voice_of(speaker) for speaker in make_speakers(12)]


@pytest.mark.parametrize("snr_db", [30.0, 40.0])
def test_clip_tells_its_true_borders(snr_db: float) -> None:
    voice = voice_of("somebody")
    starts = set()
    for seed in range(10):
        clip, (start, end) = make_clip("stop", voice, np.random.default_rng(seed), snr_db=snr_db)
        bare = make_word("stop", voice, np.random.default_rng(seed))
        assert (len(clip), end - start) == (16_000, len(bare))
        rest = np.concatenate([clip[:start], clip[end:]])
        # 1.5 dB: the noise outside the word is a random part of the whole
        assert level_db(bare) - level_db(rest) == pytest.approx(snr_db, abs=1.5)
        assert level_db(clip[start:end] - bare) == pytest.approx(level_db(rest), abs=3)
        starts.add(start)
    assert len(starts) == 10


def test_recording_tells_its_true_borders() -> None:
    words = ["yes", "yes", "go"]
    recording, truth = make_recording(words, gaps_s=[0.5, 0.0, 0.25, 1.0], sample_rate=8000)
    assert [spoken.word for spoken in truth] == words
    assert truth[0].start_s == 0.5
    assert truth[1].start_s == truth[0].end_s
    assert truth[2].start_s == pytest.approx(truth[1].end_s + 0.25)
    assert len(recording) == round((truth[2].end_s + 1.0) * 8000)
    quiet = recording[: int(truth[0].start_s * 8000)]
    assert level_db(quiet) < level_db(recording[4000 : int(truth[0].end_s * 8000)]) - 27


def test_recording_without_words_and_with_wrong_pauses() -> None:
    recording, truth = make_recording([], gaps_s=2.0)
    assert (len(recording), truth) == (32_000, [])
    assert len(make_recording([], gaps_s=0.0)[0]) == 0
    with pytest.raises(ValueError, match="expected 3 pauses for 2 words, got 2"):
        make_recording(["yes", "no"], gaps_s=[1.0, 1.0])


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_has_its_colour(exponent: float) -> None:
    noise = coloured_noise(160_000, exponent, np.random.default_rng(3))
    assert noise.dtype == np.float32
    assert np.sqrt(np.mean(noise.astype(np.float64) ** 2)) == pytest.approx(1, abs=1e-4)
    power = np.abs(np.fft.rfft(noise)) ** 2

    def octave(lowest_hz: int) -> float:  # 0.1 Hz a bin
        return float(power[lowest_hz * 10 : lowest_hz * 20].mean())

    fall_db = 10 * np.log10(octave(250) / octave(2000))
    assert fall_db == pytest.approx(exponent * 10 * np.log10(8), abs=0.5)
