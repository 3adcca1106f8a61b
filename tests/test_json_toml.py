"""Reading JSON and TOML of others: every text gives a value or a one-line ValueError."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.json_toml import MOST_LEVELS, check_integers, parse_json, parse_toml, read_json_table

ROOT = Path(__file__).resolve().parents[1]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('ab"\\\n\u00e9')
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner))
DEEP = [
    "[" * n_levels + "]" * n_levels for n_levels in (MOST_LEVELS + 2, 900, 990, 100_000)
]  # with 900 Python parses, but cannot copy


@given(VALUES)
def test_json_gives_what_the_standard_library_gives(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@settings(max_examples=40, deadline=None)
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.text(alphabet='[]{}"=.,:-+_0123456789aetu\n\\').map(str.encode)
)
def test_any_bytes_give_a_value_or_one_line(content: bytes) -> None:
    for parse in (parse_json, parse_toml):
        message = ""
        try:
            parse(content)
        except ValueError as error:
            message = str(error)
        assert message.isprintable()


@pytest.mark.parametrize("brackets", DEEP, ids=len)
def test_deep_brackets_are_refused(brackets: str) -> None:
    with pytest.raises(ValueError, match=f"deeper than {MOST_LEVELS} levels"):
        parse_json(brackets)
    with pytest.raises(ValueError, match=f"deeper than {MOST_LEVELS} levels"):
        parse_toml(f"a = {brackets}".encode())


def test_what_is_nested_as_deep_as_allowed_is_read() -> None:
    brackets = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert parse_json(brackets) == json.loads(brackets)
    assert list(parse_toml(f"a = {brackets[1:-1]}".encode())) == ["a"]


@pytest.mark.parametrize("number", ["9223372036854775808", "0x" + "f" * 5000, "-1" + "0" * 400, "1" * 5000])
def test_whole_numbers_beyond_64_bits_are_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"64 bits|digits"):
        parse_toml(f"a = [{{b = {number}}}]".encode())


def test_64_bits_and_a_byte_order_mark_are_read() -> None:
    assert parse_toml(b"\xef\xbb\xbfa = 9223372036854775807") == {"a": 2**63 - 1}
    check_integers([1, {"a": -(2**63) + 1}, "1" * 5000])


def test_nothing_else_parses() -> None:
    """Whoever parses elsewhere meets `RecursionError` again."""
    for room in ("speechcmd", "data_prep", "models"):
        for path in (ROOT / room).rglob("*.py"):
            if path.name != "json_toml.py":
                assert not re.search(r"\bjson\.loads?\(|\btomllib\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b'{"a": [1]}', {"a": [1]}), (b"[1]", {}), (b"{", {}), (b"\xff", {}), (b"[" * 100_000, {}), (None, {})],
)
def test_a_table_of_a_file_that_may_hold_anything(
    tmp_path: Path, content: bytes | None, expected: dict[str, object]
) -> None:
    if content is not None:
        (tmp_path / "file.json").write_bytes(content)
    assert read_json_table(tmp_path / "file.json") == expected
