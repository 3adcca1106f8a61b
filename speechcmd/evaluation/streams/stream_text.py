"""The result of a measurement on streams, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from speechcmd.evaluation.streams.annotation import Attribute
from speechcmd.evaluation.streams.stream_result import AttributeRates, NotReached, Point, Rates, StreamResult

_WIDTH = 80
_MOST_COLUMNS = 5


def render_stream(result: StreamResult) -> str:
    """Lay out a result as text of at most 80 columns."""
    return "\n".join(_lines(result))


def _lines(result: StreamResult) -> Iterator[str]:
    yield (
        f"{result.model.name}: {len(result.recordings)} recordings, {result.n_words} words, "
        f"{sum(result.hours.values()):.2f} h outside words"
    )
    for point in result.points:
        yield ""
        yield from _point_lines(point)
    if result.promise:
        yield ""
        yield from _wrapped(f"Promise: {result.promise.n_events} {result.promise.describe()}.")
    yield ""
    yield "95 % intervals. FRR: words not heard; FA/h: false accepts per hour."


def _point_lines(point: Point | NotReached) -> Iterator[str]:
    if isinstance(point, NotReached):
        yield from _wrapped(f"{point.name}: {point.note}")
        return
    yield from _own_lines(point) if point.target is None else _target_lines(point)
    if point.note:
        yield from _wrapped(f"  Note: {point.note}.")


def _own_lines(point: Point) -> Iterator[str]:
    yield f"{point.name}:"
    yield f"  {'':11s}{'words':>6s}{'FRR %':>19s}{'wrong':>6s}{'twice':>6s}{'FA/h':>19s}{'delay ms':>11s}"
    for row in (point.overall, *point.by_label):
        yield _row_line(row)
    yield from _kind_lines(point)
    for table in point.by_attribute:
        yield from _attribute_lines(table)


def _target_lines(point: Point) -> Iterator[str]:
    """What is missed at a rate: all words together, and each where there are levels to tell apart."""
    counted = point.promised.overall
    yield from _wrapped(
        f"{point.name}: FRR {_share(point.overall)} % ({counted.n_false} false accepts in "
        f"{counted.hours:.2f} h; thresholds {point.offset:+.2f} on the logit scale)"
    )
    tables = [table for table in point.by_attribute if _has_levels(table)]
    for table in tables:
        yield from _attribute_lines(table)
    if not tables:
        shares = ", ".join(f"{row.label} {_percent(row)}" for row in point.by_label)
        yield from _wrapped(f"  FRR %: {shares}")


def _percent(row: Rates) -> str:
    return "-" if row.false_reject_rate is None else f"{100 * row.false_reject_rate:.1f}"


def _has_levels(table: AttributeRates) -> bool:
    return all(_is_number(one.value) for one in table.values)


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, _WIDTH, subsequent_indent="    ")


def _row_line(row: Rates) -> str:
    delay = f"{row.delay_ms.median:.0f}, {row.delay_ms.p95:.0f}" if row.delay_ms else ""
    return (
        f"  {row.label:<11.11s}{row.n_words:6d}{_share(row):>19s}{row.n_substituted:6d}"
        f"{row.n_duplicates:6d}{_rate(row):>19s}{delay:>11s}"
    )


def _share(row: Rates) -> str:
    if row.false_reject_rate is None or row.low is None or row.high is None:
        return "-"
    return f"{100 * row.false_reject_rate:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _rate(row: Rates) -> str:
    if row.false_accepts_per_hour is None or row.fa_low is None or row.fa_high is None:
        return "-"
    return f"{_short(row.false_accepts_per_hour)} [{_short(row.fa_low)}, {_short(row.fa_high)}]"


def _short(value: float) -> str:
    """Three figures: 0.25, 12.3, 345."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _kind_lines(point: Point) -> Iterator[str]:
    clean = point.without_homophones
    yield f"  {'false accepts in':<20s}{'hours':>8s}{'count':>7s}{'FA/h':>20s}" + (
        f"{'no homophones':>21s}" if clean else ""
    )
    rows = [*((row.kind, row) for row in point.by_kind), ("all", point.overall)]
    others = [*clean.by_kind, clean.overall] if clean else [None] * len(rows)
    for (kind, row), other in zip(rows, others, strict=True):
        text = f"  {kind:<20.20s}{row.hours:8.2f}{row.n_false:7d}{_rate(row):>20s}"
        yield text + (f"{other.n_false} in {other.hours:.2f} h".rjust(21) if other else "")


def _attribute_lines(table: AttributeRates) -> Iterator[str]:
    """Each word at levels and the like; all words together where the values are names."""
    values = table.values[:_MOST_COLUMNS]
    yield f"  FRR % by {table.attribute}:"
    yield "  " + " " * 11 + "".join(f"{_name(one.value):>13s}" for one in values)
    rows = values[0].rows if _has_levels(table) else values[0].rows[:1]
    for number, row in enumerate(rows):
        cells = "".join(f"{_count_cell(one.rows[number]):>13s}" for one in values)
        yield f"  {row.label:<11.11s}{cells}"


def _count_cell(row: Rates) -> str:
    return f"{_percent(row)} of {row.n_words}" if row.n_words else "-"


def _name(value: Attribute) -> str:
    return f"{value:g}" if _is_number(value) else str(value)[:12]


def _is_number(value: Attribute) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
