"""The official 12-class test archive: its names, as a folder and as a tar file, and what it may not hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clip_corpus import hiss, tone, write_wav

from speechcmd.errors import AudioError, EvaluationError
from speechcmd.evaluation.clips import official_archive
from speechcmd.evaluation.clips.clip_set import ClipSet, open_clip_set
from speechcmd.evaluation.clips.official_archive import parse_unknown_name
from speechcmd.labels import TEN_WORDS

pytestmark = pytest.mark.runtime

LABELS = (*TEN_WORDS, "_unknown_", "_silence_")
FILES = (
    *(f"{word}/0a7c2a8d_nohash_{clip}.wav" for word in TEN_WORDS for clip in (0, 1)),
    "_unknown_/bed_0a7c2a8d_nohash_0.wav.wav",
    "_unknown_/sheila_ffd2ba2f_nohash_1.wav.wav",
    "_silence_/running_tap.wav_1.wav",
    "_silence_/white_noise.wav_0.wav",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official") / "test_set"
    for number, name in enumerate(FILES):
        write_wav(root / name, hiss(1.0, 1) if name[1] == "s" else tone(500.0 + 10 * number))
    (root / "README.md").write_text("what this is")
    (root / "yes" / "._0a7c2a8d_nohash_0.wav").write_bytes(b"left by a desktop")
    return root


@pytest.fixture(scope="module")
def archive(folder: Path) -> Path:
    path = folder.parent / "speech_commands_test_set_v0.02.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=".")
    return path


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def facts(clips: ClipSet) -> list[tuple[str, str, str, str]]:
    return [(one.path, one.word, one.label, one.speaker) for one in clips.clips]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("bed_0a7c2a8d_nohash_0.wav.wav", ("bed", "0a7c2a8d")),
        ("backward_0c540988_nohash_4.wav", ("backward", "0c540988")),
        ("0c540988_nohash_4.wav", ("", "0c540988")),
    ],
)
def test_word_and_speaker_of_an_unknown_clip(file: str, expected: tuple[str, str]) -> None:
    assert parse_unknown_name(file) == expected


def test_the_extracted_archive_is_the_archive(folder: Path, archive: Path) -> None:
    one, other = (open_clip_set(source, "12", "testing", LABELS) for source in (folder, archive))
    assert facts(one) == facts(other)
    assert sorted(path for path, *_ in facts(one)) == sorted(FILES)
    assert (one.task, one.split, one.labels) == ("12", "", LABELS)
    counts = Counter(example.label for example in one.clips)
    assert counts == dict.fromkeys(LABELS, 2)
    about = {path: fact for path, *fact in facts(one)}
    assert about["_unknown_/bed_0a7c2a8d_nohash_0.wav.wav"] == ["bed", "_unknown_", "0a7c2a8d"]
    assert about["_silence_/white_noise.wav_0.wav"] == ["", "_silence_", ""]
    assert about["yes/0a7c2a8d_nohash_0.wav"] == ["yes", "yes", "0a7c2a8d"]
    assert one.draw == other.draw
    assert one.draw is not None
    assert (one.draw.n_unknown, one.draw.n_silence, one.draw.seed) == (2, 2, None)
    assert "24 of 4,890" in one.draw.rule
    for a, b in zip(one.clips, other.clips, strict=True):
        np.testing.assert_array_equal(a.read(), b.read())
        assert a.read().shape == (16_000,)
    assert len(list(archive.parent.iterdir())) == 2  # nothing was extracted


def test_a_complete_archive_says_so(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(official_archive.OFFICIAL_COUNTS, "testing", (11_005, len(FILES)))
    draw = open_clip_set(archive, "12", "testing", LABELS).draw
    assert draw is not None
    assert draw.rule == "all clips of the official test archive (complete)"


def test_a_model_s_own_words_on_the_archive(archive: Path) -> None:
    clips = open_clip_set(archive, "own", "testing", ("_silence_", "_unknown_", "bed", "yes"))
    counts = Counter(example.label for example in clips.clips)
    assert counts == {"yes": 2, "bed": 1, "_unknown_": 19, "_silence_": 2}
    assert {one.word for one in clips.clips if one.label == "_unknown_"} >= {"no", "go", "sheila"}
    words_only = open_clip_set(archive, "own", "testing", ("yes", "no"))
    assert {one.label for one in words_only.clips} == {"yes", "no"}


@pytest.mark.parametrize(
    ("task", "split", "unknown"),
    [("35", "testing", "official"), ("12", "validation", "official"), ("12", "testing", "all")],
)
def test_what_the_archive_cannot_give(archive: Path, task: str, split: str, unknown: str) -> None:
    with pytest.raises(EvaluationError, match="holds the testing clips of the 12-class task"):
        open_clip_set(archive, task, split, LABELS, unknown=unknown)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (
            member("yes/a.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            r"a link or device \(yes/a.wav\)",
        ),
        (member("yes/a.wav", type=tarfile.LNKTYPE, linkname="no/b.wav"), "a link or device"),
        (member("yes/a.wav", type=tarfile.FIFOTYPE), "a link or device"),
    ],
)
def test_an_archive_with_links_is_not_read(tmp_path: Path, info: tarfile.TarInfo, expected: str) -> None:
    path = write_tar(tmp_path / "bad.tar.gz", (info, b""))
    with pytest.raises(EvaluationError, match=f"expected an archive of short clips, found {expected}"):
        open_clip_set(path, "12", "testing", LABELS)


def grow_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official_archive, "_LARGEST_CLIP_BYTES", 99)


def grow_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official_archive, "_LARGEST_ARCHIVE_BYTES", 150)


def multiply_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official_archive, "_MOST_MEMBERS", 1)


@pytest.mark.parametrize(
    ("lower", "expected"),
    [
        (grow_clip, "found yes/a.wav of"),
        (grow_archive, "MB of clips; is this"),
        (multiply_members, "more than 1 files"),
    ],
)
def test_an_absurdly_large_archive_is_not_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lower: Callable[[pytest.MonkeyPatch], None],
    expected: str,
) -> None:
    lower(monkeypatch)
    content = bytes(100)
    members = [(member(name, size=100), content) for name in ("yes/a.wav", "yes/b.wav")]
    with pytest.raises(EvaluationError, match=expected):
        open_clip_set(write_tar(tmp_path / "big.tgz", *members), "12", "testing", LABELS)


def test_damaged_and_strange_archives(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "cut.tar.gz").write_bytes(archive.read_bytes()[:2_000])
    (tmp_path / "text.tar").write_text("no archive")
    content = bytearray(archive.read_bytes())
    content[20_000:20_100] = bytes(100)
    (tmp_path / "damaged.tar.gz").write_bytes(content)
    for packed in (lzma.compress(archive.read_bytes()), bz2.compress(archive.read_bytes())):
        (tmp_path / "other.tar.gz").write_bytes(packed[:2_000] + bytes(50) + packed[2_050:])
        with pytest.raises(
            EvaluationError, match=r"a tar archive, plain or with gzip \(.+\); fetch it again$"
        ):
            open_clip_set(tmp_path / "other.tar.gz", "12", "testing", LABELS)
    (tmp_path / "empty.tgz").write_bytes(b"")
    for name, reason in (
        ("cut.tar.gz", "end-of-stream|unexpected end of data"),
        ("text.tar", "truncated header"),
        ("damaged.tar.gz", "."),
        ("empty.tgz", "empty file"),
    ):
        with pytest.raises(
            EvaluationError, match=rf"cannot be read as a tar archive.*\(.*({reason})"
        ) as error:
            open_clip_set(tmp_path / name, "12", "testing", LABELS)
        assert "\n" not in str(error.value)
        assert "could not be opened" not in str(error.value)
    with tarfile.open(tmp_path / "rest.tar", "w") as tar:
        tar.addfile(member("yes/a.wav", size=4), io.BytesIO(b"none"))
    with (tmp_path / "rest.tar").open("ab") as handle:
        handle.write(bytes(5 * 2**20))
    with pytest.raises(EvaluationError, match="expected clips to its end"):
        open_clip_set(tmp_path / "rest.tar", "12", "testing", LABELS)
    path = write_tar(tmp_path / "other.tar.gz", (member("a/b/readme.txt", size=2), b"hi"))
    with pytest.raises(EvaluationError, match="found no clip of a word"):
        open_clip_set(path, "12", "testing", LABELS)


def test_a_clip_that_is_no_audio_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "noise.tar.gz", (member("yes/a_nohash_0.wav", size=4), b"none"))
    (example,) = open_clip_set(path, "12", "testing", LABELS).clips
    with pytest.raises(AudioError, match=r"^yes/a_nohash_0\.wav: not audio") as error:
        example.read()
    assert "<stream>" not in str(error.value)


def long_header(kind: bytes, n_bytes: int) -> bytes:
    """A member of a kind that tarfile reads whole before the one that it is about."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, n_bytes
    about = b"%d comment=" % n_bytes if kind in (tarfile.XHDTYPE, tarfile.XGLTYPE) else b""
    content = about + b"x" * (n_bytes - len(about) - 1) + b"\n"
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-n_bytes % 512)


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_that_claims_much_is_not_taken_into_memory(
    tmp_path: Path, folder: Path, kind: bytes, suffix: str
) -> None:
    clip = (folder / "yes" / "0a7c2a8d_nohash_0.wav").read_bytes()
    plain = tmp_path / "plain.tar"
    with tarfile.open(plain, "w") as tar:
        tar.addfile(member("yes/0a7c2a8d_nohash_0.wav", size=len(clip)), io.BytesIO(clip))
    content = long_header(kind, 20 * 2**20) + plain.read_bytes()
    path = tmp_path / f"large{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix == ".tgz" else content)
    tracemalloc.start()
    with pytest.raises(EvaluationError, match="found a header of more than 64 kB; it is not read"):
        open_clip_set(path, "12", "testing", LABELS)
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


def test_headers_of_headers_do_not_add_up(tmp_path: Path) -> None:
    path = tmp_path / "nested.tar"
    path.write_bytes(long_header(tarfile.XHDTYPE, 30_000) * 50)
    with pytest.raises(EvaluationError, match="a header of more than 64 kB"):
        open_clip_set(path, "12", "testing", LABELS)


def test_a_long_name_is_no_harm(tmp_path: Path, folder: Path) -> None:
    clip = (folder / "yes" / "0a7c2a8d_nohash_0.wav").read_bytes()
    for tar_format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        path = tmp_path / f"{tar_format}.tar"
        with tarfile.open(path, "w", format=tar_format) as tar:
            tar.addfile(member("x" * 300 + "/yes/a_nohash_0.wav", size=len(clip)), io.BytesIO(clip))
        (example,) = open_clip_set(path, "12", "testing", LABELS).clips
        assert example.path == "yes/a_nohash_0.wav"
        assert example.read().shape == (16_000,)


def test_a_clip_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    members = [(member(f"{folder}/yes/a_nohash_0.wav", size=4), b"none") for folder in ("one", "two")]
    with pytest.raises(EvaluationError, match=r"each clip once, found yes/a_nohash_0\.wav 2 times"):
        open_clip_set(write_tar(tmp_path / "twice.tgz", *members), "12", "testing", LABELS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "_unknown_").mkdir()
    (tmp_path / "yes").mkdir()
    os.mkfifo(tmp_path / "yes" / "a_nohash_0.wav")
    with pytest.raises(EvaluationError, match=r"a_nohash_0\.wav: expected an audio file, got a pipe"):
        open_clip_set(tmp_path, "12", "testing", LABELS)
