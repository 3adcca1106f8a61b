"""The pages build as a site: strictly, without a warning and without anything from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("material")
pytest.importorskip("mkdocstrings")
ROOT = Path(__file__).resolve().parents[2]
FETCHED = re.compile(r'<(?:link|script|img|iframe)\b[^>]*?(?:href|src)="(https?:)?//([^"/]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_there_and_fetches_nothing(site: Path) -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        page = (site / path.relative_to(ROOT / "docs")).with_suffix(".html")
        text = page.read_text(encoding="utf-8")
        assert [found[2] for found in FETCHED.finditer(text) if "canonical" not in found[0]] == [], page.name


def test_the_search_finds_a_command_and_a_class(site: Path) -> None:
    index = (site / "search/search_index.json").read_text(encoding="utf-8")
    assert "false-accepts-per-hour" in index
    assert "speechcmd.Recognizer" in index
