"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import find_speechcmd, heed_interrupts

from speechcmd.files import (
    is_part,
    open_text,
    remove_leftovers,
    replace_folder,
    scratch_folder,
    whole_folder,
    write_bytes,
    write_text,
)

pytestmark = pytest.mark.runtime


class BrokenError(Exception):
    """What a test raises in the middle of a block."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path) -> None:
    with open_text(path) as file:
        file.write("half")
        file.flush()
        raise BrokenError


def test_text_and_bytes_are_written_as_given(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "å\nb\n")
    write_bytes(tmp_path / "b", b"\x00\r\n")
    write_text(tmp_path / "c", "\udcff", errors="surrogateescape")  # a name of a file that is no UTF-8
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa5\nb\n"
    assert (tmp_path / "b").read_bytes() == b"\x00\r\n"
    assert (tmp_path / "c").read_bytes() == b"\xff"
    assert names(tmp_path) == ["a", "b", "c"]


def test_until_the_end_the_old_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with open_text(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
        assert [is_part(name) for name in names(tmp_path)] == [True, False]
    assert path.read_text() == "new"


def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(BrokenError):
        write_half(path)
    assert (path.read_text(), names(tmp_path)) == ("old", ["out.csv"])


def test_a_file_of_the_user_with_the_usual_name_of_a_part_survives(tmp_path: Path) -> None:
    mine = tmp_path / "talk.txt.part"
    mine.write_text("mine")
    write_text(tmp_path / "talk.txt", "words")
    assert mine.read_text() == "mine"


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even for somebody who could foresee the name."""
    victim, path = tmp_path / "victim", tmp_path / "out.csv"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    (tmp_path / ".out.csv.0000000000000000.speechcmd-part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(path, "words")
    assert victim.read_text() == "precious"
    assert not path.exists()
    assert len(names(tmp_path)) == 2


def test_two_writers_write_whole_files_and_the_last_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with open_text(path) as first, open_text(path) as second:
        for number in range(1000):
            first.write(f"first {number}\n")
            second.write(f"second {number}\n")
    # the inner block ended first
    assert path.read_text() == "".join(f"first {number}\n" for number in range(1000))


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "")
        with whole_folder(tmp_path / "folder"):
            pass
        (tmp_path / "private").write_text("")
        (tmp_path / "private").chmod(0o600)
        write_text(tmp_path / "private", "x")
        (tmp_path / "open").write_text("")
        (tmp_path / "open").chmod(0o666)
        write_text(tmp_path / "open", "x")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names(tmp_path)}
    assert modes == {"new": 0o640, "folder": 0o750, "private": 0o600, "open": 0o666}


def test_a_link_that_the_user_names_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "latest.csv"
    link.symlink_to(Path("far") / "out.csv")
    write_text(link, "first", follow=True)  # leads to nothing yet
    write_text(link, "second", follow=True)
    assert link.is_symlink()
    assert (tmp_path / "far" / "out.csv").read_text() == "second"
    assert names(tmp_path / "far") == ["out.csv"]


def test_a_link_or_pipe_where_a_file_of_ours_belongs_gives_way(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "config.toml"
    victim.write_text("precious")
    victim.chmod(0o600)
    path.symlink_to(victim)
    write_text(path, "ours")
    os.mkfifo(tmp_path / "pipe")
    write_text(tmp_path / "pipe", "ours")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("precious", "ours", False)
    assert (tmp_path / "pipe").read_text() == "ours"


def test_a_device_is_written_to_and_a_folder_is_refused(tmp_path: Path) -> None:
    write_text(Path(os.devnull), "gone", follow=True)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path, b"")


def test_a_pipe_gets_each_line_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open_text(pipe, follow=True) as file:
            file.write("line\n")
            assert os.read(reader, 99) == b"line\n"
    finally:
        os.close(reader)


def test_names_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("å" * 127)
    write_text(path, "x")
    with whole_folder(tmp_path / ("b" * 255)) as folder:
        (folder / "a").write_text("x")
    assert len(names(tmp_path)) == 2
    assert remove_leftovers(tmp_path, of=path.name) == 0


def test_a_full_disk_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    code = f"""
import resource, signal
from pathlib import Path
from speechcmd.files import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path({str(tmp_path / "out")!r}), "x" * 5000)
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert names(tmp_path) == []


def test_a_folder_appears_whole_in_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.mkdir()
    (path / "old").write_text("")
    with whole_folder(path) as new:
        (new / "inner").mkdir()
        (new / "inner" / "file").write_text("")
        assert names(path) == ["old"]
    assert (names(path), names(tmp_path)) == (["inner"], ["store"])


def test_a_folder_that_fails_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.mkdir()
    (path / "old").write_text("")

    def fill() -> None:
        with whole_folder(path) as new:
            (new / "new").write_text("")
            raise BrokenError

    with pytest.raises(BrokenError):
        fill()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "nothing", path)
    assert (names(path), names(tmp_path)) == (["old"], ["store"])


def test_scratch_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "x.wav") as scratch:
        assert scratch.parent == tmp_path
        (scratch / "x").write_text("")
    assert names(tmp_path) == []


HOLD = """
import sys, time
from pathlib import Path
from speechcmd.files import open_text, scratch_folder
with open_text(Path("out.csv")) as file, scratch_folder(Path("store")) as scratch:
    (scratch / "inner").mkdir()
    file.write("half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    """A process in the middle of writing a file and a folder."""
    find_speechcmd(monkeypatch)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate()


def test_an_interrupted_writer_removes_its_parts(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    end(writer, signal.SIGINT)
    assert names(tmp_path) == []


def test_parts_of_a_killed_writer_are_removed_and_those_of_a_living_one_are_not(
    writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    (tmp_path / ".other.part").write_text("mine")
    try:
        assert remove_leftovers(tmp_path) == 0
    finally:
        end(writer, signal.SIGKILL)
    assert len(names(tmp_path)) == 3
    assert remove_leftovers(tmp_path, of="store") == 1
    assert remove_leftovers(tmp_path, of="out") == 0
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == [".other.part"]
    assert remove_leftovers(tmp_path / "none") == 0


def test_a_writer_whose_new_part_was_taken_for_left_begins_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a part and holding it there is a moment in which another process may look."""
    import fcntl

    flock, n_calls = fcntl.flock, 0

    def look_first(number: int, how: int) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            assert remove_leftovers(tmp_path) == 1
        flock(number, how)

    monkeypatch.setattr("speechcmd.files.fcntl.flock", look_first)
    write_text(tmp_path / "out", "whole")
    n_calls = 0
    with whole_folder(tmp_path / "folder"):
        pass
    assert names(tmp_path) == ["folder", "out"]
    assert (tmp_path / "out").read_text() == "whole"


def test_many_writers_of_one_file_never_show_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_speechcmd(monkeypatch)
    code = "\n".join(
        (
            "import sys",
            "from pathlib import Path",
            "from speechcmd.files import write_text, remove_leftovers",
            "for number in range(50):",
            "    write_text(Path('out'), sys.argv[1] * 20000)",
            "    remove_leftovers(Path('.'))",
        )
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, letter], cwd=tmp_path) for letter in "abc"]
    seen = set()
    deadline = time.monotonic() + 60
    while any(one.poll() is None for one in writers) and time.monotonic() < deadline:
        if (tmp_path / "out").exists():
            seen.add((tmp_path / "out").read_text())
    assert [one.wait() for one in writers] == [0, 0, 0]
    assert seen <= {letter * 20000 for letter in "abc"}
    assert names(tmp_path) == ["out"]
