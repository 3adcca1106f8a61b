"""Figures as text for people: the same in the page, in its pictures and in the model card."""

from __future__ import annotations

import math
from typing import Any

NOTHING = "–"
NOT_MEASURED = "not measured"
_UNITS = {"db": "dB", "s": "s", "ms": "ms", "hz": "Hz"}


def as_percent(share: float | None, digits: int = 1) -> str:
    """0.936 -> 93.6 %."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def as_percent_interval(low: float | None, high: float | None) -> str:
    """0.925, 0.945 -> 92.5–94.5 %."""
    return NOTHING if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"


def as_rate(rate: float | None) -> str:
    """A number of events per hour, with as many digits as say something."""
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


def join_words(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
