"""Importing log-mel images: levels and borders as in the audio, silence filled, wrong files refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest

from data_prep.feature_store import FeatureStore
from data_prep.log_mel_images import (
    FRONT_END,
    fill_silent_ends,
    find_words,
    frame_levels_of,
    import_images,
    main,
)
from data_prep.split import hashed_split
from data_prep.trim import TrimConfig, find_speech
from speechcmd.arrays import AnyArray, ByteArray, FloatArray
from speechcmd.errors import CorpusError

SAMPLE_RATE = 16_000
CONFIG = TrimConfig(frame_s=0.03)


def log_mel_of(waveform: AnyArray) -> FloatArray:
    """The images' front end, written down a second time. Shape: (16000,) -> (1, 98, 40)."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 480)[::160]
    window = np.hanning(481)[:-1]
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2
    filters = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=40, fmin=0, fmax=4000, htk=True, norm=None)
    return np.log(power @ filters.T + 5e-7).astype(np.float32)[None]


def pixels_of(log_mel: FloatArray) -> ByteArray:
    return np.clip(np.rint(10 * log_mel + 146.3), 0, 255).astype(np.uint8)


def tone_clip(first: int, end: int, floor: float = 1e-3, hz: float = 1000.0, seed: int = 0) -> AnyArray:
    """A tone between two samples over faint noise."""
    clip = np.random.default_rng(seed).normal(0, floor, SAMPLE_RATE)
    clip[first:end] += 0.2 * np.sin(2 * np.pi * hz * np.arange(end - first) / SAMPLE_RATE)
    return clip


def speaker_in(split: str, number: int = 0) -> str:
    """A speaker whom the official rule puts into a split."""
    names = (f"{n:08x}" for n in range(10_000))
    return [name for _, name in zip(range(500), names, strict=False) if hashed_split(name) == split][number]


def write_images(folder: Path, split: str, speakers: list[str], **wrong: Any) -> None:
    clips = [tone_clip(4000 + 500 * n, 10_000, seed=n) for n in range(len(speakers))]
    written: dict[str, Any] = {
        "images": np.concatenate([pixels_of(log_mel_of(clip)) for clip in clips]),
        "words": np.array(["yes", "no"] * len(speakers))[: len(speakers)],
        "names": np.array([f"{speaker}_nohash_{n}" for n, speaker in enumerate(speakers)]),
    }
    np.savez(folder / f"{split}.npz", **(written | wrong))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    write_images(made, "training", [speaker_in("training"), speaker_in("training", 1)])
    write_images(made, "validation", [speaker_in("validation")])
    return made


@pytest.mark.parametrize("hz", [300.0, 1000.0, 3000.0])
def test_levels_are_those_of_the_audio(hz: float) -> None:
    """A tone of amplitude 0.2 has -17 dB; pre-emphasis changes it by its response at that frequency."""
    plain, lifted = frame_levels_of(log_mel_of(tone_clip(0, SAMPLE_RATE, 0.0, hz)), FRONT_END)
    response_db = 20 * np.log10(np.abs(1 - 0.97 * np.exp(-2j * np.pi * hz / SAMPLE_RATE)))
    # triangles of unequal width overlap to one only nearly; bands are as wide as 150 Hz
    np.testing.assert_allclose(plain, -16.99, atol=0.2)
    np.testing.assert_allclose(lifted - plain, response_db, atol=0.6)


def test_noise_reads_what_lies_below_the_highest_band() -> None:
    """White noise of -40 dB has half its power below 4 kHz."""
    clip = np.random.default_rng(1).normal(0, 0.01, SAMPLE_RATE)
    plain, _ = frame_levels_of(log_mel_of(clip), FRONT_END)
    assert float(np.median(plain)) == pytest.approx(-43.0, abs=0.5)


def test_silence_stays_finite() -> None:
    plain, lifted = frame_levels_of(log_mel_of(np.zeros(SAMPLE_RATE)), FRONT_END)
    assert plain.max() == lifted.max() == -90.0


@pytest.mark.parametrize(("first", "end"), [(4000, 9000), (1000, 6400), (8000, 15_000)])
def test_words_lie_where_trimming_finds_them_in_the_audio(first: int, end: int) -> None:
    clip = tone_clip(first, end)
    found = find_words(log_mel_of(clip), FRONT_END, CONFIG)[0]
    heard = find_speech(clip.astype(np.float32))
    hop = 160
    assert abs(found.start - heard.start) <= 2 * hop
    assert abs(found.end - heard.end) <= 2 * hop
    assert abs(found.centre - (first + end) // 2) <= hop
    assert found.start < first < end < found.end
    assert found.floor_db == pytest.approx(heard.floor_db - 3, abs=1.5)
    assert found.reason == ""


def test_a_clip_without_a_word_is_kept_whole() -> None:
    noise = log_mel_of(np.random.default_rng(2).normal(0, 0.01, SAMPLE_RATE))
    silence = log_mel_of(np.zeros(SAMPLE_RATE))
    found = find_words(np.concatenate([noise, silence]), FRONT_END, CONFIG)
    assert [(word.start, word.end, word.reason) for word in found] == [
        (0, SAMPLE_RATE, "low_contrast"),
        (0, SAMPLE_RATE, "near_silent"),
    ]


def padded_image(n_before: int, n_after: int) -> ByteArray:
    image = pixels_of(log_mel_of(tone_clip(5000, 9000)))
    image[:, :n_before] = 0
    image[:, 98 - n_after :] = 3
    return image


def test_digital_silence_at_the_ends_becomes_quiet_frames_of_the_clip() -> None:
    image = padded_image(12, 9)
    before = image.copy()
    assert fill_silent_ends(image).tolist() == [True]
    # two frames beside the silence look at a part of it, and go with it
    kept = slice(14, 87)
    np.testing.assert_array_equal(image[:, kept], before[:, kept])
    quietest = before[0, kept][np.argsort(before[0, kept].mean(axis=1), kind="stable")[:10]]
    own = {frame.tobytes() for frame in quietest}
    filled = [frame.tobytes() for frame in (*image[0, :14], *image[0, 87:])]
    assert set(filled) <= own
    assert len(set(filled)) > 3
    again = padded_image(12, 9)
    fill_silent_ends(again)
    np.testing.assert_array_equal(again, image)


def test_only_padded_clips_are_filled() -> None:
    images = np.concatenate(
        [padded_image(0, 0), padded_image(0, 9), padded_image(60, 30), np.zeros((1, 98, 40), np.uint8)]
    )
    images[0, 40] = 0  # silence inside a clip is its own
    before = images.copy()
    assert fill_silent_ends(images).tolist() == [False, True, False, False]
    np.testing.assert_array_equal(images[[0, 2, 3]], before[[0, 2, 3]])
    np.testing.assert_array_equal(images[1, :87], before[1, :87])


def test_images_become_a_store(folder: Path, tmp_path: Path) -> None:
    store = import_images(folder, tmp_path / "store")
    store = FeatureStore.open(store.path)
    with np.load(folder / "training.npz") as file:
        np.testing.assert_array_equal(store.log_mel[:2], file["images"])
    first = store.rows[0]
    assert (first.kind, first.word, first.split, first.role) == ("word", "yes", "training", "")
    assert first.speaker == speaker_in("training")
    assert first.path == f"yes/{first.speaker}_nohash_0"
    assert (first.n_samples, first.offset, first.flags) == (SAMPLE_RATE, 0, ())
    assert first.speech_start == pytest.approx(4000 - 800, abs=320)
    assert first.speech_end == pytest.approx(10_000 + 800, abs=320)
    assert [row.word for row in store.select("word", "training")] == ["yes", "no"]
    assert [row.speaker for row in store.select("word", "validation")] == [speaker_in("validation")]
    true = log_mel_of(tone_clip(4000, 10_000, seed=0))[0]
    np.testing.assert_allclose(store.log_mel_of(first), true, atol=0.0501)
    assert store.front_end["log_floor"] == 5e-7


def test_padded_and_empty_images_carry_flags(folder: Path, tmp_path: Path) -> None:
    write_images(folder, "validation", [speaker_in("validation")], images=padded_image(12, 9))
    padded = import_images(folder, tmp_path / "store").rows[-1]
    assert padded.flags == ("padded",)
    # filled before it is measured: the floor is the clip's own
    assert padded.floor_db == pytest.approx(-63, abs=2)
    images = np.zeros((1, 98, 40), np.uint8)
    write_images(folder, "validation", [speaker_in("validation")], images=images)
    assert import_images(folder, tmp_path / "store").rows[-1].flags == ("near_silent",)


def test_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder), "--store", str(tmp_path / "store")])
    assert "3 clips of 2 words, 0.48 s a word on average" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--store", str(tmp_path / "store")])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_speaker_in_the_wrong_split_is_refused(folder: Path, tmp_path: Path) -> None:
    speaker = speaker_in("testing")
    write_images(folder, "validation", [speaker_in("validation"), speaker])
    with pytest.raises(
        CorpusError, match=rf"1 clips belong to another split .* {speaker}_nohash_1 \(testing\)"
    ):
        import_images(folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": np.zeros((1, 97, 40), np.uint8)},
        {"images": np.zeros((1, 98, 40), np.float32)},
        {"images": np.zeros((2, 98, 40), np.uint8)},
        {"words": np.array(["yes", "no"])},
        {"words": np.array([{"a": 1}], dtype=object)},
    ],
)
def test_other_arrays_are_refused(folder: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    write_images(folder, "validation", [speaker_in("validation")], **wrong)
    with pytest.raises(CorpusError, match=r"validation\.npz: (expected images|cannot read)"):
        import_images(folder, tmp_path / "store")


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04cut"])
def test_missing_and_damaged_files_are_refused(folder: Path, tmp_path: Path, content: bytes | None) -> None:
    file = folder / "validation.npz"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CorpusError, match=r"validation\.npz: cannot read images"):
        import_images(folder, tmp_path / "store")
