"""The one way to read JSON and TOML that somebody else may have written: a value, or one-line `ValueError`.

The parsers of Python end with `RecursionError` where brackets are nested deep enough, and a value that is
nested a little less ends what is done with it later, such as copying and showing it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_LEVELS = 64  # of brackets within brackets; nothing of ours has ten
_MOST_INTEGER = 2**63 - 1  # what TOML promises, and what numpy can hold


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, or nested deeper than `MOST_LEVELS`.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(value)
    return value


def read_json_table(path: Path) -> dict[str, Any]:
    """The object of a JSON file; an empty one if the file is missing, damaged or holds something else."""
    try:
        value = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML file, with or without the byte order mark that some editors write.

    Raises
    ------
    ValueError
        If it is not UTF-8 or not TOML, nested deeper than `MOST_LEVELS`, or holds a whole number of more
        than 64 bits.
    """
    import tomllib  # each start reads JSON, few read TOML

    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    _check_depth(tables)
    check_integers(tables)
    return tables


def check_integers(value: Any) -> None:
    """Refuse whole numbers that no 64 bits hold: they overflow a float, and may be too long to be shown.

    Raises
    ------
    ValueError
        If there is one in the value, which is not nested deeper than `MOST_LEVELS`.
    """
    if isinstance(value, int) and not -_MOST_INTEGER <= value <= _MOST_INTEGER:
        raise ValueError("a whole number has more than 64 bits")
    for inner in _inside(value):
        check_integers(inner)


_TOO_DEEP = f"brackets are nested deeper than {MOST_LEVELS} levels"


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
