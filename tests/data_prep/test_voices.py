"""Whether testing voices are others than training voices, in words."""

from __future__ import annotations

import pytest

from data_prep.store import Row
from data_prep.voices import find_voices, note_voices

pytestmark = pytest.mark.runtime

NOTHING = "figures say nothing about other people"


def row(speaker: str, split: str, word: str = "lamp", kind: str = "word") -> Row:
    return Row(kind, word, speaker, split, "", f"{word}/{speaker}", 0, 9, 0, 9, 4, -60.0, (), "d")


def test_voices_in_one_split_each_need_no_note() -> None:
    rows = [row("anna", "training"), row("anna", "training", "radio"), row("ben", "testing")]
    assert find_voices(rows).speakers == ("anna", "ben")
    assert note_voices(rows) == ""
    # whoever reads sentences says no word
    assert note_voices([*rows, row("anna", "testing", "", "speech")]) == ""


@pytest.mark.parametrize(
    ("speakers", "expected"),
    [
        ([""], f"one voice (the names of the files tell no speakers apart), in training and in tests alike, with other takes: {NOTHING}"),
        (["anna"], f"one voice (anna), in training and in tests alike, with other takes: {NOTHING}"),
        (["anna", "ben", ""], f"3 voices (no name, anna, ben), in training and in tests alike, with other takes: {NOTHING}"),
    ],
)  # fmt: skip
def test_all_voices_in_several_splits(speakers: list[str], expected: str) -> None:
    rows = [row(speaker, split) for speaker in speakers for split in ("training", "testing")]
    assert note_voices(rows) == expected


def test_one_of_many_voices_is_named_with_its_words() -> None:
    rows = [row(f"p{number}", "training", "yes") for number in range(9)]
    rows += [row("", "training", "lamp"), row("", "validation", "lamp"), row("", "training", "tv")]
    assert find_voices(rows).words == ("lamp",)
    assert note_voices(rows) == (
        f"somebody without a name is in training and in tests alike, with other takes (lamp): there {NOTHING}"
    )
