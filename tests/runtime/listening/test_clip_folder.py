"""The folder of saved clips: within its limit on disk, and nothing but our own files touched."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from pathlib import Path

import pytest
from clips import NAME, hit, make, noise, saved

from speechcmd.errors import SpeechcmdError
from speechcmd.runtime.listening import clip_folder

pytestmark = pytest.mark.runtime


def sizes(folder: Path) -> int:
    """Bytes of all files that are named as ours."""
    return sum(
        path.stat().st_size for path in folder.iterdir() if path.is_file() and NAME.fullmatch(path.name)
    )


def test_the_oldest_clips_make_room(tmp_path: Path) -> None:
    saver = make(tmp_path, limit_bytes=21_000)
    saver.feed(noise(4_000))
    kept = []
    for i in range(12):
        saver.mark(hit(2.0, f"w{i:02d}"))
        assert sizes(tmp_path) <= 21_000
        kept.append(sorted(saved(tmp_path)))
    # one clip is 4,0xx bytes of noise and 4xx of JSON: four fit
    assert [len(labels) for labels in kept] == [1, 2, 3] + [4] * 9
    assert kept[-1] == ["w08", "w09", "w10", "w11"]
    assert saver.n_saved == 12


def test_clips_of_earlier_runs_count_and_other_files_stay(tmp_path: Path) -> None:
    first = make(tmp_path)
    first.feed(noise(4_000))
    for i in range(4):
        first.mark(hit(2.0, f"a_old{i}"))
    ours = "2020-01-01T00-00-00.000_yes_hit"
    others = ["notes.txt", "song.flac", "2020-01-01.flac", f"{ours}.wav", f"x{ours}.flac", f"{ours}.flac.bak"]
    for name in others:
        (tmp_path / name).write_bytes(b"x" * 10_000)
    (tmp_path / f"{ours}.json").mkdir()
    (tmp_path / f"{ours}-2.flac").symlink_to(tmp_path / "song.flac")
    leftover = tmp_path / f".{ours}-3.flac.0123456789abcdef.speechcmd-part"  # of a run that was killed
    leftover.write_bytes(b"x" * 1_000)
    second = make(tmp_path, limit_bytes=14_000)
    second.feed(noise(4_000))
    second.mark(hit(2.0, "b_new0"))
    second.mark(hit(2.0, "b_new1"))
    assert all((tmp_path / name).exists() for name in others)
    assert (tmp_path / f"{ours}.json").is_dir()
    assert (tmp_path / f"{ours}-2.flac").is_symlink()
    assert not leftover.exists()
    labels = {json.loads(path.read_text())["label"] for path in tmp_path.glob("*.json") if path.is_file()}
    assert labels == {"a_old3", "b_new0", "b_new1"}
    assert second.take_problems() == []


def test_of_many_clips_some_go_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking through a folder of thousands for each clip would cost more than hearing."""
    looks = []
    look = clip_folder._clips_in

    def look_and_count(folder: Path) -> list[clip_folder._Saved]:
        looks.append(folder)
        return look(folder)

    monkeypatch.setattr(clip_folder, "_clips_in", look_and_count)
    saver = make(tmp_path, limit_bytes=50_000, clip_s=0.02)
    saver.feed(noise(1_000))
    for _ in range(250):
        saver.mark(hit(0.5))
        assert sizes(tmp_path) <= 50_000
    n_kept = len(list(tmp_path.glob("*.flac")))
    assert n_kept > 80
    assert len(looks) < 1 + (250 - n_kept) / 3


def test_a_clip_deleted_by_someone_else_is_no_problem(tmp_path: Path) -> None:
    saver = make(tmp_path, limit_bytes=14_000)
    saver.feed(noise(4_000))
    for i in range(3):
        saver.mark(hit(2.0, f"w{i}"))
    for path in tmp_path.iterdir():
        path.unlink()
    saver.mark(hit(2.0, "w3"))
    saver.mark(hit(2.0, "w4"))
    assert set(saved(tmp_path)) == {"w3", "w4"}
    assert saver.take_problems() == []


def test_a_limit_too_small_for_one_clip(tmp_path: Path) -> None:
    with pytest.raises(
        SpeechcmdError, match=r"at least 6,\d\d\d bytes, which is one clip, got 4,000; give more"
    ) as error:
        make(tmp_path, limit_bytes=4_000)
    least = int(re.findall(r"least ([\d,]+)", str(error.value))[0].replace(",", ""))
    saver = make(tmp_path, limit_bytes=least)
    saver.feed(noise(4_000))
    saver.mark(hit(2.0, "w" * 300))
    assert len(saved(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SpeechcmdError, match=r"clips cannot be saved here \(.+\); name a folder"):
            make(folder)

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(SpeechcmdError, match=r"clips cannot be saved here \(Permission denied\)"):
        make(tmp_path)


def test_a_folder_that_goes_away_does_not_end_listening(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    saver = make(folder)
    saver.feed(noise(4_000))
    folder.rmdir()
    saver.mark(hit(2.0, "lost1"))
    saver.mark(hit(2.0, "lost2"))
    assert saver.take_problems() == [f"{folder}: a clip was not saved (No such file or directory)"]
    assert saver.take_problems() == []
    folder.mkdir()
    saver.mark(hit(2.0, "kept"))
    assert list(saved(folder)) == ["kept"]
    assert (saver.n_saved, saver.n_failed) == (1, 2)


def test_a_full_disk_leaves_no_half_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def flush_until_full(number: int) -> None:
        if not list(tmp_path.glob("*.flac")):
            flush(number)
            return
        raise OSError(errno.ENOSPC, "No space left on device")

    saver = make(tmp_path)
    saver.feed(noise(4_000))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flush_until_full)
        saver.mark(hit(2.0))
    assert list(tmp_path.iterdir()) == []
    assert saver.take_problems() == [f"{tmp_path}: a clip was not saved (No space left on device)"]
    saver.mark(hit(2.0))
    assert len(saved(tmp_path)) == 1


def test_an_old_clip_that_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saver = make(tmp_path, limit_bytes=7_000)
    saver.feed(noise(4_000))
    saver.mark(hit(2.0, "held"))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        saver.mark(hit(2.0, "more"))
    assert saver.take_problems() == [f"{tmp_path}: an old clip cannot be deleted (Permission denied)"]
    assert saver.n_saved == 2
    saver.mark(hit(2.0, "newest"))
    assert set(saved(tmp_path)) == {"newest"}


def test_a_folder_that_cannot_be_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    saver = make(tmp_path, limit_bytes=7_000)
    saver.feed(noise(4_000))
    monkeypatch.setattr(clip_folder, "_clips_in", refuse)
    saver.mark(hit(2.0, "a"))
    saver.mark(hit(2.0, "b"))
    assert saver.take_problems() == [f"{tmp_path}: old clips cannot be deleted (Permission denied)"]
    assert saver.n_saved == 2
