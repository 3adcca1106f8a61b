"""Splits and roles: lists, the hash, roles.csv, the official noises, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.corpus import scan_corpus
from data_prep.split import SPLIT_OF_ROLE, RoleRule, SplitRule, hashed_split, speaker_of
from speechcmd.errors import CorpusError

pytestmark = pytest.mark.runtime


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(1600, 0.1), 16_000)
    return path


def speaker_in(split: str) -> str:
    return next(f"{i:08x}" for i in range(1000) if hashed_split(f"{i:08x}") == split)


def test_percentages_widen_the_splits() -> None:
    assert hashed_split("0a7c2a8d", 0.0, 0.0) == "training"
    assert hashed_split("0a7c2a8d", 100.1, 0.0) == "validation"
    assert hashed_split("0a7c2a8d", 0.0, 100.1) == "testing"


@pytest.mark.parametrize(
    ("name", "speaker"),
    [("a_b_nohash_12.wav", "a_b"), ("yes/_3.wav", "_3"), ("x/y/anna-2_1.opus", "anna-2")],
)
def test_speakers_of_odd_names(name: str, speaker: str) -> None:
    assert speaker_of(name) == speaker


def test_lists_win_over_the_hash_whatever_the_suffix(tmp_path: Path) -> None:
    tested, validated = speaker_in("testing"), speaker_in("validation")
    (tmp_path / "validation_list.txt").write_text(f"./yes/{tested}_nohash_0.wav\n\n")
    rule = SplitRule(tmp_path)
    assert rule.split_of(f"yes/{tested}_nohash_0.flac", tested) == "validation"
    assert rule.split_of(f"yes/{validated}_nohash_0.wav", validated) == "training"
    (tmp_path / "validation_list.txt").unlink()
    assert SplitRule(tmp_path).split_of(f"yes/{tested}_nohash_0.wav", tested) == "testing"


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "testing_list.txt").write_bytes(b"yes/\xff\xfe.wav")
    with pytest.raises(CorpusError, match=r"testing_list\.txt: cannot be read as a list"):
        SplitRule(tmp_path)


def test_a_speaker_in_two_splits_is_refused_with_both_files(tmp_path: Path) -> None:
    first, second = put(tmp_path / "no" / "anna_nohash_0.wav"), put(tmp_path / "yes" / "anna_nohash_0.wav")
    (tmp_path / "testing_list.txt").write_text("yes/anna_nohash_0.wav\n")
    with pytest.raises(CorpusError) as caught:
        scan_corpus(tmp_path)
    for path, split in ((first, "training"), (second, "testing")):
        assert f"{path.relative_to(tmp_path).as_posix()} ({split})" in str(caught.value)


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
