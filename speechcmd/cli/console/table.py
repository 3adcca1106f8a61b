"""Columns of equal width, for terminals."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[tuple[str, ...]], n_words: int) -> list[str]:
    """Lines with two spaces between columns: the first `n_words` flush left, the figures after them right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        padded = [
            cell.ljust(width) if place < n_words else cell.rjust(width)
            for place, (cell, width) in enumerate(cells)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines
