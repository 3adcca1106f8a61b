"""How intervals and gaps of clips were found, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speechcmd.evaluation.clips.share_interval import BY_SPEAKER, WILSON
from speechcmd.evaluation.wording import NOTHING, as_percent

_MOST_NAMED = 5


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
