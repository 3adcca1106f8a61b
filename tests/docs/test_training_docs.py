"""The two loops of docs/dataset.md run, and train the same weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from toy_run import WORDS, toy_store_path

from speechcmd.cli.commands.export import export as export_command
from speechcmd.cli.commands.train import train as train_command
from speechcmd.training.settings.catalogue import SETTINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def python_blocks(page: str) -> list[str]:
    return re.findall(
        r"^```python\n(.+?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_both_loops_train_the_same_weights() -> None:
    without, with_loader = python_blocks("dataset.md")
    states = []
    for block in (without, with_loader):
        names: dict[str, Any] = {"STORE": toy_store_path(), "WORDS": WORDS}
        exec(compile(block, "docs/dataset.md", "exec"), names)
        states.append(names["network"].state_dict())
        assert torch.isfinite(names["loss"])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert without.startswith("# without")
    assert "DataLoader" not in without.partition("\n")[2]
    assert len(with_loader.splitlines()) < 0.7 * len(without.splitlines())


def test_the_page_names_every_option() -> None:
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    for command in (train_command, export_command):
        for option in command.params:
            switches = [name for name in option.opts if name.startswith("--")]
            negative = [name for name in option.secondary_opts if name.startswith("--no-")]
            for name in negative or switches:
                assert f"`{name}" in page, name


def test_the_page_names_every_setting() -> None:
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    for name in SETTINGS:
        assert f"`{name.removeprefix('augment.')}`" in page, name


def test_every_link_between_pages_has_its_target() -> None:
    for path in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        for page, anchor in re.findall(
            r"\]\(([\w/.]*\.md)?(?:#([\w-]+))?\)", path.read_text(encoding="utf-8")
        ):
            target = path.parent / page if page else path
            assert target.exists(), f"{path.name}: {page}"
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            names = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in names, f"{path.name}: {page}#{anchor}"
