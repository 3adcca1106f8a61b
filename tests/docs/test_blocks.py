"""Every command block of the pages runs, or says why it is not run by a test."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from page_blocks import ROOT, Block, blocks_of, pages, run_block
from page_folders import FOLDERS, copy_folder

PAGES = pages()
WITH_RUNS = [page for page in PAGES if any(block.folder for block in blocks_of(page))]
REASONS = ("needs ", "takes ", "fetches ", "installs ")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_block_says_how_it_is_run(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "bash":
            reason = block.comment.removeprefix("not run: ")
            is_said = block.folder in FOLDERS or block.file or reason.startswith(REASONS)
            assert is_said or block.comment.startswith("command: "), f"{block.where}: {block.comment!r}"


@pytest.mark.parametrize("page", WITH_RUNS, ids=name_of)
def test_the_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of(page)
    names = {"blocks": [np.zeros(1600, np.float32)] * 3}
    printed = ""
    for block in blocks:
        if block.comment == "output":
            assert set(block.text.splitlines()) <= set(printed.splitlines()), block.where
        if block.folder is None:
            continue
        folder = tmp_path / block.folder
        if not folder.exists():
            copy_folder(block.folder, folder)
            write_files(blocks, folder)
            monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
        monkeypatch.chdir(folder)
        printed = run_block(block, folder, names)


def write_files(blocks: list[Block], folder: Path) -> None:
    for block in blocks:
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
