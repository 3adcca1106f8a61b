"""Sizes as people write them: 200MB, 1.5 GB, 300000."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    _IntType = click.ParamType[int]
else:
    _IntType = click.ParamType  # older releases are not generic

_UNITS = {
    **{"": 1, "b": 1},
    **{f"{letter}{end}": 1000**power for power, letter in enumerate("kmgt", 1) for end in ("", "b")},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
_FORM = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]*)", re.IGNORECASE)
_LARGEST_BYTES = 2**63 - 1


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `200MB`, `1.5 GB`, `512 MiB` or `300000` means.

    Raises
    ------
    ValueError
        If the text is no size above 0.
    """
    match = _FORM.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    n_bytes = int(Decimal(match[1]) * unit) if match and unit else 0
    if not 0 < n_bytes <= _LARGEST_BYTES:
        raise ValueError(f"expected a size such as 200MB, 1.5GB or 300000 (bytes), got {text!r}")
    return n_bytes


class SizeType(_IntType):
    """An option's size in bytes."""

    name = "size"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the text of an option; click hands in a default that is a number as it is."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
