"""The example is heard as examples/expected.txt says."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechcmd import Recognizer

pytestmark = pytest.mark.runtime
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_recording_is_heard_as_expected() -> None:
    expected = (EXAMPLES / "expected.txt").read_text(encoding="utf-8").split()
    heard = [word.label for word in Recognizer.load().transcribe(EXAMPLES / "commands.flac")]
    assert heard == expected
