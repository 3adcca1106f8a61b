"""How clips are dealt to the splits: lists, the official rule, whole speakers, takes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.split import SplitLists, SplitPlan, SpokenClip, hashed_split, plan_splits, shared_speakers
from speechcmd.errors import CorpusError

pytestmark = pytest.mark.runtime

WORDS = ("lamp", "radio", "turn on")
TRAINED = [name for name in (f"p{number}" for number in range(400)) if hashed_split(name) == "training"]


def takes(speaker: str, n_takes: int, words: Iterable[str] = WORDS) -> list[SpokenClip]:
    return [
        SpokenClip(f"{word}/{speaker}_{n}.wav", word, speaker)
        for word in words
        for n in range(1, n_takes + 1)
    ]


def plan(clips: Sequence[SpokenClip], folder: Path = Path("no lists"), **lists: Iterable[str]) -> SplitPlan:
    for split, names in lists.items():
        (folder / f"{split}_list.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return plan_splits(clips, SplitLists(folder))


def counts(clips: Sequence[SpokenClip], splits: Sequence[str], word: str) -> Counter[str]:
    return Counter(split for clip, split in zip(clips, splits, strict=True) if clip.word == word)


def by_name(clips: Sequence[SpokenClip], found: SplitPlan) -> dict[str, str]:
    return {clip.name: split for clip, split in zip(clips, found.splits, strict=True)}


@pytest.mark.parametrize("speaker", ["", "anna"])
@pytest.mark.parametrize(
    ("n_takes", "expected"),
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (2, 1, 0)), (4, (3, 1, 0)), (5, (3, 1, 1)), (10, (8, 1, 1)), (30, (24, 3, 3))],
)  # fmt: skip
def test_one_voice_is_split_by_take_in_every_word(
    speaker: str, n_takes: int, expected: tuple[int, int, int]
) -> None:
    clips = takes(speaker, n_takes)
    found = plan(clips)
    for word in WORDS:
        count = counts(clips, found.splits, word)
        assert (count["training"], count["validation"], count["testing"]) == expected
    if n_takes > 1:
        assert found.rule == "takes"


def test_takes_that_are_added_leave_the_others_where_they_were() -> None:
    before, after = takes("", 9), takes("", 31)  # take 10 comes after take 9, not after take 1
    kept = by_name(after, plan(after))
    assert all(kept[name] == split for name, split in by_name(before, plan(before)).items())


def test_many_speakers_are_split_by_the_official_rule_alone() -> None:
    clips = [clip for number in range(200) for clip in takes(f"p{number}", 2)]
    found = plan(clips)
    assert found.rule == "hash"
    assert list(found.splits) == [hashed_split(clip.speaker) for clip in clips]


def test_whole_speakers_are_moved_where_the_official_rule_leaves_a_split_empty() -> None:
    clips = [clip for name in TRAINED[:8] for clip in takes(name, 3)]
    found = plan(clips)
    assert found.rule == "hash+speakers"
    assert shared_speakers((c.speaker, s) for c, s in zip(clips, found.splits, strict=True)) == []
    for word in WORDS:
        assert counts(clips, found.splits, word) == {"training": 18, "validation": 3, "testing": 3}


def test_of_a_few_speakers_none_is_kept_from_training() -> None:
    clips = [clip for name in TRAINED[:3] for clip in takes(name, 10)]
    found = plan(clips)
    assert found.rule == "takes"
    for word in WORDS:
        assert counts(clips, found.splits, word) == {"training": 24, "validation": 3, "testing": 3}


def test_one_take_of_each_of_a_few_speakers_still_validates() -> None:
    clips = [clip for name in TRAINED[:3] for clip in takes(name, 1)]
    found = plan(clips)
    for word in WORDS:
        assert counts(clips, found.splits, word) == {"training": 2, "validation": 1}


def test_a_word_that_no_list_names_is_split_by_the_rule(tmp_path: Path) -> None:
    listed = [clip for name in ("anna", "ben", "carl") for clip in takes(name, 2, ["yes"])]
    own = [clip for number in range(200) for clip in takes(f"p{number}", 1, ["lamp"])]
    clips = [*listed, *own]
    found = plan(
        clips, tmp_path, validation=[f"yes/anna_{n}.wav" for n in (1, 2)], testing=["yes/ben_1.wav", "yes/ben_2.wav"]
    )  # fmt: skip
    splits = by_name(clips, found)
    assert (splits["yes/anna_1.wav"], splits["yes/ben_1.wav"]) == ("validation", "testing")
    assert splits["yes/carl_2.wav"] == "training"
    assert [splits[clip.name] for clip in own] == [hashed_split(clip.speaker) for clip in own]
    assert found.rule == "lists+hash"


def test_one_voice_among_listed_words_is_split_by_take(tmp_path: Path) -> None:
    listed = [clip for number in range(50) for clip in takes(f"p{number}", 1, ["yes"])]
    own = takes("", 10, ["lamp"])
    clips = [*listed, *own]
    found = plan(clips, tmp_path, validation=["yes/p1_1.wav"], testing=["yes/p2_1.wav"])
    assert found.rule == "lists+takes"
    assert counts(clips, found.splits, "lamp") == {"training": 8, "validation": 1, "testing": 1}
    assert counts(clips, found.splits, "yes") == {"training": 48, "validation": 1, "testing": 1}


def test_a_speaker_stays_where_the_lists_have_them(tmp_path: Path) -> None:
    listed = [clip for name in TRAINED[:9] for clip in takes(name, 1, ["yes"])]
    own = [clip for name in TRAINED[:9] for clip in takes(name, 2, ["lamp"])]
    clips = [*listed, *own]
    found = plan(clips, tmp_path, validation=[f"yes/{TRAINED[0]}_1.wav"], testing=[f"yes/{TRAINED[1]}_1.wav"])
    splits = by_name(clips, found)
    assert splits[f"lamp/{TRAINED[0]}_2.wav"] == "validation"
    assert splits[f"lamp/{TRAINED[1]}_1.wav"] == "testing"
    assert shared_speakers((c.speaker, s) for c, s in zip(clips, found.splits, strict=True)) == []


def test_lists_of_one_s_own_are_obeyed_within_a_voice(tmp_path: Path) -> None:
    clips = takes("anna", 6)
    validation = [f"{word}/anna_1.wav" for word in WORDS]
    testing = [f"{word}/anna_2.wav" for word in WORDS]
    found = plan(clips, tmp_path, validation=validation, testing=testing)
    splits = by_name(clips, found)
    assert {name for name, split in splits.items() if split == "validation"} == set(validation)
    assert {name for name, split in splits.items() if split == "testing"} == set(testing)
    assert found.rule == "lists"


def test_without_a_list_of_validation_some_of_the_rest_validates(tmp_path: Path) -> None:
    clips = takes("anna", 12)
    testing = [f"{word}/anna_{n}.wav" for word in WORDS for n in (1, 2)]
    found = plan(clips, tmp_path, testing=testing)
    for word in WORDS:
        assert counts(clips, found.splits, word) == {"training": 9, "validation": 1, "testing": 2}
    assert {name for name, split in by_name(clips, found).items() if split == "testing"} == set(testing)


def test_two_empty_lists_leave_all_for_training(tmp_path: Path) -> None:
    clips = [clip for number in range(40) for clip in takes(f"p{number}", 1)]
    found = plan(clips, tmp_path, validation=[], testing=[])
    assert (set(found.splits), found.rule) == ({"training"}, "lists")
    (tmp_path / "testing_list.txt").unlink()
    assert set(plan(clips, tmp_path, validation=[]).splits) > {"training"}


def test_a_list_names_clips_in_either_spelling(tmp_path: Path) -> None:
    clips = takes("", 6, ["küche"])
    apart = unicodedata.normalize("NFD", clips[3].name)
    found = plan(clips, tmp_path, validation=[apart])
    assert by_name(clips, found)[clips[3].name] == "validation"


def test_a_few_of_many_speakers_in_two_splits_are_a_mistake(tmp_path: Path) -> None:
    clips = [clip for name in ("anna", "ben", "carl") for clip in takes(name, 2, ["yes"])]
    with pytest.raises(CorpusError) as caught:
        plan(clips, tmp_path, testing=["yes/anna_1.wav"], validation=["yes/ben_1.wav", "yes/ben_2.wav"])
    assert "speaker anna is in two splits" in str(caught.value)
    for place in ("yes/anna_1.wav (testing)", "yes/anna_2.wav (training)"):
        assert place in str(caught.value)


@given(
    st.dictionaries(st.sampled_from(["", *TRAINED[:9], "p1", "p3", "p7"]), st.integers(1, 12), min_size=1),
    st.sampled_from([("lamp",), ("lamp", "radio"), WORDS]),
)
def test_every_word_trains_and_validates(n_takes: dict[str, int], words: tuple[str, ...]) -> None:
    clips = [clip for speaker, count in n_takes.items() for clip in takes(speaker, count, words)]
    found = plan(clips)
    for word in words:
        count = counts(clips, found.splits, word)
        assert count["training"] >= count["validation"]
        assert count["training"] >= 1
        assert count["validation"] >= 1 or count.total() == 1
    shuffled = clips[::-1]
    assert by_name(shuffled, plan(shuffled)) == by_name(clips, found)
