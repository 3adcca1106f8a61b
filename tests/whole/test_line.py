"""The whole line on made-up words, through the real commands."""

from __future__ import annotations

from pathlib import Path

from toy_line import run_line


def test_prepare_train_export_classify_transcribe(tmp_path: Path) -> None:
    result = run_line(tmp_path)
    assert result.accuracy > 95
    assert result.n_clips >= 150
    assert result.heard == result.expected  # one word is spoken twice and appears twice
    assert sum(result.seconds.values()) < 120  # about 20 on an idle core
