"""The tables of settings for people say what stands beside the fields."""

from __future__ import annotations

from pathlib import Path

from speechcmd.training.settings.catalogue import SETTINGS
from speechcmd.training.settings.reference import setting_rows

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/training-settings.md"


def test_every_setting_has_a_row_with_its_default_and_purpose() -> None:
    rows = [("", *row) for row in setting_rows()] + [("augment.", *row) for row in setting_rows("augment")]
    assert [table + name for table, name, *_ in rows] == list(SETTINGS)
    assert all(cell and "|" not in cell for row in rows for cell in row[1:])


def test_rows_by_hand() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for line in (
        "| `epochs` | 40, more if there are few clips | a whole number of at least 0 | Epochs at most. |",
        "| `gain_db` | 10 | a number from 0 to 60 | Louder or quieter by up to so much. |",
        "| `deterministic` | false | true or false | Same bits on a GPU too, slower. |",
    ):
        assert line in page
    assert sum(line.startswith("## ") for line in page) == 2
