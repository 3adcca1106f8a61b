"""One list of names for the whole program."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from data_prep.clip import LONGEST_CLIP_S
from data_prep.corpus import scan_corpus
from speechcmd.audio.reading import read_int16
from speechcmd.audio.suffixes import ALL_SUFFIXES, NEEDS_FFMPEG, READABLE
from speechcmd.batch.inputs import find_recordings
from speechcmd.cli.main import cli
from speechcmd.errors import AudioError
from speechcmd.evaluation.streams.recording_set import collect_recordings

# their names are suffixes of other things, or of a form within another format
NOT_IN_FOLDERS = {".raw", ".mat4", ".mat5", ".htk", ".wavex"}


def test_every_format_that_is_read_is_looked_for() -> None:
    formats = {f".{name.lower()}" for name in soundfile.available_formats()}
    assert formats - READABLE == NOT_IN_FOLDERS
    assert not READABLE & NEEDS_FFMPEG


def test_all_commands_look_for_the_same_files(tmp_path: Path) -> None:
    for suffix in ALL_SUFFIXES:
        (tmp_path / "yes").mkdir(exist_ok=True)
        (tmp_path / "yes" / f"ann_nohash_0{suffix.upper()}").write_bytes(b"x")
    (tmp_path / "yes" / "notes.txt").write_text("no audio")
    expected = sorted(f"ann_nohash_0{suffix.upper()}" for suffix in ALL_SUFFIXES)
    assert sorted(Path(one.path).name for one in find_recordings([str(tmp_path)])) == expected
    assert sorted(source.path.name for source in scan_corpus(tmp_path).sources) == expected
    found = collect_recordings([str(tmp_path)], ["yes"], role="figures").recordings
    assert sorted(one.path.name for one in found) == expected


def test_prepare_names_what_it_left_out_and_how_to_convert_it(tmp_path: Path) -> None:
    folder = tmp_path / "corpus" / "yes"
    folder.mkdir(parents=True)
    tone = 0.1 * np.sin(np.arange(12_000) * 0.2)
    for number, suffix in enumerate(("oga", "caf", "w64", "au", "aifc", "opus")):
        form = {"oga": "OGG", "aifc": "AIFF", "opus": "OGG"}.get(suffix, suffix.upper())
        subtype = "OPUS" if suffix == "opus" else None
        soundfile.write(folder / f"p{number}_nohash_0.{suffix}", tone, 16_000, format=form, subtype=subtype)
    (folder / "phone_nohash_0.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with soundfile.SoundFile(folder / "meeting_nohash_0.flac", "w", 16_000, 1) as long:
        for _ in range(int(LONGEST_CLIP_S) + 1):
            long.write(np.zeros(16_000, dtype=np.int16))
    arguments = ["prepare", str(tmp_path / "corpus"), "--store", str(tmp_path / "store"), "--workers", "1"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("unreadable, skipped")]
    assert line.split()[2] == "2"
    assert 'ffmpeg -i "phone_nohash_0.m4a" -ar 16000 -ac 1 "phone_nohash_0.wav"' in line
    assert "yes/meeting_nohash_0.flac: expected a clip of a word, got more than 60 s" in line


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_no_more_than_a_clip_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"long.{form.lower()}"
    soundfile.write(path, np.zeros(32_000), 16_000, format=form)
    assert len(read_int16(path, longest_s=2.0)) == 32_000
    with pytest.raises(AudioError, match=r"got more than 1\.9 s"):
        read_int16(path, longest_s=1.9)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_word_folder_that_leads_back_gives_no_clips_again(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    soundfile.write(tmp_path / "yes" / "ann_nohash_0.wav", np.zeros(100), 16_000)
    for name, target in (("loop", "."), ("above", ".."), ("oui", "yes")):
        (tmp_path / name).symlink_to(target)
    assert [source.name for source in scan_corpus(tmp_path).sources] == [
        "oui/ann_nohash_0.wav",
        "yes/ann_nohash_0.wav",
    ]
