"""Typed records: what fits becomes one, what does not is told in one line that names the field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from speechcmd.typed import as_plain, as_type, check_schema, describe, required_fields

pytestmark = pytest.mark.runtime

Share = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Point:
    threshold: Share
    n_events: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True)
class Result:
    """As a file holds it."""

    name: Annotated[str, Meta(min_length=1)]
    kind: Literal["clips", "stream"]
    points: tuple[Point, ...] = ()
    by_label: dict[str, Share] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    best: Point | None = None
    licence: Annotated[str, Meta(pattern="^[A-Z]", description="a licence such as CC-BY-4.0")] = "MIT"

    def __post_init__(self) -> None:
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval: expected the lower end first, got {list(self.interval)}")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epochs: Annotated[int, Meta(ge=1)] = 1


WHOLE: dict[str, Any] = {
    "name": "cnn",
    "kind": "clips",
    "points": [{"threshold": 0.5}, {"threshold": 1, "n_events": 3}],
    "by_label": {"yes": 0.25},
    "interval": [0.1, 0.2],
}


def test_what_fits_becomes_a_record_and_plain_values_again() -> None:
    record = as_type(WHOLE, Result)
    assert record == Result("cnn", "clips", (Point(0.5), Point(1.0, 3)), {"yes": 0.25}, (0.1, 0.2))
    assert as_type(json.loads(json.dumps(as_plain(record))), Result) == record


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": 3}, "name: expected text that is not empty, got 3"),
        ({"name": ""}, "name: expected text that is not empty, got ''"),
        ({"kind": "songs"}, "kind: expected one of clips, stream, got 'songs'"),
        ({"points": 7}, "points: expected a list, got 7"),
        ({"points": [{"threshold": 0.5}, {"threshold": 2}]}, "points[1].threshold: expected a number from 0 to 1, got 2"),
        ({"points": [{}]}, "points[0].threshold: expected a number from 0 to 1, got nothing"),
        ({"points": ["x"]}, "points[0]: expected a table, got 'x'"),
        ({"points": [{"threshold": 1, "n_events": -1}]}, "points[0].n_events: expected a whole number of at least 0, got -1"),
        ({"points": [{"threshold": 1, "n_events": 1.5}]}, "points[0].n_events: expected a whole number of at least 0, got 1.5"),
        ({"by_label": {"yes": 1.5}}, "by_label.yes: expected a number from 0 to 1, got 1.5"),
        ({"interval": [0.1, "x"]}, "interval[1]: expected a number, got 'x'"),
        ({"interval": [0.3, 0.2]}, "interval: expected the lower end first, got [0.3, 0.2]"),
        ({"best": {"threshold": -1}}, "best.threshold: expected a number from 0 to 1, got -1"),
        ({"licence": "mine"}, "licence: expected a licence such as CC-BY-4.0, got 'mine'"),
        ({"name": "x" * 0, "kind": None}, "name: expected text that is not empty, got ''"),
    ],
)  # fmt: skip
def test_the_first_fault_is_named(change: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        as_type(WHOLE | change, Result)
    assert str(caught.value) == line


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"^kind: expected one of clips, stream, got nothing$"):
        as_type({"name": "cnn"}, Result)


def test_what_is_no_table_at_all() -> None:
    with pytest.raises(ValueError, match=r"^expected a table, got \[1\]$"):
        as_type([1], Result)


def test_unknown_fields_are_refused_where_they_must_be() -> None:
    assert as_type(WHOLE | {"later": 1}, Result) == as_type(WHOLE, Result)
    with pytest.raises(ValueError, match=r"^epoch: unknown name, expected epochs; did you mean epochs\?$"):
        as_type({"epoch": 3}, Strict)


@pytest.mark.parametrize(
    ("found", "shown"), [({"schema": 2}, "2"), ({"schema": True}, "True"), ({}, "nothing")]
)
def test_another_schema_is_refused(found: dict[str, Any], shown: str) -> None:
    check_schema({"schema": 1}, 1)
    check_schema([], 1)
    with pytest.raises(ValueError, match=f"^schema: expected 1, which this version reads, got {shown}$"):
        check_schema(found, 1)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        as_type(WHOLE | {"kind": "x" * 1000}, Result)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("name", ["\x1b[31m", "a\nb", "\u202eb", "x" * 1000])
def test_names_of_others_are_shown_safely(name: str) -> None:
    for content, kind in ((WHOLE | {"by_label": {name: 2}}, Result), ({name: 2}, Strict)):
        with pytest.raises(ValueError, match="expected") as caught:
            as_type(content, kind)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[float, Meta(gt=0, lt=1)], "a number over 0 and under 1"),
        (Annotated[float, Meta(gt=0, le=1)], "a number over 0 and at most 1"),
        (Annotated[int, Meta(le=9)], "a whole number of at most 9"),
        (Annotated[int, Meta(ge=1, le=2**31)], "a whole number from 1 to 2147483648"),
        (Annotated[list[int], Meta(min_length=2, max_length=2)], "a list of 2 entries"),
        (Annotated[str, Meta(pattern="^a+$")], "text like ^a+$"),
        (bool | None, "true or false or nothing"),
        (Literal["v1"], "v1"),
        (str | msgspec.UnsetType, "text"),
        (dict[str, int], "a table"),
    ],
)
def test_types_in_words(kind: Any, words: str) -> None:
    assert describe(kind) == words


def test_required_fields() -> None:
    assert required_fields(Result) == ["name", "kind"]
    assert required_fields(Strict) == []
