"""The walks of the page of the architecture name files that are there, and that are passed on the way."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from click.testing import CliRunner
from page_blocks import ROOT
from page_folders import examples_folder

from speechcmd.cli.main import cli

PAGE = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
# what a recording instead of a microphone, one process and no rules leave out
NOT_IN_THIS_RUN = {
    "speechcmd/runtime/microphone/device.py", "speechcmd/runtime/microphone/open_microphone.py",
    "speechcmd/runtime/listening/rule_runner.py", "speechcmd/runtime/listening/clip_saver.py",
    "speechcmd/cli/console/live_view.py",
}  # fmt: skip


def files_of(walk: str) -> list[str]:
    """Files that a walk names, in order."""
    _, _, below = PAGE.partition(f"### {walk}\n")
    return re.findall(r"`([\w/]+\.py)`", below.partition("\n#")[0])


@contextmanager
def files_that_run() -> Iterator[set[str]]:
    """The files of the repository of which a function is called meanwhile."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


def test_every_file_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 60
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(
    ("walk", "arguments"),
    [
        ("A recording through `transcribe`", ("transcribe", "recordings/talk.wav")),
        ("A microphone block through `listen`", ("listen", "--input-file", "recordings/talk.wav")),
    ],
)
def test_they_are_passed(walk: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(examples_folder())
    with files_that_run() as called:
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    passed = {str(Path(name).relative_to(ROOT)) for name in called if name.startswith(f"{ROOT}/")}
    assert set(files_of(walk)) - NOT_IN_THIS_RUN - passed == set()
