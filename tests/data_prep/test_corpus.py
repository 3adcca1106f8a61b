"""What lies in a folder, in which split and role, and what a single clip becomes."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from data_prep.clip import LongRecording, digest_of, measure_clip
from data_prep.corpus import Source, official_version, scan_corpus
from data_prep.speaker import speaker_of
from data_prep.split import RoleRule, hashed_split
from data_prep.store_check import Skipped
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import CorpusError

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(8000) / SAMPLE_RATE)).astype(np.float32)


def put(
    path: Path, waveform: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = TONE, rate: int = SAMPLE_RATE
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, rate)
    return path


def source(path: Path, kind: str = "word") -> Source:
    return Source(path, path.name, kind, "yes", "anna", "training", "", path.stat().st_size)


@given(st.text("0123456789abcdef", min_size=8, max_size=8))
def test_the_hash_rule_is_the_published_one(speaker: str) -> None:
    percent = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27 * 100.0 / (2**27 - 1)
    expected = "validation" if percent < 10 else "testing" if percent < 20 else "training"
    assert hashed_split(speaker) == expected
    # whatever the word and the number of the clip
    assert {
        hashed_split(speaker_of(f"{word}/{speaker}_nohash_{n}.wav")) for word in ("no", "up") for n in (0, 7)
    } == {expected}


def test_roles_come_from_the_nearest_file(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "noise"
    one, two = put(folder / "one.wav"), put(folder / "two.wav")
    (tmp_path / "data" / "roles.csv").write_text("path,role\nnoise/one.wav,figures\nnoise/two.wav,unused\n")
    rule = RoleRule(folder)
    assert (rule.role_of(one), rule.role_of(two)) == ("figures", "")
    other = tmp_path / "data" / "other.csv"
    other.write_text("path,role\nnoise/one.wav,calibrate\n")
    assert RoleRule(folder, other).role_of(one) == "calibrate"


def test_a_wrong_roles_file_is_one_line(tmp_path: Path) -> None:
    for text, message in (
        ("path,role\na.wav,test\n", "expected a role of"),
        ("file,use\na,b\n", "expected the columns"),
    ):
        (tmp_path / "roles.csv").write_text(text)
        with pytest.raises(CorpusError, match=message):
            RoleRule(tmp_path)


def test_a_folder_is_scanned_in_order_without_hidden_things(tmp_path: Path) -> None:
    for name in (
        "yes/b_nohash_0.wav",
        "yes/a_nohash_0.flac",
        "no/c_nohash_0.wav",
        "yes/.a.wav",
        "_old/x.wav",
        ".git/y.wav",
    ):
        put(tmp_path / name)
    (tmp_path / "yes" / "notes.txt").write_text("not audio")
    corpus = scan_corpus(tmp_path)
    assert [s.name for s in corpus.sources] == [
        "no/c_nohash_0.wav",
        "yes/a_nohash_0.flac",
        "yes/b_nohash_0.wav",
    ]
    assert {s.kind for s in corpus.sources} == {"word"}


def test_the_official_folder_is_found_from_above(tmp_path: Path) -> None:
    root = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    put(root / "yes" / "a_nohash_0.wav")
    assert scan_corpus(tmp_path).root == root
    assert official_version(tmp_path) == "v0.02"
    assert official_version(root / "yes") is None


def test_a_changed_file_changes_the_digest(tmp_path: Path) -> None:
    clip = put(tmp_path / "yes" / "a_nohash_0.wav")
    before = scan_corpus(tmp_path).digest()
    assert scan_corpus(tmp_path).digest() == before
    put(clip, -TONE)  # of the same size
    os.utime(clip, ns=(1, clip.stat().st_mtime_ns + 1_000_000))
    assert scan_corpus(tmp_path).digest() != before


def test_folders_of_recordings(tmp_path: Path) -> None:
    put(tmp_path / "clips" / "yes" / "a_nohash_0.wav")
    for place in ("one", "two"):
        put(tmp_path / place / "noise" / "hiss.wav")
    folders = [tmp_path / "one" / "noise", tmp_path / "two" / "noise"]
    found = [
        s for s in scan_corpus(tmp_path / "clips", noise=[*folders, folders[0]]).sources if s.kind == "noise"
    ]
    assert len({s.name for s in found}) == len(found) == 2
    # without roles the hash decides, but never leaves nothing to train on
    assert {s.role for s in found} == {"train"}
    with pytest.raises(CorpusError, match="one kind"):
        scan_corpus(tmp_path / "clips", noise=folders[:1], speech=folders[:1])
    with pytest.raises(CorpusError, match="found nothing"):
        scan_corpus(tmp_path / "clips", noise=[tmp_path / "nowhere"])
    with pytest.raises(CorpusError, match="folders named after words"):
        scan_corpus(tmp_path / "one" / "noise")


def test_a_flac_of_another_rate_and_two_channels_becomes_16_khz_mono(tmp_path: Path) -> None:
    t = np.arange(48_000) / 48_000
    left = (0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    path = put(tmp_path / "a.flac", np.stack([left, 0 * left], axis=1), 48_000)
    clip = measure_clip(source(path))
    assert not isinstance(clip, Skipped)
    assert clip.row.n_samples == len(clip.samples) == 16_000
    assert np.abs(clip.samples[2000:-2000]).max() / 32768 == pytest.approx(0.2, abs=0.002)


def test_what_is_wrong_with_a_clip_is_flagged(tmp_path: Path) -> None:
    loud = np.clip(8 * TONE, -1, 1)
    cases = {
        "short": TONE[:3000],
        "loud": loud,
        "offset": TONE * np.float32(0.5) + np.float32(0.1),
        "good": TONE,
    }
    flags = {}
    for name, waveform in cases.items():
        clip = measure_clip(source(put(tmp_path / f"{name}.wav", waveform)))
        assert not isinstance(clip, Skipped)
        flags[name] = set(clip.row.flags) - {"low_contrast"}  # a tone has no floor to stand out from
    assert flags == {"short": {"too_short"}, "loud": {"clipped"}, "offset": {"dc_offset"}, "good": set()}


@pytest.mark.parametrize("content", [b"", b"RIFFnonsense", "no samples"])
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "a.wav"
    if isinstance(content, str):
        put(path, TONE[:0])
    else:
        path.write_bytes(content)
    skipped = measure_clip(source(path))
    assert isinstance(skipped, Skipped)
    assert skipped.reason
    assert str(tmp_path) not in skipped.reason


def test_a_streamed_recording_is_measured_as_a_whole_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(25 * SAMPLE_RATE).astype(np.float32) * np.float32(0.05)
    path = put(tmp_path / "long.wav", noise)
    recording = LongRecording(source(path, "noise"))
    streamed = np.concatenate(list(recording.blocks()))
    whole = measure_clip(source(path, "noise"))
    assert not isinstance(whole, Skipped)
    np.testing.assert_array_equal(streamed, whole.samples)
    assert dataclasses.asdict(recording.row()) == dataclasses.asdict(whole.row)
    assert whole.row.digest == digest_of(streamed)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "FLOAT"])
def test_the_short_way_of_reading_wav_gives_soundfile_s_samples(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, SAMPLE_RATE, subtype=subtype)
    np.testing.assert_array_equal(
        read_int16(path),
        soundfile.read(path, dtype="int16")[0]
        if subtype != "FLOAT"
        else np.rint(TONE * 32768).astype(np.int16),
    )
    path.write_bytes(path.read_bytes()[:-100])  # cut: the header promises more
    assert len(read_int16(path)) < len(TONE)


def test_folders_of_other_words_and_of_noise(tmp_path: Path) -> None:
    for name in ("lamp/lamp_1.wav", "Unknown/hello_1.wav", "_unknown_/bed_0a7c2a8d_nohash_0.wav", "noise/fan.wav",
                 "Silence/1.wav", "_background_noise_/hum.wav", "_old/x.wav"):  # fmt: skip
        put(tmp_path / name)
    corpus = scan_corpus(tmp_path)
    found = {source.name: (source.kind, source.word, source.speaker) for source in corpus.sources}
    assert found == {
        "lamp/lamp_1.wav": ("word", "lamp", ""),
        "Unknown/hello_1.wav": ("word", "_unknown_", "hello"),
        "_unknown_/bed_0a7c2a8d_nohash_0.wav": ("word", "_unknown_", "0a7c2a8d"),
        "noise/fan.wav": ("noise", "", ""),
        "Silence/1.wav": ("noise", "", ""),
        "_background_noise_/hum.wav": ("noise", "", ""),
    }
    assert corpus.notes == (
        "Silence: taken as background noise (_silence_), not as a word",
        "Unknown: taken as clips of other words (_unknown_)",
        "_unknown_: taken as clips of other words (_unknown_)",
        "noise: taken as background noise (_silence_), not as a word",
    )
    with pytest.raises(CorpusError, match="folders named after words"):
        scan_corpus(put(tmp_path / "only" / "unknown" / "a.wav").parent.parent)


def test_lists_that_name_no_clip_are_not_used_and_said(tmp_path: Path) -> None:
    for take in range(1, 6):
        put(tmp_path / "lamp" / f"lamp_{take}.wav")
    (tmp_path / "validation_list.txt").write_text("lamp_1.wav\n")
    corpus = scan_corpus(tmp_path)
    assert corpus.notes == (
        "validation_list.txt: no line names a clip, expected lines such as lamp/lamp_1.wav; not used",
    )
    assert corpus.split_rule == "takes"


def test_folders_in_either_spelling_are_one_word(tmp_path: Path) -> None:
    composed = "Küche an"
    apart = unicodedata.normalize("NFD", composed)
    put(tmp_path / composed / "André_1.wav")
    put(tmp_path / apart / unicodedata.normalize("NFD", "André_2.wav"))
    corpus = scan_corpus(tmp_path)
    assert {(source.word, source.speaker) for source in corpus.sources} == {(composed, "André")}
    assert {source.name.partition("/")[0] for source in corpus.sources} == {composed, apart}
