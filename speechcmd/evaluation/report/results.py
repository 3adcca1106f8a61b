"""The results in a report folder, read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.provenance import SCHEMA
from speechcmd.json_toml import parse_json

KINDS = ("clips", "stream", "robustness")


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what was measured, by kind; the dict is empty if nothing was.

    Raises
    ------
    EvaluationError
        If there is no such folder, or a result cannot be read.
    """
    if not folder.is_dir():
        raise EvaluationError(no_results(folder))
    paths = [folder / f"{kind}.json" for kind in KINDS]
    return {path.stem: _read_result(path) for path in paths if path.exists()}


def no_results(folder: Path) -> str:
    """What is wrong with a folder without results."""
    names = ", ".join(f"{kind}.json" for kind in KINDS)
    return (
        f"{printable(str(folder))}: expected a report folder with {names} or some of them, "
        "found none; make one with `speechcmd evaluate SOURCE --report DIR`"
    )


def _read_result(path: Path) -> dict[str, Any]:
    try:
        result = parse_json(path.read_bytes())
    except ValueError:
        raise EvaluationError(_damaged(path, "it is not JSON")) from None
    if not isinstance(result, dict) or result.get("kind") != path.stem:
        raise EvaluationError(_damaged(path, f'"kind" is not "{path.stem}"'))
    if result.get("schema") != SCHEMA:
        raise EvaluationError(_damaged(path, f"expected schema {SCHEMA}, got {result.get('schema')!r:.20}"))
    return result


def _damaged(path: Path, why: str) -> str:
    return f"{printable(str(path))}: not a result that this version can read ({why}); measure again"


@contextmanager
def refuse_unreadable(kinds: Iterable[str]) -> Iterator[None]:
    """Say in one line that a result lacks what it should hold, whatever the block stumbles over."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        names = " or ".join(f"{kind}.json" for kind in kinds)
        why = f"{type(error).__name__}: {error}"
        raise EvaluationError(
            f"{names}: something is missing or not what it should be ({printable(why):.100}); measure again"
        ) from error
