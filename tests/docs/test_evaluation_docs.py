"""docs/evaluate.md names every option of the commands it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechcmd.cli.commands.calibrate import calibrate
from speechcmd.cli.commands.card import card
from speechcmd.cli.commands.evaluate import evaluate
from speechcmd.cli.commands.evaluate_stream import evaluate_stream
from speechcmd.cli.commands.make_stream import make_stream

PAGE = Path(__file__).resolve().parents[2] / "docs/evaluate.md"


@pytest.mark.parametrize("command", [evaluate, make_stream, evaluate_stream, calibrate, card])
def test_the_page_names_every_option(command: object) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for option in command.params:  # type: ignore[attr-defined]
        for name in (name for name in option.opts if name.startswith("--")):
            assert f"`{name}" in page, name
