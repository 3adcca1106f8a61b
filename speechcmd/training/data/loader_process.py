"""What loader processes need of the system, and one line where it is missing: torch would wait for ever."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from speechcmd.errors import TrainingError

_T = TypeVar("_T")

LONGEST_BATCH_S = 300.0  # a batch takes milliseconds; a process whose answer was lost never answers
_BATCHES_AHEAD = 3  # of each process: two that wait and the one that is used


def check_shared_memory(batch: Iterable[object], n_workers: int) -> None:
    """Try whether batches like this one can be handed over by so many processes.

    Raises
    ------
    TrainingError
        If the system gives no semaphore or not enough shared memory, as containers do.
    """
    n_bytes = sum(part.nbytes for part in batch if isinstance(part, Tensor)) * _BATCHES_AHEAD * n_workers
    try:
        multiprocessing.Lock()
        torch.empty(max(n_bytes, 1), dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"{n_workers} loader processes need {max(n_bytes / 1e6, 0.1):.1f} MB of shared memory (/dev/shm) "
            "to hand over their batches, and the system does not give it; train with --workers 0, or give "
            "the container more (docker run --shm-size 1g)"
        ) from error


def until_lost(batches: Iterable[_T]) -> Iterator[_T]:
    """Pass on batches.

    Raises
    ------
    TrainingError
        If a loader process was killed, or none came for `LONGEST_BATCH_S`.
    """
    try:
        yield from batches
    except RuntimeError as error:
        if not str(error).startswith("DataLoader "):  # torch has no type for it
            raise
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"a loader process was lost ({reason}); go on with --resume, and with --workers 0 if it happens "
            "again"
        ) from error
