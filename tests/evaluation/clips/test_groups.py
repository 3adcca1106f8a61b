"""Figures by group of a metadata file: which row belongs to which clip, and the largest gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_results import plain

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.clips.answers import Answers
from speechcmd.evaluation.clips.group_gap import measure_gap
from speechcmd.evaluation.clips.groups import (
    NO_ENTRY,
    Metadata,
    group_values,
    match_metadata,
    measure_groups,
    read_metadata,
)
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.clips.metrics import measure_clips
from speechcmd.evaluation.intervals import wilson_interval

pytest.importorskip("scipy")


def example(path: str, speaker: str = "", label: str = "yes") -> LabelledClip:
    return LabelledClip(path, label, label, speaker, lambda: np.zeros(0, dtype=np.float32))


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


def test_keys_may_be_written_with_capitals_and_blanks(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, " Path , Room,\nyes/a.wav,bath,\n")
    assert metadata.columns == ("Room",)  # a column without a name is none
    assert values_of(match_metadata([example("yes/a.wav")], metadata), "Room") == ["bath"]
    assert metadata_of(tmp_path, "SPEAKER,sex\nann,female\n").by_speaker == {"ann": {"sex": "female"}}


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
        ("speaker,sex,age,sex \nann,f,3,m\n", "different names, got more than one of sex; rename"),
        ("path,Path,sex\na,b,f\n", "more than one of path"),
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


def test_ranges_are_named_with_as_many_digits_as_tell_them_apart() -> None:
    cut = group_values([f"{1 + n / 1e9:.10f}" for n in range(12)])
    assert cut is not None
    assert len(set(cut)) == 4
    assert cut[0] == "1 to 1.000000002"
    assert cut[-1] == "1.000000009 to 1.000000011"


def measure(
    clips: list[LabelledClip], is_right: np.ndarray[tuple[int], np.dtype[np.bool_]], metadata: Metadata
) -> list[dict[str, Any]]:
    """The groups, where a wrong answer is "no"."""
    said = [clip.label if right else "no" for clip, right in zip(clips, is_right, strict=True)]
    answers = Answers(said, np.ones(len(said)), np.zeros((len(said), 0)))
    columns: list[dict[str, Any]] = plain(
        measure_groups(clips, answers, ("yes", "no", "_silence_"), metadata)
    )
    return columns


def test_the_largest_gap_by_hand(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex\nann,female\nbob,male\ncy,other\n")
    clips = [example(f"{n}.wav", "ann") for n in range(20)] + [example(f"{n}.wav", "bob") for n in range(40)]
    clips += [example("c.wav", "cy"), example("d.wav"), example("silence", label="_silence_")]
    is_right = np.array([True] * 18 + [False] * 2 + [True] * 20 + [False] * 20 + [False, True, True])
    (column,) = measure(clips, is_right, metadata)
    assert column["column"] == "sex"
    groups = {group["value"]: group for group in column["groups"]}
    assert list(groups) == ["female", "male", "other", NO_ENTRY]
    assert (groups["female"]["n"], groups["female"]["accuracy"]) == (20, 0.9)
    assert groups["female"]["interval"] == "Wilson"
    assert (groups["female"]["low"], groups["female"]["high"]) == wilson_interval(18, 20)
    # F1 of yes: 2 * 18 / (20 clips + 18 answers); there is no clip of another label
    assert groups["female"]["macro_f1"] == pytest.approx(36 / 38)
    assert groups["female"]["by_label"] == [
        {"label": "yes", "n": 20, "recall": 0.9},
        {"label": "no", "n": 0, "recall": None},
        {"label": "_silence_", "n": 0, "recall": None},
    ]
    # the silence belongs to nobody; one clip of "other" is too few to tell of a gap
    assert (groups["other"]["n"], groups[NO_ENTRY]["n"]) == (1, 1)
    assert column["largest_gap"] == pytest.approx(0.4)
    # one speaker a group: this may be the speakers and not the groups
    assert (column["gap_low"], column["gap_high"], column["chance"]) == (None, None, None)
    assert column["note"] == "too few speakers to tell it from chance"
    assert measure(clips, is_right, metadata) == [column]


def test_the_figures_of_a_group_are_those_of_its_clips_alone(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex\nann,female\nbob,male\n")
    rng = np.random.default_rng(0)
    labels = ("yes", "no", "_unknown_")
    clips = [
        example(f"{n}.wav", "ann" if n % 3 else "bob", label=str(rng.choice(labels))) for n in range(120)
    ]
    said = [str(rng.choice([clip.label, *labels])) for clip in clips]
    answers = Answers(said, np.ones(120), np.zeros((120, 0)))
    (column,) = plain(measure_groups(clips, answers, labels, metadata))
    for group, speaker in zip(column["groups"], ("ann", "bob"), strict=True):
        inside = [n for n, clip in enumerate(clips) if clip.speaker == speaker]
        some = Answers([said[n] for n in inside], np.ones(len(inside)), np.zeros((len(inside), 0)))
        alone = plain(measure_clips([clips[n] for n in inside], some, labels))
        assert (group["accuracy"], group["macro_f1"]) == (alone["accuracy"]["value"], alone["macro_f1"])
        assert group["by_label"] == [
            {key: row[key] for key in ("label", "n", "recall")} for row in alone["by_label"]
        ]


def test_too_few_clips_tell_no_gap(tmp_path: Path) -> None:
    metadata = metadata_of(tmp_path, "speaker,sex,remark\nann,female,\nbob,male,\n")
    clips = [example("a.wav", "ann")] * 30 + [example("b.wav", "bob")] * 19
    sex, remark = measure(clips, np.ones(49, dtype=bool), metadata)
    for key in ("largest_gap", "gap_low", "gap_high", "chance"):
        assert sex[key] is None
    assert sex["note"] == "fewer than two groups of 20 clips, no gap is reported"
    assert [group["value"] for group in remark["groups"]] == [NO_ENTRY]


def test_a_column_of_too_many_texts_says_so(tmp_path: Path) -> None:
    lines = [f"s{n},remark {n},{'ab'[n % 2]}" for n in range(51)]
    metadata = metadata_of(tmp_path, "speaker,remark,sex\n" + "\n".join(lines))
    clips = [example(f"{n}.wav", f"s{n}") for n in range(51)]
    remark, sex = measure(clips, np.ones(51, dtype=bool), metadata)
    assert (remark["column"], remark["groups"], remark["largest_gap"]) == ("remark", [], None)
    assert remark["note"] == "51 different texts are too many (the most is 50), no groups are made"
    assert [group["value"] for group in sex["groups"]] == ["a", "b"]


def speakers_of(n_groups: int, n_speakers: int, n_clips: int) -> tuple[str, list[LabelledClip]]:
    """A metadata file, and clips of speakers who take turns in belonging to the groups."""
    lines = [f"s{n},g{n % n_groups:02d}" for n in range(n_speakers)]
    clips = [example(f"{n}/{c}.wav", f"s{n}") for n in range(n_speakers) for c in range(n_clips)]
    return "speaker,group\n" + "\n".join(lines), clips


def test_of_thirty_equal_groups_two_always_differ_and_chance_says_so(tmp_path: Path) -> None:
    """The best and the worst of many groups differ by much: kept fixed, they would seem to do so for sure."""
    text, clips = speakers_of(30, 180, 5)
    metadata, rng, chances = metadata_of(tmp_path, text), np.random.default_rng(2), []
    for _ in range(12):
        share = np.repeat(rng.uniform(0.6, 1.0, 180), 5)
        (column,) = measure(clips, rng.random(len(clips)) < share, metadata)
        assert column["largest_gap"] > 0.2
        assert (column["gap_low"], column["gap_high"], column["note"]) == (None, None, "")
        chances.append(column["chance"])
    assert min(chances) > 0.005
    assert sum(chance < 0.05 for chance in chances) <= 2
    assert 0.25 < np.mean(chances) < 0.75


def test_a_group_that_is_worse_is_not_chance(tmp_path: Path) -> None:
    text, clips = speakers_of(6, 60, 10)
    metadata, rng = metadata_of(tmp_path, text), np.random.default_rng(4)
    share = [0.5 if int(clip.speaker[1:]) % 6 == 2 else 0.9 for clip in clips]
    (column,) = measure(clips, rng.random(len(clips)) < share, metadata)
    assert column["chance"] == pytest.approx(1 / 1_001)  # of all orders only the one that was found
    worst = min(column["groups"], key=lambda group: float(group["accuracy"]))
    assert worst["value"] == "g02"
    # were the clips not of ten speakers a group but of one, nothing could be told
    merged = [example(clip.path, f"s{int(clip.speaker[1:]) % 6}") for clip in clips]
    (column,) = measure(merged, rng.random(len(clips)) < share, metadata)
    assert (column["chance"], column["note"]) == (None, "too few speakers to tell it from chance")


def test_the_chance_of_a_gap_by_counting_all_orders() -> None:
    """Five of ten speakers a group, who are all right or all wrong: hypergeometric."""
    right_of = [True] * 4 + [False] + [True] + [False] * 4
    values = ["ab"[n // 5] for n in range(10) for _ in range(4)]
    is_right, units = np.repeat(right_of, 4), np.repeat(np.arange(10), 4)
    found = measure_gap(values, ["a", "b"], is_right, units)
    assert found.largest_gap == pytest.approx(0.6)
    # 4 or 5 (or 1 or 0) of the five that are right in the first group
    chance = 2 * (math.comb(5, 4) * math.comb(5, 1) + 1) / math.comb(10, 5)
    assert found.chance == pytest.approx(chance, abs=0.04)
    # drawn clip by clip this would never come by chance
    assert measure_gap(values, ["a", "b"], is_right, np.arange(40)).chance < 0.002


def test_a_speaker_in_several_groups_is_a_unit_in_each() -> None:
    values = ["quiet", "loud"] * 40
    is_right = np.array([True, False] * 40)
    found = measure_gap(values, ["quiet", "loud"], is_right, np.repeat(np.arange(8), 10))
    assert found.largest_gap == 1.0
    assert found.chance < 0.01
    assert (found.gap_low, found.gap_high) == (None, None)  # no draw differs: no width, no certainty


def test_the_gap_s_interval_is_by_speaker_not_by_clip(tmp_path: Path) -> None:
    """Clips of a speaker stand and fall together: as speakers the interval is wide, as single clips narrow."""
    n_speakers, n_clips = 10, 40
    lines = [f"s{n},{'ab'[n % 2]}" for n in range(n_speakers)]
    by_speaker = metadata_of(tmp_path, "speaker,group\n" + "\n".join(lines))
    clips = [example(f"{n}/{c}.wav", f"s{n}") for n in range(n_speakers) for c in range(n_clips)]
    rng = np.random.default_rng(0)
    share = np.repeat(rng.uniform(0.3, 1.0, n_speakers), n_clips)
    is_right = rng.random(len(clips)) < share
    (grouped,) = measure(clips, is_right, by_speaker)
    assert grouped["gap_low"] <= grouped["largest_gap"] <= grouped["gap_high"]
    text = "path,group\n" + "\n".join(f"{clip.path},{'ab'[int(clip.speaker[1:]) % 2]}" for clip in clips)
    (single,) = measure([example(clip.path) for clip in clips], is_right, metadata_of(tmp_path, text))
    assert single["largest_gap"] == grouped["largest_gap"]
    assert grouped["gap_high"] - grouped["gap_low"] > 1.5 * (single["gap_high"] - single["gap_low"])
    # as single clips: two independent proportions, whose variances add
    p = [group["accuracy"] for group in single["groups"]]
    sd = np.sqrt(sum(share * (1 - share) / 200 for share in p))
    assert single["gap_high"] - single["gap_low"] == pytest.approx(2 * 1.96 * sd, rel=0.15)
