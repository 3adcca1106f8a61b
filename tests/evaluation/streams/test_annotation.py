from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.streams.annotation import (
    Annotation,
    Word,
    read_annotation,
    write_audacity,
    write_json,
)
from speechcmd.labels import normalise_label

pytestmark = pytest.mark.runtime

# labels are read in composed form
LABELS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12).map(normalise_label)
ATTRIBUTES = st.dictionaries(
    st.text(max_size=8),
    st.text(max_size=8) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    max_size=3,
)


@st.composite
def words_in_order(draw: st.DrawFn, step_s: float | None = None) -> tuple[Word, ...]:
    """Words whose times are any, or whole multiples of `step_s`."""
    times = st.floats(0, 1e6) if step_s is None else st.integers(0, 10**9).map(lambda n: n * step_s)
    words = []
    for _ in range(draw(st.integers(0, 5))):
        start_s, end_s = sorted((draw(times), draw(times)))
        words.append(Word(draw(LABELS), start_s, end_s, draw(ATTRIBUTES) if step_s is None else {}))
    return tuple(sorted(words, key=lambda word: (word.start_s, word.end_s)))


def text_file(folder: Path, text: str | bytes, name: str = "labels.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@settings(max_examples=30, deadline=None)
@given(words_in_order(), words_in_order(), st.none() | st.floats(0, 1e6))
def test_json_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    words: tuple[Word, ...],
    others: tuple[Word, ...],
    duration_s: float | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    given_one = Annotation(words, others, duration_s, {"seed": 3, "snr_db": [20, 10]})
    write_json(given_one, path)
    assert read_annotation(path) == given_one


@settings(max_examples=30, deadline=None)
@given(words_in_order(step_s=1e-6))
def test_a_label_track_comes_back_to_the_microsecond(
    tmp_path_factory: pytest.TempPathFactory, words: tuple[Word, ...]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    write_audacity(words, path)
    found = read_annotation(path).words
    assert sorted(word.label for word in found) == sorted(word.label for word in words)
    for word, heard in zip(words, found, strict=True):
        assert abs(word.start_s - heard.start_s) < 1e-6
        assert abs(word.end_s - heard.end_s) < 1e-6


def test_label_tracks_of_audacity_are_read_as_it_writes_them(tmp_path: Path) -> None:
    text = (
        "\ufeff2.5\t3.25\tno\r\n"
        "\\\t100.000000\t4000.000000\r\n"
        "1.000000\t1.000000\tyes\r\n"
        "\r\n"
        "4\t5\tgo on\tthen\r\n"
    )
    found = read_annotation(text_file(tmp_path, text))
    assert found.words == (
        Word("yes", 1.0, 1.0),
        Word("no", 2.5, 3.25),
        Word("go on\tthen", 4.0, 5.0),
    )
    assert found.duration_s is None
    assert found.others == ()


def test_an_empty_label_track_holds_no_word(tmp_path: Path) -> None:
    assert read_annotation(text_file(tmp_path, "")).words == ()


def test_a_tab_in_a_label_does_not_break_the_track(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    write_audacity([Word("a\tb\nc", 1.0, 2.0)], path)
    assert path.read_text() == "1.000000\t2.000000\ta b c\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("one\t2\tyes", "'one' for a time"),
        ("1\ttwo\tyes", "'two' for a time"),
        ("1,5\t2,0\tyes", "'1,5' for a time"),
        ("yes", "'yes' for a time"),
        ("1", "'' for a time"),
        ("2\t1\tyes", "ends at 1 s, before it begins at 2 s"),
        ("-1\t1\tyes", "before the recording does"),
        ("nan\t1\tyes", "nan and 1.0"),
        ("0\tinf\tyes", "0.0 and inf"),
        ("0\t1\t ", "a label without text"),
        ("0\t1", "a label without text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = text_file(tmp_path, f"0\t1\tyes\n\n{line}\n")
    with pytest.raises(EvaluationError) as caught:
        read_annotation(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


WORD = {"label": "yes", "start_s": 1.0, "end_s": 2.0}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "expected a table, got []"),
        ({"words": {}}, "words: expected a list, got {}"),
        ({"words": [], "schema": 9}, "schema: expected 1, got 9"),
        ({"words": [], "others": 1}, "others: expected a list, got 1"),
        (
            {"words": [], "duration_s": "long"},
            "duration_s: expected a number from 0 to 1e+09 or nothing, got 'long'",
        ),
        ({"words": [], "duration_s": -1}, "from 0 to 1e+09 or nothing, got -1"),
        ({"words": [WORD, "yes"]}, "words[1]: expected a table, got 'yes'"),
        ({"words": [{**WORD, "label": 3}]}, "words[0].label: expected text, got 3"),
        (
            {"words": [{**WORD, "start_s": None}]},
            "words[0].start_s: expected a number from 0 to 1e+09, got nothing",
        ),
        ({"words": [{**WORD, "end_s": True}]}, "words[0].end_s: expected a number from 0 to 1e+09, got True"),
        ({"words": [{**WORD, "end_s": 0.5}]}, "ends at 0.5 s"),
        (
            {"words": [], "others": [{**WORD, "start_s": -1}]},
            "others[0].start_s: expected a number from 0 to 1e+09, got -1",
        ),
        (
            {"words": [{**WORD, "attributes": {"a": [1]}}]},
            "words[0].attributes.a: expected text or true or false or",
        ),
        ({"words": [{**WORD, "attributes": {"a": math.inf}}]}, "words[0].attributes.a: expected"),
        ({"words": [{**WORD, "attributes": {"a": 10**400}}]}, "words[0].attributes.a: expected"),
        ({"words": [{**WORD, "end_s": 10**400}]}, "words[0].end_s: expected"),
        ({"words": [{**WORD, "attributes": 1}]}, "words[0].attributes: expected a table, got 1"),
    ],
)
def test_wrong_json_is_named(tmp_path: Path, content: object, says: str) -> None:
    path = text_file(tmp_path, json.dumps(content), "labels.json")
    with pytest.raises(EvaluationError) as caught:
        read_annotation(path)
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)


def test_json_may_hold_more_than_we_know(tmp_path: Path) -> None:
    content = {"words": [{**WORD, "mood": "glad"}], "colour": "blue"}
    path = text_file(tmp_path, json.dumps(content), "labels.JSON")
    assert read_annotation(path) == Annotation((Word("yes", 1.0, 2.0),))


@pytest.mark.parametrize("name", ["labels.txt", "labels.json"])
def test_what_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvaluationError, match="save them as UTF-8"):
        read_annotation(text_file(tmp_path, b"0\t1\t\xff\xfe", name))


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="line 2"):
        read_annotation(text_file(tmp_path, '{"words":\n nothing}', "labels.json"))


def test_other_suffixes_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"\.json or \.txt"):
        read_annotation(text_file(tmp_path, "", "labels.srt"))
    with pytest.raises(EvaluationError, match="No such file"):
        read_annotation(tmp_path / "none.txt")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = text_file(tmp_path, "before", "labels.json")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_json(Annotation(()), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
