"""What the tests of runs compare, and how they look at errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from speechcmd.errors import SpeechcmdError
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint

TIMINGS = ("seconds", "clips_per_s")


def assert_same_run(a: Path, b: Path) -> None:
    """To the bit: every tensor of both checkpoints, and the metrics but for their timings."""
    for name in (LAST, BEST):
        one, other = load_checkpoint(a / name), load_checkpoint(b / name)
        assert one.keys() == other.keys()
        assert_same(one, other)
    assert metrics_of(a) == metrics_of(b)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        assert one == other


def metrics_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMINGS} for line in lines]


def failure(work: Callable[[], Any]) -> str:
    """The message of the error that `work` must end with: one line."""
    with pytest.raises(SpeechcmdError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)
