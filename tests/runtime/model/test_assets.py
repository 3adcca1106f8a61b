"""The released models as they lie in the package: licences, sizes, cards, and figures of these very files."""

from __future__ import annotations

import hashlib
import re

import pytest

from speechcmd.runtime.model.model_file import ASSETS, DEFAULT_MODEL, load_model_file, released_models
from speechcmd.runtime.model.released import read_figures

pytestmark = pytest.mark.runtime

MAX_ASSETS_BYTES = 4_000_000
NAMES = released_models()


def digest_of(name: str) -> str:
    return hashlib.sha256((ASSETS / f"{name}.onnx").read_bytes()).hexdigest()


def notice_entries() -> list[str]:
    """Its paragraphs, each on one line."""
    text = (ASSETS / "NOTICE").read_text(encoding="utf-8")
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text)]


def test_the_default_is_among_them() -> None:
    assert DEFAULT_MODEL in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_attributed_with_its_licence(name: str) -> None:
    _, card = load_model_file(name)
    assert card.data
    for source in card.data:
        entries = [
            entry for entry in notice_entries() if re.search(rf"{re.escape(source.url)}(?![\w/-])", entry)
        ]
        assert len(entries) == 1, f"{name}: {source.name}: {source.url} in {len(entries)} entries of NOTICE"
        assert source.licence in entries[0], f"{name}: {source.name}: {source.licence}"


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_its_name_says(name: str) -> None:
    _, card = load_model_file(name)
    assert card.name == name
    assert card.licence == "Apache-2.0"
    assert (ASSETS / f"{name}.md").read_text(encoding="utf-8").count(f"# Model card: {name}\n") == 1


def test_figures_are_of_these_files() -> None:
    """All models have figures and a card of these bytes, or none has."""
    figures = {name: read_figures(name, digest_of(name)) for name in NAMES}  # another digest is an error
    if any(figures.values()):
        assert {name for name, found in figures.items() if found is None} == set()
        for name in NAMES:
            assert f"sha256 `{digest_of(name)}`" in (ASSETS / f"{name}.md").read_text(encoding="utf-8")


def test_there_is_nothing_else_and_it_is_small() -> None:
    files = [path for path in ASSETS.iterdir() if path.is_file()]
    expected = {"NOTICE", "negatives.ogg", "negatives.csv"} | {
        f"{name}.{suffix}" for name in NAMES for suffix in ("onnx", "md", "json")
    }
    assert {path.name for path in files} <= expected
    assert sum(path.stat().st_size for path in files) < MAX_ASSETS_BYTES
