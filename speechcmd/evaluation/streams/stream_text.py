"""The result of a measurement on streams, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

Result = Mapping[str, Any]

_WIDTH = 80
_MOST_COLUMNS = 5


def render_stream(result: Result) -> str:
    """Lay out a result as text of at most 80 columns."""
    return "\n".join(_lines(result))


def _lines(result: Result) -> Iterator[str]:
    hours = result["hours"]
    yield (
        f"{result['model']['name']}: {len(result['recordings'])} recordings, {result['n_words']} words, "
        f"{sum(hours.values()):.2f} h outside words"
    )
    for point in result["points"]:
        yield ""
        yield from _point_lines(point)
    if result["promise"]:
        yield ""
        yield from _promise_lines(result["promise"])
    yield ""
    yield "95 % intervals. FRR: words not heard; FA/h: false accepts an hour."


def _point_lines(point: Result) -> Iterator[str]:
    if not point["reached"]:
        yield from _wrapped(f"{point['name']}: {point['note']}")
        return
    if point["target"] is not None:
        yield from _target_lines(point)
        return
    yield f"{point['name']}:"
    yield f"  {'':11s}{'words':>6s}{'FRR %':>19s}{'wrong':>6s}{'twice':>6s}{'FA/h':>19s}{'delay ms':>11s}"
    for row in [point["overall"], *point["by_label"]]:
        yield _row_line(row)
    yield from _kind_lines(point)
    for table in point["by_attribute"]:
        yield from _attribute_lines(table)
    if point["note"]:
        yield from _wrapped(f"  Note: {point['note']}.")


def _promise_lines(promise: Result) -> Iterator[str]:
    yield from _wrapped(f"Promise: {promise['n_events']} {describe_promise(promise)}.")


def _target_lines(point: Result) -> Iterator[str]:
    """What is missed at a rate: all words together, and each where there are levels to tell apart."""
    clean = point["without_homophones"]
    counted = clean["overall"] if clean else point["overall"]
    yield from _wrapped(
        f"{point['name']}: FRR {_share(point['overall'])} % ({counted['n_false']} false accepts in "
        f"{counted['hours']:.2f} h; thresholds {point['offset']:+.2f} on the logit scale)"
    )
    tables = [table for table in point["by_attribute"] if _has_levels(table)]
    for table in tables:
        yield from _attribute_lines(table)
    if not tables:
        shares = ", ".join(f"{row['label']} {_percent(row)}" for row in point["by_label"])
        yield from _wrapped(f"  FRR %: {shares}")
    if point["note"]:
        yield from _wrapped(f"  Note: {point['note']}.")


def _percent(row: Result) -> str:
    return "-" if row["false_reject_rate"] is None else f"{100 * row['false_reject_rate']:.1f}"


def _has_levels(table: Result) -> bool:
    return all(_is_number(one["value"]) for one in table["values"])


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, _WIDTH, subsequent_indent="    ")


def _row_line(row: Result) -> str:
    delay = row["delay_ms"]
    delay_text = f"{delay['median']:.0f}, {delay['p95']:.0f}" if delay else ""
    return (
        f"  {row['label']:<11.11s}{row['n_words']:6d}{_share(row):>19s}{row['n_substituted']:6d}"
        f"{row['n_duplicates']:6d}{_rate(row):>19s}{delay_text:>11s}"
    )


def _share(row: Result) -> str:
    if row["false_reject_rate"] is None:
        return "-"
    rate, low, high = (100 * row[key] for key in ("false_reject_rate", "low", "high"))
    return f"{rate:.1f} [{low:.1f}, {high:.1f}]"


def _rate(row: Result) -> str:
    if row["false_accepts_per_hour"] is None:
        return "-"
    rate, low, high = (_short(row[key]) for key in ("false_accepts_per_hour", "fa_low", "fa_high"))
    return f"{rate} [{low}, {high}]"


def _short(value: float) -> str:
    """Three figures: 0.25, 12.3, 345."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _kind_lines(point: Result) -> Iterator[str]:
    clean = point["without_homophones"]
    yield f"  {'false accepts in':<20s}{'hours':>8s}{'count':>7s}{'FA/h':>20s}" + (
        f"{'no homophones':>21s}" if clean else ""
    )
    rows = [*point["by_kind"], point["overall"] | {"kind": "all"}]
    others = [*clean["by_kind"], clean["overall"]] if clean else [None] * len(rows)
    for row, other in zip(rows, others, strict=True):
        text = f"  {row['kind']:<20.20s}{row['hours']:8.2f}{row['n_false']:7d}{_rate(row):>20s}"
        yield text + (f"{other['n_false']} in {other['hours']:.2f} h".rjust(21) if other else "")


def _attribute_lines(table: Result) -> Iterator[str]:
    """Each word at levels and the like; all words together where the values are names."""
    values = table["values"]
    yield f"  FRR % by {table['attribute']}:"
    yield "  " + " " * 11 + "".join(f"{_name(one['value']):>13s}" for one in values[:_MOST_COLUMNS])
    rows = values[0]["rows"] if _has_levels(table) else values[0]["rows"][:1]
    for number, row in enumerate(rows):
        cells = "".join(f"{_count_cell(one['rows'][number]):>13s}" for one in values[:_MOST_COLUMNS])
        yield f"  {row['label']:<11.11s}{cells}"


def _count_cell(row: Result) -> str:
    return f"{_percent(row)} of {row['n_words']}" if row["n_words"] else "-"


def _name(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)[:12]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def describe_promise(promise: Mapping[str, Any]) -> str:
    """Whether the recordings bear out what the calibration promised."""
    verdict = (
        "as promised" if promise["is_within"] else "fewer than promised" if promise["is_kept"] else "BROKEN"
    )
    return (
        f"false accepts in {promise['hours']:.2f} h without keywords, where {promise['low']} to "
        f"{promise['high']} are to be expected (95 %) after {promise['promised_events']} in "
        f"{promise['promised_hours']:.2f} h of calibration: {verdict}"
    )
