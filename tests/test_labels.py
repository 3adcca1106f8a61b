"""Labels: lists as people write them, and one spelling of a name wherever it comes from."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fakes import plain_card
from hypothesis import given
from hypothesis import strategies as st

from data_prep.split import RoleRule
from data_prep.store import COLUMNS, Row, read_rows, write_rows
from speechcmd.cli.options.common import labels_option
from speechcmd.cli.options.decoder_options import NumberRange, PerWord
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.streams.annotation import read_annotation
from speechcmd.labels import (
    ALL_WORDS,
    TEN_WORDS,
    join_labels,
    name_labels,
    normalise_label,
    split_fields,
    split_labels,
)
from speechcmd.runtime.listening.rules import load_rules
from speechcmd.runtime.model.card import ModelCard

pytestmark = pytest.mark.runtime

COMPOSED = "Küche an"
APART = unicodedata.normalize("NFD", COMPOSED)


def test_the_two_spellings_differ() -> None:
    assert COMPOSED != APART
    assert normalise_label(f" {APART}\n") == COMPOSED


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("yes,no", ("yes", "no")),
        (" yes , turn on ,", ("yes", "turn on")),
        ('yes,"lamp, off"', ("yes", "lamp, off")),
        (["yes,no", "stop"], ("yes", "no", "stop")),
        (['"lamp, off"', "lamp off"], ("lamp, off", "lamp off")),
        ('5" nails', ('5" nails',)),
        (f"{APART},no", (COMPOSED, "no")),
        ("", ()),
        (",,", ()),
    ],
)
def test_lists_of_labels(texts: str | list[str], expected: tuple[str, ...]) -> None:
    assert split_labels(texts) == expected


@pytest.mark.parametrize("text", ['yes,"no', '"lamp, off', "yes\nno"])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"quote is not closed|one line"):
        split_labels(text)


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)))
def test_what_is_joined_is_split_again(labels: list[str]) -> None:
    labels = [label for label in map(normalise_label, labels) if label]
    assert list(split_labels(join_labels(labels))) == list(split_labels(name_labels(labels))) == labels


def test_a_number_for_a_label_with_a_comma() -> None:
    assert split_fields('0.7,"lamp, off"=0.9') == ["0.7", "lamp, off=0.9"]
    shares = PerWord(NumberRange(0, 1, min_open=True))
    assert shares.convert(f'"lamp, off"=0.9,{APART}=0.8', None, None) == {"lamp, off": 0.9, COMPOSED: 0.8}
    with pytest.raises(click.BadParameter, match="quote is not closed"):
        shares.convert('"lamp=0.9', None, None)


def test_the_official_words() -> None:
    assert len(set(ALL_WORDS)) == 35
    assert ALL_WORDS[:10] == TEN_WORDS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "None"),
        (["--labels", "yes,no"], "('yes', 'no')"),
        (["--labels", "yes", "--labels", 'no,"lamp, off"'], "('no', 'lamp, off')"),  # the last counts
        (["--labels", APART], f"('{COMPOSED}',)"),
        (["--labels", ","], "expected words with commas between them"),
        (["--labels", 'yes,"no'], "a double quote is not closed; expected words"),
    ],
)
def test_an_option_of_labels(arguments: list[str], expected: str) -> None:
    @click.command()
    @labels_option
    def show(labels: tuple[str, ...] | None) -> None:
        click.echo(repr(labels))

    assert expected in CliRunner().invoke(show, arguments).output


def test_a_card_a_rule_and_a_threshold_meet(tmp_path: Path) -> None:
    content = json.loads(plain_card().to_json())
    content["labels"] = ["_silence_", "_unknown_", APART, "high"]
    content["decoder"]["labels"] = {APART: content["decoder"]["default"]}
    card = ModelCard.from_json(json.dumps(content))
    assert card.words == (COMPOSED, "high")
    assert card.decoder.override({APART: 0.9}).of(COMPOSED).threshold == 0.9
    rules = tmp_path / "rules.toml"
    rules.write_text(f"[[rule]]\nlabel = {json.dumps(APART)}\ncommand = [{json.dumps(sys.executable)}]\n")
    assert load_rules(rules, card.words)[0].labels == {COMPOSED}


def test_files_name_labels_and_clips_in_either_spelling(tmp_path: Path) -> None:
    track = tmp_path / "labels.txt"
    track.write_text(f"0.5\t1.0\t{APART}\n", encoding="utf-8")
    assert read_annotation(track).words[0].label == COMPOSED
    pytest.importorskip("scipy", reason="groups are the extra evaluate's")
    from speechcmd.evaluation.clips.groups import read_metadata

    table = tmp_path / "about.csv"
    table.write_text(f"path,room\n{APART}/1.wav,hall\n", encoding="utf-8")
    clip = LabelledClip(f"{COMPOSED}/1.wav", COMPOSED, COMPOSED, "", lambda: pytest.fail("not read"))
    assert read_metadata(table).entry_of(clip) == {"room": "hall"}
    (tmp_path / "roles.csv").write_text(f"path,role\n{COMPOSED}.wav,figures\n", encoding="utf-8")
    assert RoleRule(tmp_path).role_of(tmp_path / f"{APART}.wav") == "figures"


def test_an_index_of_an_older_version_is_read_in_composed_words(tmp_path: Path) -> None:
    row = Row("word", APART, "anna", "training", "", f"{APART}/1.wav", 0, 9, 0, 9, 4, -60.0, (), "d")
    with (tmp_path / "index.csv").open("w", encoding="utf-8") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, [row])
    (found,) = read_rows(tmp_path / "index.csv")
    assert found.word == COMPOSED
    assert found.path == row.path
