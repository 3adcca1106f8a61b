"""TOML for fuzzing: trees of any values, and their text."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text("ab {}$#.=[\n\0\x7f\u00e9\u200e\u2028\U0001f600\"'\\-", max_size=8)
SCALARS = (
    st.booleans()
    | st.integers(-5, 200)
    | st.sampled_from([2**63 - 1, 2**63, 10**400, -(10**20)])
    | st.floats()
    | TEXTS
    | st.sampled_from(["1" * 5000, "1/" + "9" * 5000, "a\0b", "a\nb", "x" * 3000, '"', "1e400", "nan"])
    | st.dates(min_value=datetime.date(1, 1, 1))
    | st.datetimes()
    | st.times()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def tables(keys: Sequence[str], likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of mostly known keys."""
    names = st.sampled_from(keys) | st.sampled_from(keys) | TEXTS
    return st.dictionaries(names, likely | VALUES, max_size=4)


def toml(value: Any) -> str:
    """One value as TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case float() if not math.isfinite(value):
            return str(value)
        case str() | bool() | float():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return hex(value) if value > 2**63 else str(value)  # the shorter one has no limit of digits
    return str(value.isoformat())


def toml_file(content: dict[str, Any]) -> str:
    """A whole file."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in content.items())
