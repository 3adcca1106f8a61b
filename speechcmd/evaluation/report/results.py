"""Results as JSON: written, read again, and the ones that lie in a report folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.provenance import SCHEMA
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.streams.stream_result import StreamResult
from speechcmd.json_toml import parse_json
from speechcmd.typed import as_plain, as_type, check_schema

Result = ClipsResult | StreamResult | RobustnessResult
KINDS: dict[str, type[Result]] = {
    "clips": ClipsResult,
    "stream": StreamResult,
    "robustness": RobustnessResult,
}


@dataclass(frozen=True)
class Results:
    """What was measured on one model."""

    clips: ClipsResult | None = None
    stream: StreamResult | None = None
    robustness: RobustnessResult | None = None

    @property
    def measured(self) -> list[Result]:
        """Those that there are."""
        return [one for one in (self.clips, self.stream, self.robustness) if one]

    def with_one(self, result: Result) -> Results:
        """The same with one of them measured anew."""
        changed: dict[str, Any] = {kind_of(result): result}
        return replace(self, **changed)


def kind_of(result: Result) -> str:
    """What was measured, in one word: the name of the result's file without its suffix."""
    return next(kind for kind, one in KINDS.items() if isinstance(result, one))


def to_plain(result: Result) -> dict[str, Any]:
    """What the file of a result holds, ready for JSON; names of files that are no text become printable."""
    content: dict[str, Any] = {"kind": kind_of(result), **as_plain(result)}
    for point in content.get("points", ()):
        point["reached"] = point["reached"] == "yes"
    encodable: dict[str, Any] = make_encodable(content)
    return encodable


def from_plain(content: Any, kind: str) -> Result:
    """Read what `to_plain` gave.

    Raises
    ------
    ValueError
        If it is no result of this kind: which field, what was expected, what came.
    """
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise ValueError(f'"kind" is not "{kind}"')
    check_schema(content, SCHEMA)
    if kind == "stream" and isinstance(points := content.get("points"), list):
        content = content | {"points": [_name_state(point) for point in points]}
    return as_type(content, KINDS[kind])


def _name_state(point: Any) -> Any:
    return point | {"reached": "yes" if point.get("reached") else "no"} if isinstance(point, dict) else point


def make_encodable(value: Any) -> Any:
    """Plain values in which texts that UTF-8 has no place for are printable; other texts stay as they are."""
    if isinstance(value, str):
        is_text = value.encode(errors="replace").decode() == value
        return value if is_text else printable(value)
    if isinstance(value, dict):
        return {make_encodable(key): make_encodable(item) for key, item in value.items()}
    return [make_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def read_results(folder: Path) -> Results:
    """Read what was measured; nothing may have been.

    Raises
    ------
    EvaluationError
        If there is no such folder, or a result cannot be read.
    """
    if not folder.is_dir():
        raise no_results(folder)
    paths = [folder / f"{kind}.json" for kind in KINDS]
    found: dict[str, Any] = {path.stem: _read_result(path) for path in paths if path.exists()}
    return Results(**found)


def no_results(folder: Path) -> EvaluationError:
    """What is wrong with a folder without results."""
    names = ", ".join(f"{kind}.json" for kind in KINDS)
    return EvaluationError(
        f"expected a report folder with {names} or some of them, found none",
        path=folder,
        advice="make one with `speechcmd evaluate SOURCE --report DIR`",
    )


def _read_result(path: Path) -> Result:
    try:
        content = parse_json(path.read_bytes())
    except ValueError:
        why = "it is not JSON"
    else:
        try:
            return from_plain(content, path.stem)
        except ValueError as error:
            why = str(error)
    raise EvaluationError(
        f"not a result that this version can read ({printable(why)})", path=path, advice="measure again"
    )
