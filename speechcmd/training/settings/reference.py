"""The settings of a training as rows of a table for people, made from what stands beside their fields."""

from __future__ import annotations

from collections.abc import Iterator

from speechcmd.training.settings.catalogue import SETTINGS


def setting_rows(table: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Name, default, what is expected and meaning of each setting of a table of a recipe: "" or "augment"."""
    for name, setting in SETTINGS.items():
        own, _, bare = name.rpartition(".")
        if own == table:
            yield bare, setting.shown_default, setting.expected, setting.purpose
