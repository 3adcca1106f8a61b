"""Figures by group of a metadata file: which row belongs to which clip, and the largest gap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.example import Example
from speechcmd.evaluation.group import (
    NO_ENTRY,
    Metadata,
    group_values,
    match_metadata,
    measure_groups,
    read_metadata,
)
from speechcmd.evaluation.interval import wilson_interval

pytest.importorskip("scipy")


def example(path: str, speaker: str = "", label: str = "yes") -> Example:
    return Example(path, label, label, speaker, lambda: np.zeros(0, dtype=np.float32))


def metadata_of(folder: Path, text: str) -> Metadata:
    path = folder / "people.csv"
    path.write_text(text, encoding="utf-8")
    return read_metadata(path)


def values_of(entries: Sequence[dict[str, str] | None], column: str) -> list[str | None]:
    return [entry[column] if entry else None for entry in entries]


def test_rows_belong_by_path_by_a_longer_path_or_by_the_name(tmp_path: Path) -> None:
    metadata = metadata_of(
        tmp_path, "path,room\nyes/a.wav,bath\nmy\\data\\no\\b.wav,hall\nc.wav,car\nyes/c.wav,shed\n"
    )
    assert metadata.columns == ("room",)
    paths = ("yes/a.wav", "no/b.wav", "go/c.wav", "yes/c.wav", "no/a.wav")
    entries = match_metadata([example(path) for path in paths], metadata)
    assert values_of(entries, "room") == ["bath", "hall", "car", "shed", None]


def test_rows_belong_by_speaker_and_a_path_goes_first(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,path,sex\nann,,female\n,yes/a.wav,male\nbob,,male\n")
    assert metadata.columns == ("sex",)
    clips = [
        example("yes/a.wav", "ann"),
        example("yes/b.wav", "ann"),
        example("no/b.wav", "bob"),
        example("x"),
    ]
    assert values_of(match_metadata(clips, metadata), "sex") == ["male", "female", "male", None]


def test_rows_that_contradict_each_other_belong_to_nobody(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex\nann,female\nann,male\nbob,male\nbob,male\n")
    clips = [example("a.wav", "ann"), example("b.wav", "bob")]
    assert values_of(match_metadata(clips, metadata), "sex") == [None, "male"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sex,age\nmale,4\n", "a column path or speaker and others to group by, got the columns sex, age"),
        ("speaker,path\nann,yes/a.wav\n", "got the columns speaker, path"),
        ("", "got the columns none"),
        ("speaker,sex\n\0ann,male\nx", "none of its rows|cannot read"),
        ("speaker,sex\nzoe,female\n", "none of its rows belongs to any of the 2 clips; .* such as ann$"),
    ],
)
def test_a_file_that_is_of_no_use_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    clips = [example("noise.wav@1s", label="_silence_"), example("yes/a.wav", "ann")]
    with pytest.raises(EvaluationError, match=expected) as error:
        match_metadata(clips, metadata_of(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"nowhere\.csv: cannot read the metadata: No such file"):
        read_metadata(tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes("speaker,sex\nZoé,f\n".encode("latin-1"))
    with pytest.raises(EvaluationError, match="cannot read the metadata"):
        read_metadata(tmp_path / "latin.csv")


def test_few_values_stay_and_many_numbers_become_quartiles() -> None:
    assert group_values(["b", "a", "", "b"]) == ["b", "a", NO_ENTRY, "b"]
    assert group_values([str(n) for n in range(8)]) == [str(n) for n in range(8)]
    ages = [str(age) for age in range(11, 23)]  # 12 numbers: three to each quarter
    cut = group_values([*ages, ""])
    assert cut is not None
    assert cut[:12] == ["11 to 13"] * 3 + ["14 to 16"] * 3 + ["17 to 19"] * 3 + ["20 to 22"] * 3
    assert cut[12:] == [NO_ENTRY]
    assert group_values(["12", "many", *ages]) == ["12", "many", *ages]
    assert group_values(["nan", *ages]) == ["nan", *ages]
    assert group_values([f"sentence {n}" for n in range(51)]) is None


def test_the_largest_gap_by_hand(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex\nann,female\nbob,male\ncy,other\n")
    clips = [example(f"{n}.wav", "ann") for n in range(20)] + [example(f"{n}.wav", "bob") for n in range(40)]
    clips += [example("c.wav", "cy"), example("d.wav"), example("silence", label="_silence_")]
    is_right = np.array([True] * 18 + [False] * 2 + [True] * 20 + [False] * 20 + [False, True, True])
    (column,) = measure_groups(clips, is_right, metadata)
    assert column["column"] == "sex"
    groups = {group["value"]: group for group in column["groups"]}
    assert list(groups) == ["female", "male", "other", NO_ENTRY]
    assert (groups["female"]["n"], groups["female"]["accuracy"]) == (20, 0.9)
    assert (groups["female"]["low"], groups["female"]["high"]) == wilson_interval(18, 20)
    # the silence belongs to nobody; one clip of "other" is too few to tell of a gap
    assert (groups["other"]["n"], groups[NO_ENTRY]["n"]) == (1, 1)
    assert column["largest_gap"] == pytest.approx(0.4)
    # one speaker a group: drawn anew, the two figures are always the same
    assert (column["gap_low"], column["gap_high"]) == (pytest.approx(0.4), pytest.approx(0.4))
    assert measure_groups(clips, is_right, metadata) == [column]


def test_too_few_clips_tell_no_gap(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex,remark\nann,female,\nbob,male,\n")
    clips = [example("a.wav", "ann")] * 30 + [example("b.wav", "bob")] * 19
    sex, remark = measure_groups(clips, np.ones(49, dtype=bool), metadata)
    assert (sex["largest_gap"], sex["gap_low"], sex["gap_high"]) == (None, None, None)
    assert [group["value"] for group in remark["groups"]] == [NO_ENTRY]


def test_the_gap_s_interval_is_by_speaker_not_by_clip(tmp_path: Path) -> None:
    """Clips of a speaker stand and fall together: as speakers the interval is wide, as single clips narrow."""
    n_speakers, n_clips = 10, 40
    lines = [f"s{n},{'ab'[n % 2]}" for n in range(n_speakers)]
    by_speaker = metadata_of(tmp_path, "speaker,group\n" + "\n".join(lines))
    clips = [example(f"{n}/{c}.wav", f"s{n}") for n in range(n_speakers) for c in range(n_clips)]
    rng = np.random.default_rng(0)
    share = np.repeat(rng.uniform(0.3, 1.0, n_speakers), n_clips)
    is_right = rng.random(len(clips)) < share
    (grouped,) = measure_groups(clips, is_right, by_speaker)
    assert grouped["gap_low"] <= grouped["largest_gap"] <= grouped["gap_high"]
    text = "path,group\n" + "\n".join(f"{clip.path},{'ab'[int(clip.speaker[1:]) % 2]}" for clip in clips)
    (single,) = measure_groups([example(clip.path) for clip in clips], is_right, metadata_of(tmp_path, text))
    assert single["largest_gap"] == grouped["largest_gap"]
    assert grouped["gap_high"] - grouped["gap_low"] > 1.5 * (single["gap_high"] - single["gap_low"])
    # as single clips: two independent proportions, whose variances add
    p = [group["accuracy"] for group in single["groups"]]
    sd = np.sqrt(sum(share * (1 - share) / 200 for share in p))
    assert single["gap_high"] - single["gap_low"] == pytest.approx(2 * 1.96 * sd, rel=0.15)
