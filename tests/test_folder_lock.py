"""One writer for a folder, between real processes."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import find_speechcmd

from speechcmd.errors import BusyError
from speechcmd.folder_lock import HOLDER_NAME, LOCK_NAME, lock_folder, lock_name

pytestmark = pytest.mark.runtime

HOLD = """
import os, sys, time
from pathlib import Path
from speechcmd.files import open_text
from speechcmd.folder_lock import lock_folder
with lock_folder(Path("run")), open_text(Path("run/best.pt")) as file:
    file.write("half")
    file.flush()
    child = os.fork() if "fork" in sys.argv else 1
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def start(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
    """A process that holds folder/run, and the id of its child if it shall have one."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    find_speechcmd(monkeypatch)
    process, _ = start(tmp_path, "train", "--run", "my run\n")
    yield process
    kill(process)


def lock(folder: Path) -> None:
    with lock_folder(folder):
        pass


def test_the_second_process_is_told_who_the_first_is(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(BusyError) as caught:
        lock(tmp_path / "run")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'run'}: process {holder.pid} on {os.uname().nodename} (")
    assert "train --run 'my run\ufffd') since 2" in message
    assert message.endswith("writes there; wait until it has ended, or choose another name")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.path) == (message, tmp_path / "run")


def test_a_dead_holder_is_no_obstacle_and_its_parts_are_removed(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    kill(holder)
    assert (tmp_path / "run" / HOLDER_NAME).exists()
    with lock_folder(tmp_path / "run"):
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [HOLDER_NAME, LOCK_NAME]
        assert json.loads((tmp_path / "run" / HOLDER_NAME).read_text())["pid"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_that_outlives_the_holder_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaders of a training that was killed live on for some seconds."""
    find_speechcmd(monkeypatch)
    process, child = start(tmp_path, "fork")
    try:
        kill(process)
        with lock_folder(tmp_path / "run", wait_s=20.0):  # the child gives it up as soon as it runs
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_waiting_ends_when_the_holder_does(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGTERM)
    with lock_folder(tmp_path / "run", wait_s=20.0):
        pass


def test_one_process_excludes_itself_too(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "run"), pytest.raises(BusyError, match=f"process {os.getpid()} "):
        lock(tmp_path / "run")
    lock(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []  # nothing came into the folder
    (tmp_path / "mine").mkdir()
    lock(tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def test_a_holder_that_says_nothing_is_another_process(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "run"):
        for text in ("", "[]", '{"pid": 1}', "\udcff"):
            (tmp_path / "run" / HOLDER_NAME).write_text(text, errors="surrogateescape")
            with pytest.raises(BusyError, match="run: another process writes there"):
                lock(tmp_path / "run")


def test_a_name_is_locked_beside_it(tmp_path: Path) -> None:
    store = tmp_path / "new" / "store"
    with lock_name(store), lock_name(store.with_name("other")):
        assert not store.exists()
        with pytest.raises(BusyError, match="store: process"), lock_name(store):
            pass
    assert list(store.parent.iterdir()) == []


def test_planted_links_are_not_followed(tmp_path: Path) -> None:
    victim, run = tmp_path / "victim", tmp_path / "run"
    victim.write_text("precious")
    run.mkdir()
    (run / HOLDER_NAME).symlink_to(victim)
    lock(run)
    (run / LOCK_NAME).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        lock(run)
    assert victim.read_text() == "precious"


def test_a_file_system_without_locks_is_written_to_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(UserWarning, match=r"run: this file system has no locks \(No locks available\)"):
        lock(tmp_path / "run")
