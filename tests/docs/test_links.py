"""Every relative link of every Markdown file leads to a file, and every anchor to a heading."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "examples", "recipes", "speechcmd", "tests", "benchmarks")


def markdown_files() -> list[Path]:
    below = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]
    return [*sorted(ROOT.glob("*.md")), *below]


def tokens_of(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def links_of(text: str) -> list[str]:
    found = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in tokens_of(text)]
    in_html = re.findall(r'(?:href|src)="([^"]+)"', text)
    return [link for link in (*found, *in_html) if link]


@functools.cache
def anchors_of(path: Path) -> frozenset[str]:
    """Names of the headings, as GitHub and mkdocs make them."""
    text = path.read_text(encoding="utf-8")
    tokens = list(tokens_of(text))
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    plain = [re.sub(r"[`*]", "", heading).lower() for heading in headings]
    made = {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}
    return frozenset(made | set(re.findall(r'(?:id|name)="([^"]+)"', text)))


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_has_its_target(path: Path) -> None:
    broken = []
    for link in links_of(path.read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (parts.fragment and parts.fragment not in anchors_of(target)):
            broken.append(link)
    assert not broken


def test_no_page_names_a_page_that_is_gone() -> None:
    """Also where code, tests and recipes name one without a link."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.split()
    files = [ROOT / name for name in listed if name.endswith((".py", ".toml", ".yml", ".md", ".jinja"))]
    for file in files:
        if not file.exists():
            continue
        for name in re.findall(r"\bdocs/[\w./-]+\.md\b", file.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{file.relative_to(ROOT)}: {name}"
