"""Values that somebody else may have written, as typed records: their constraints stand beside their fields.

A record is a frozen dataclass or a `msgspec.Struct`; a constraint is `Annotated[int, Meta(ge=1)]`. msgspec
converts and checks; what is wrong is said here, in one line for people: which field, what was expected, what
came. `Meta(description="a licence such as CC-BY-4.0")` says what is expected in words of its own.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

_Record = TypeVar("_Record")

_NAMES = {
    str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "nothing",
    list: "a list", tuple: "a list", dict: "a table", Mapping: "a table",
}  # fmt: skip
_LONGEST_SHOWN = 60
_LONGEST_NAME = 40


def as_type(value: Any, kind: type[_Record]) -> _Record:
    """Turn plain values, as JSON and TOML give them, into a record.

    Raises
    ------
    ValueError
        Naming the first field that is wrong, what was expected there, and what came.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_first_fault(value, kind, "") or str(error.__cause__ or error)) from None


def check_schema(content: Any, schema: int) -> None:
    """Refuse a table of another schema, before its fields are looked at; what is no table `as_type` refuses.

    Raises
    ------
    ValueError
        If its field `schema` is another number, or missing.
    """
    found = content.get("schema") if isinstance(content, Mapping) else schema
    if found != schema or isinstance(found, bool):
        raise ValueError(f"schema: expected {schema}, which this version reads, got {_shown(found)}")


def as_plain(record: Any) -> Any:
    """The plain values of a record: what JSON holds. Fields that are `UNSET` are left out."""
    return msgspec.to_builtins(record)


def describe(kind: Any) -> str:
    """What values of a type are, in words: "a whole number from 1 to 5"."""
    kind, metas = _without_metas(kind)
    for meta in metas:
        if meta.description:
            return str(meta.description)
    origin = get_origin(kind) or kind
    if origin is Literal:
        choices = [_shown(choice) if not isinstance(choice, str) else choice for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if _is_union(origin):
        return " or ".join(describe(one) for one in get_args(kind) if one is not msgspec.UnsetType)
    name = _NAMES.get(origin, "a table" if _is_record(origin) else "a value")
    return name + "".join(_range_of(meta, name == "text", name == "a list") for meta in metas)


def _range_of(meta: msgspec.Meta, is_text: bool, is_list: bool) -> str:
    if meta.min_length is not None or meta.max_length is not None:
        unit = "characters" if is_text else "entries" if is_list else "fields"
        if meta.max_length is None and meta.min_length == 1:
            return " that is not empty"
        if meta.min_length == meta.max_length:
            return f" of {meta.min_length} {unit}"
        if meta.max_length is None:
            return f" of at least {meta.min_length} {unit}"
        return f" of {meta.min_length or 0} to {meta.max_length} {unit}"
    if meta.pattern is not None:
        return f" like {meta.pattern}"
    low = meta.ge if meta.ge is not None else meta.gt
    high = meta.le if meta.le is not None else meta.lt
    if meta.ge is not None and meta.le is not None:
        return f" from {_shown_bound(low)} to {_shown_bound(high)}"
    over = "over" if meta.gt is not None else "at least"
    under = "under" if meta.lt is not None else "at most"
    bounds = [
        f"{word} {_shown_bound(bound)}" for word, bound in ((over, low), (under, high)) if bound is not None
    ]
    of = " of" if bounds and bounds[0].startswith("at") else ""
    return f"{of} {' and '.join(bounds)}" if bounds else ""


def _shown_bound(bound: float | None) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _first_fault(value: Any, kind: Any, path: str) -> str | None:
    """The line of the first fault within a value that does not fit a type; None if each part fits."""
    for name, part, part_kind in _parts(value, kind):
        error = _why_not(part, part_kind)
        if error is not None:
            shown = _shown_name(name)
            where = f"{path}.{shown}" if path and not name.startswith("[") else f"{path}{shown}"
            own = str(error.__cause__) if error.__cause__ is not None else _line(where, part_kind, part)
            return _first_fault(part, part_kind, where) or own
    return _missing_or_unknown(value, kind, path) or (None if path else _wrong_whole(value, kind))


def _wrong_whole(value: Any, kind: Any) -> str | None:
    bare, _ = _without_metas(kind)
    if _is_record(bare) and isinstance(value, Mapping):
        return None  # a check of its own failed, which says so itself
    return f"expected {describe(kind)}, got {_shown(value)}"


def _line(where: str, kind: Any, value: Any) -> str:
    return f"{where}: expected {describe(kind)}, got {_shown(value)}"


def _why_not(value: Any, kind: Any) -> msgspec.ValidationError | None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return error
    return None


def _parts(value: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """The parts of a value with their names and the types that they should have."""
    kind, _ = _without_metas(kind)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if _is_union(origin):
        for one in arguments:
            if _is_record(_without_metas(one)[0]) or get_origin(one) is not None:
                yield from _parts(value, one)
    elif _is_record(origin) and isinstance(value, Mapping):
        hints = get_type_hints(origin, include_extras=True)
        yield from ((name, value[name], hint) for name, hint in hints.items() if name in value)
    elif origin in (list, tuple) and isinstance(value, list | tuple) and arguments:
        is_fixed = origin is tuple and arguments[-1] is not Ellipsis
        kinds = arguments if is_fixed else [arguments[0]] * len(value)
        yield from ((f"[{at}]", part, one) for at, (part, one) in enumerate(zip(value, kinds, strict=False)))
    elif origin in (dict, Mapping) and isinstance(value, Mapping) and arguments:
        for name, part in value.items():
            yield f"{name}", name, arguments[0]
            yield f"{name}", part, arguments[1]


def _missing_or_unknown(value: Any, kind: Any, path: str) -> str | None:
    kind, _ = _without_metas(kind)
    if not (_is_record(kind) and isinstance(value, Mapping)):
        return None
    hints = get_type_hints(kind, include_extras=True)
    prefix = f"{path}." if path else ""
    if getattr(getattr(kind, "__struct_config__", None), "forbid_unknown_fields", False):
        for name in value:
            if name not in hints:
                known = f"expected {'one of ' if len(hints) > 1 else ''}{', '.join(hints)}"
                return f"{prefix}{_shown_name(name)}: unknown name, {known}{_nearest(name, hints)}"
    for name in required_fields(kind):
        if name not in value:
            return f"{prefix}{name}: expected {describe(hints[name])}, got nothing"
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # for messages only: it would cost each start a millisecond

    close = difflib.get_close_matches(name.lower()[:_LONGEST_NAME], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def required_fields(kind: type) -> list[str]:
    """The names of the fields of a record that have no default."""
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        fields = dataclasses.fields(kind)
        return [
            field.name for field in fields if field.default is missing and field.default_factory is missing
        ]
    return [field.name for field in msgspec.structs.fields(kind) if field.required]


def _without_metas(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    if get_origin(kind) is Annotated:
        bare, *extras = get_args(kind)
        return bare, [extra for extra in extras if isinstance(extra, msgspec.Meta)]
    return kind, []


def _is_union(origin: Any) -> bool:
    return origin in (Union, types.UnionType)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct))


def _shown_name(name: str) -> str:
    """A name of others: nothing in it may steer a terminal or fill it."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else _shown(name)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
