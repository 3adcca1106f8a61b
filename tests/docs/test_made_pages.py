"""What is made from the code and from figures is what the code and the figures say today."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest
from page_blocks import ROOT

from speechcmd.runtime.model.card import ModelCard

sys.path.append(str(ROOT / "docs"))
from figures_in_pages import pages_with_figures, with_figures
from reference_pages import PAGES

REFERENCE = ROOT / "docs/reference"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_reference_is_what_the_code_says(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page](), "run: python docs/reference_pages.py"


@pytest.mark.parametrize("page", pages_with_figures(), ids=lambda page: page.stem)
def test_quoted_figures_are_those_of_the_models(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == with_figures(text), "run: python docs/figures_in_pages.py"


def names_in_first_column(page: str, head: str) -> list[str]:
    _, _, below = page.partition(f"| {head} |")
    rows = below.split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_page_of_the_model_file_names_each_field_of_the_card() -> None:
    page = (REFERENCE / "model-file.md").read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(ModelCard)}
    assert set(names_in_first_column(page, "field | meaning")) == fields
