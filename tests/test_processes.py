"""Work in several processes: its order, its errors, and that nothing of it hangs or is left over."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing.synchronize
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from pool_work import (
    add_begun,
    begin_with,
    count_up,
    die_while_answering,
    fail_at_three,
    own_id,
    square_slowly_at_first,
    wait_to_be_killed,
)

from speechcmd.errors import CorpusError
from speechcmd.processes import WorkerLostError, emit_from_processes, map_in_order

pytestmark = pytest.mark.runtime
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def children() -> set[int]:
    return {process.pid or 0 for process in multiprocessing.active_children()}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert children() == set()


@pytest.mark.parametrize("n_processes", [1, 3])
def test_results_come_in_the_order_of_the_tasks(n_processes: int) -> None:
    results = map_in_order(square_slowly_at_first, range(20), n_processes)
    assert list(results) == [number * number for number in range(20)]
    assert list(map_in_order(square_slowly_at_first, [], n_processes)) == []


def test_tasks_are_asked_for_as_they_are_needed() -> None:
    """A corpus may be large."""
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(1_000):
            taken.append(number)
            yield number

    results = map_in_order(square_slowly_at_first, tasks(), 2)
    assert next(results) == 0
    assert len(taken) < 20
    results.close()


def test_each_process_begins_with_what_it_is_given() -> None:
    results = map_in_order(add_begun, [1, 2], 2, begin=begin_with, arguments=(40,), start_method="spawn")
    assert list(results) == [41, 42]


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(CorpusError, match="three is no number"):
        list(map_in_order(fail_at_three, range(10), 2))


@posix
def test_a_process_that_is_killed_in_the_middle_of_its_answer_keeps_nobody_waiting() -> None:
    results = map_in_order(die_while_answering, range(4), 2)
    assert next(results) == b"\0"
    time.sleep(0.5)
    with pytest.raises(WorkerLostError, match="was killed by signal 14"):
        list(results)


@posix
def test_a_killed_process_is_an_error() -> None:
    results = map_in_order(own_id, range(100), 1)
    os.kill(next(results), signal.SIGKILL)
    with pytest.raises(WorkerLostError, match="was killed by signal 9"):
        list(results)


def test_no_semaphore_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be had where /dev/shm is missing, full or read-only, as in some containers."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", refuse)
    with pytest.raises(OSError, match="Read-only"):
        multiprocessing.Lock()
    assert list(map_in_order(functools.partial(pow, 2), [1, 2], 2)) == [2, 4]


def test_a_task_emits_any_number_of_events() -> None:
    told: dict[int, list[int]] = {}
    for number, event in emit_from_processes(count_up, [3, 0, 1, 2], 2):
        told.setdefault(number, []).append(event)
    assert told == {0: [0, 1, 2], 2: [0], 3: [0, 1]}


@posix
def test_an_event_comes_before_the_end_of_its_task_and_a_lost_task_is_known() -> None:
    with contextlib.closing(emit_from_processes(wait_to_be_killed, ["short", "long", "short"], 1)) as events:
        assert next(events)[0] == 0
        number, process = next(events)
        assert number == 1
        os.kill(process, signal.SIGKILL)
        with pytest.raises(WorkerLostError) as caught:
            next(events)
    assert (caught.value.task, caught.value.how) == ("long", "was killed by signal 9")


def test_processes_may_be_started_from_another_thread() -> None:
    """Only the first one may change what a signal does."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(map_in_order(abs, [-1, -2], 2)))
    thread.start()
    thread.join()
    assert found == [1, 2]
