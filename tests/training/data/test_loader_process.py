"""Loader processes where the system is short of shared memory, or takes one away."""

from __future__ import annotations

import multiprocessing.synchronize
from collections.abc import Iterator

import pytest
import torch

from speechcmd.errors import TrainingError
from speechcmd.training.data.loader_process import check_shared_memory, until_lost

BATCH = (torch.zeros(128, 16_000), "no tensor")


def test_enough_is_enough() -> None:
    check_shared_memory(BATCH, 2)


def test_too_little_is_one_line_with_the_need_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: torch.Tensor) -> None:
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"
        )

    monkeypatch.setattr(torch.Tensor, "share_memory_", refuse)
    # 128 clips of 16,000 samples in 4 bytes, three batches for each of four processes
    with pytest.raises(TrainingError, match=r"^4 loader processes need 98.3 MB of .*/dev/shm.*--workers 0"):
        check_shared_memory(BATCH, 4)


def test_no_semaphores_is_the_same_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", refuse)
    with pytest.raises(TrainingError, match="4 loader processes need"):
        check_shared_memory(BATCH, 4)


@pytest.mark.parametrize(
    "message",
    ["DataLoader worker (pid 7) is killed by signal: Killed.", "DataLoader timed out after 300 seconds"],
)
def test_a_lost_process_is_one_line(message: str) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise RuntimeError(message)

    passed = until_lost(batches())
    assert next(passed) == 1
    with pytest.raises(TrainingError, match=r"a loader process was lost.*--resume"):
        next(passed)


def test_other_errors_stay_what_they_are() -> None:
    def batches() -> Iterator[int]:
        raise RuntimeError("out of memory")
        yield

    with pytest.raises(RuntimeError, match="out of memory"):
        list(until_lost(batches()))
