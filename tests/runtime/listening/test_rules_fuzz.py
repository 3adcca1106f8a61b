"""Any file of rules works, or is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from toml_trees import TEXTS, VALUES, tables, toml_file

from speechcmd.errors import RulesError
from speechcmd.runtime.listening.rules import PLACEHOLDERS, Rule, fill_in, load_rules

pytestmark = pytest.mark.runtime

WORDS = ("yes", "no", "a$(b)", "-x")
LONGEST_LINE = 400
ARGUMENTS = TEXTS | st.sampled_from(
    ["sh", "ls", "", "{label}", "{score}", "{label:}", "{", "{0}", "{label.x}"]
)
LIKELY = (
    st.lists(ARGUMENTS, max_size=4) | st.sampled_from([*WORDS, "*"]) | st.floats(0, 2) | st.integers(0, 2)
)
RULES = st.lists(tables(["label", "command", "min_score", "cooldown_s", "any_label"], LIKELY), max_size=3)
GOOD = {"label": "yes", "command": ["sh"]}
FUZZ = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def load(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, which can be filled in; none if they are refused in one line."""
    rules: tuple[Rule, ...] = ()
    line = ""
    try:
        rules = load_rules(path, WORDS)
    except RulesError as error:
        line = str(error)
    assert line.isprintable()
    assert len(line) < LONGEST_LINE + len(str(path))
    for rule in rules:
        for argument in rule.command[1:]:
            assert "\0" not in fill_in(argument, dict.fromkeys(PLACEHOLDERS, "x"))
    return rules


@FUZZ
@given(RULES, st.dictionaries(TEXTS, VALUES, max_size=1))
@example([GOOD | {"min_score": 10**400}], {})
@example([GOOD | {"cooldown_s": 10**400}], {})
@example([GOOD | {"x" * 100_000: 1}], {})
def test_any_tree_works_or_is_refused_in_one_line(
    tmp_path: Path, rules: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(toml_file(more | {"rule": rules}).encode())
    load(path)


@FUZZ
@given(st.binary() | TEXTS.map(str.encode))
@example(b"a = " + b"[" * 100_000)
@example(b"\xff\xfe[[rule]]")
def test_any_bytes_work_or_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    load(path)


@pytest.mark.parametrize("placeholder", ["{label}", "{label:}", "x {label:}"])
def test_another_way_to_write_the_label_is_checked_as_well(tmp_path: Path, placeholder: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(toml_file({"rule": [{"label": "a$(b)", "command": ["sh", "-c", placeholder]}]}))
    with pytest.raises(RulesError, match="holds more than letters"):
        load_rules(path, WORDS)


def test_braces_that_stand_for_themselves_bring_no_label_in(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(toml_file({"rule": [{"label": "a$(b)", "command": ["sh", "{{label}}"]}]}))
    (rule,) = load(path)
    assert fill_in(rule.command[1], {"label": "a$(b)"}) == "{label}"
