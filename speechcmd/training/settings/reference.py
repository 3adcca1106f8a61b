"""The settings of a training as tables for people, made from what stands beside their fields."""

from __future__ import annotations

from collections.abc import Iterator

from speechcmd.training.settings.catalogue import SETTINGS

HEADER = ("setting", "default", "expected", "meaning")


def setting_rows(table: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Name, default, what is expected and meaning of each setting of a table of a recipe: "" or "augment"."""
    for name, setting in SETTINGS.items():
        own, _, bare = name.rpartition(".")
        if own == table:
            yield bare, setting.shown_default, setting.expected, setting.purpose


def settings_tables() -> str:
    """All settings in Markdown: those of the training, then those of the table `augment`."""
    parts = []
    for title, table in (("Settings", ""), ("Settings in `[augment]`", "augment")):
        rows = [(f"`{name}`", *cells) for name, *cells in setting_rows(table)]
        lines = ["| " + " | ".join(row) + " |" for row in (HEADER, ("---",) * len(HEADER), *rows)]
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)
