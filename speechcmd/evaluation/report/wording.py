"""Figures as text for people: the same in the page, in its pictures and in the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from speechcmd.evaluation.clips.clip_interval import BY_SPEAKER, WILSON

NOTHING = "–"
NOT_MEASURED = "not measured"
_MOST_NAMED = 5
_UNITS = {"db": "dB", "s": "s", "ms": "ms", "hz": "Hz"}


def as_percent(share: float | None, digits: int = 1) -> str:
    """0.936 -> 93.6 %."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def as_percent_interval(low: float | None, high: float | None) -> str:
    """0.925, 0.945 -> 92.5–94.5 %."""
    return NOTHING if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"


def describe_intervals(rows: Sequence[Mapping[str, Any]]) -> str:
    """How the 95 % intervals of some rows were found, in words.

    Parameters
    ----------
    rows
        Each with its "name" and "interval", which is None where there is none.
    """
    given = [row for row in rows if row["interval"]]
    ways = list(dict.fromkeys(str(row["interval"]) for row in given))
    if len(ways) < 2:
        return "".join(ways) or NOTHING
    others = [str(row["name"]) for row in given if row["interval"] == WILSON]
    more = len(others) - _MOST_NAMED
    named = ", ".join(others[:_MOST_NAMED]) + (f" and {more} others" if more > 0 else "")
    return f"{BY_SPEAKER}; {WILSON} for {named}"


def describe_clip_intervals(result: Mapping[str, Any]) -> str:
    """How the intervals of the accuracy and the recalls of clips were found."""
    accuracy = {"name": "all clips", "interval": result["accuracy"]["interval"]}
    return describe_intervals([accuracy, *({"name": row["label"], **row} for row in result["by_label"])])


def describe_gap(column: Mapping[str, Any]) -> str:
    """The largest gap between groups and what chance does, or why none is told."""
    if column["largest_gap"] is None:
        return str(column["note"])
    gap = f"largest gap {100 * column['largest_gap']:.1f} points"
    if column["chance"] is None:
        return f"{gap}; {column['note']}"
    bounds = ""
    if column["gap_low"] is not None:
        bounds = f" (95 % interval {100 * column['gap_low']:.1f} to {100 * column['gap_high']:.1f})"
    return f"{gap}{bounds}; a gap this large comes by chance in {as_percent(column['chance'])} of shuffles"


def as_rate(rate: float | None) -> str:
    """A number of events an hour, with as many digits as say something."""
    if rate is None:
        return NOTHING
    if not math.isfinite(rate):
        return "unbounded"
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def as_rate_interval(low: float | None, high: float | None) -> str:
    """0.08, 1.445 -> 0.08–1.45."""
    return NOTHING if low is None else f"{as_rate(low)}–{as_rate(high)}"


def as_number(value: Any) -> str:
    """A setting: yes and no for truth values, no zeros at the end of numbers."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def as_count(n: int, noun: str) -> str:
    """1 word, 2,310 words."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def as_duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is read with ease."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def name_attribute(attribute: str) -> str:
    """The attribute in words, without its unit: measured_snr_db -> measured signal-to-noise ratio."""
    words = attribute.split("_")
    if len(words) > 1 and words[-1] in _UNITS:
        words.pop()
    return " ".join("signal-to-noise ratio" if word == "snr" else word for word in words)


def name_value(attribute: str, value: Any) -> str:
    """A value of the attribute, with its unit where the name of the attribute ends in one."""
    unit = _UNITS.get(attribute.rpartition("_")[2])
    return f"{as_number(value)} {unit}" if unit else as_number(value)


def reached_points(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The settings that were found, and so have figures; the first is the model as it is set."""
    return [point for point in result["points"] if point["reached"]]


def join_words(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
