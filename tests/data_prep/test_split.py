"""Splits and roles: lists, the hash, roles.csv, the official noises, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.corpus import scan_corpus
from data_prep.split import SPLIT_OF_ROLE, RoleRule, SplitLists, hashed_split
from speechcmd.errors import CorpusError

pytestmark = pytest.mark.runtime


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(1600, 0.1), 16_000)
    return path


def test_percentages_widen_the_splits() -> None:
    assert hashed_split("0a7c2a8d", 0.0, 0.0) == "training"
    assert hashed_split("0a7c2a8d", 100.1, 0.0) == "validation"
    assert hashed_split("0a7c2a8d", 0.0, 100.1) == "testing"


def test_lists_name_clips_whatever_the_suffix(tmp_path: Path) -> None:
    assert SplitLists(tmp_path).given == frozenset()
    (tmp_path / "validation_list.txt").write_text("./yes/anna_nohash_0.wav\n\n")
    lists = SplitLists(tmp_path)
    assert lists.given == {"validation"}
    assert lists.split_of("yes/anna_nohash_0.flac") == "validation"
    assert lists.split_of("yes/ben_nohash_0.wav") == ""


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "testing_list.txt").write_bytes(b"yes/\xff\xfe.wav")
    with pytest.raises(CorpusError, match=r"testing_list\.txt: cannot be read as a list"):
        SplitLists(tmp_path)


def test_recordings_that_the_file_leaves_out_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "clips" / "yes" / "a_nohash_0.wav")
    noise = tmp_path / "noise"
    for name in ("one", "two", "three", "four"):
        put(noise / f"{name}.wav")
    (noise / "roles.csv").write_text("path,role,note\none.wav,train,\ntwo.wav,unused,\nthree.wav,,\n")
    corpus = scan_corpus(tmp_path / "clips", noise=[noise])
    assert [(s.name, s.role, s.split) for s in corpus.sources[1:]] == [("noise/one.wav", "train", "training")]
    assert corpus.unused == 3
    (noise / "roles.csv").write_text("path,role\none.wav,unused\n")
    with pytest.raises(CorpusError, match=r"found none \(4 without one in "):
        scan_corpus(tmp_path / "clips", noise=[noise])


def test_a_roles_file_beside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    roles = tmp_path / "elsewhere" / "roles.csv"
    roles.parent.mkdir()
    roles.write_text("path,role\na.wav,train\n")
    with pytest.raises(CorpusError, match="or above"):
        RoleRule(tmp_path / "noise", roles)
    with pytest.raises(CorpusError, match="cannot read the roles"):
        RoleRule(tmp_path / "noise", tmp_path / "missing.csv")


def test_official_noises_have_fixed_roles_and_others_go_by_hash(tmp_path: Path) -> None:
    noise = tmp_path / "_background_noise_"
    rule = RoleRule(noise)
    named = {
        name: rule.role_of(noise / f"{name}.wav") for name in ("running_tap", "exercise_bike", "pink_noise")
    }
    assert named == {"running_tap": "calibrate", "exercise_bike": "figures", "pink_noise": "train"}
    other = tmp_path / "street"
    roles = {name: RoleRule(other).role_of(other / name) for name in (f"{i}.wav" for i in range(60))}
    assert set(roles.values()) == {"train", "calibrate", "figures"}
    assert all(hashed_split(name) == SPLIT_OF_ROLE[role] for name, role in roles.items())
