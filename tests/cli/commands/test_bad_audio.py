"""Bad recordings: each gives a result or one clear line; never a traceback, a hang or the memory a header asks for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bad_audio import EITHER, HEARD, REFUSED, RESULT, cases, encoded, make_odd_places
from click.testing import CliRunner
from fakes import toy_model
from processes import held_to_permissions

from speechcmd.audio.stream_head import check_stream_head
from speechcmd.batch.inputs import find_recordings
from speechcmd.cli.main import cli

# a note that one channel was taken is no fault; in these runs it would be raised
pytestmark = [pytest.mark.runtime, pytest.mark.filterwarnings("ignore::speechcmd.errors.AudioWarning")]

CASES = cases()
COMMANDS = ["classify", "transcribe"]
MEMORY_BYTES = 2**30
# everything must fit, the interpreter and onnxruntime included
LIMITED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
from speechcmd.cli.main import main
sys.argv[0] = "speechcmd"
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, with the model beside them."""
    folder = tmp_path_factory.mktemp("audio")
    for name, case in CASES.items():
        (folder / name).write_bytes(case.content)
    (folder / "toy.onnx").write_bytes(toy_model())
    return folder


@pytest.fixture
def odd_places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "toy.onnx").write_bytes(toy_model())
    return make_odd_places(tmp_path)


def check(folder: Path, command: str, name: str, expected: str) -> None:
    """Run one command on one name, and hold it to its contract."""
    result = CliRunner().invoke(cli, [command, "-m", str(folder / "toy.onnx"), "--json", str(folder / name)])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in ({HEARD: [0], RESULT: [0], REFUSED: [1], EITHER: [0, 1]}[expected])
    if result.exit_code == 0:
        assert result.stderr == ""
        assert all(0 <= row["score"] <= 1 and "error" not in row for row in rows)
        if command == "classify":
            assert len(rows) == 1
        if expected == HEARD:
            assert "low" in [row["label"] for row in rows]
        return
    error_line, last_line = result.stderr.splitlines()
    assert error_line.startswith("speechcmd: error: ")
    assert error_line.isprintable()
    assert len(error_line) < 10_000
    assert last_line == "speechcmd: 1 of 1 recordings failed"
    assert [row["path"] for row in rows if "error" in row] == [str(folder / name)]


def test_there_are_enough() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", CASES)
def test_a_bad_recording_is_a_result_or_one_line(folder: Path, command: str, name: str) -> None:
    check(folder, command, name, CASES[name].expected)


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_plain_file_is_a_result_or_one_line(
    tmp_path: Path, odd_places: dict[str, str], command: str
) -> None:
    for name, expected in odd_places.items():
        check(tmp_path, command, name, expected)


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
@pytest.mark.usefixtures("odd_places")
def test_a_folder_of_pipes_and_loops_is_walked_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["classify", "-m", str(tmp_path / "toy.onnx"), "--json", str(tmp_path)])
    paths = [json.loads(line)["path"] for line in result.stdout.splitlines()]
    assert paths == [
        str(tmp_path / name) for name in ("deep/er.wav/good.wav", "good.wav", "to a good one.wav")
    ]
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of files")
@pytest.mark.parametrize("command", COMMANDS)
def test_what_may_not_be_read_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "toy.onnx").write_bytes(toy_model())
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for secret in (tmp_path / "secret.wav", hidden / "secret.wav"):
        secret.write_bytes(CASES["length 4800.wav"].content)
    (tmp_path / "secret.wav").chmod(0)
    hidden.chmod(0)
    with held_to_permissions():
        for name in ("secret.wav", "hidden", "hidden/secret.wav"):
            check(tmp_path, command, name, REFUSED)
    hidden.chmod(0o700)  # or a plain user's pytest cannot remove it


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name", ["header rate 1.wav", "not audio, text.wav", "cut OGG 200.ogg", "length 0.wav"]
)
def test_standard_input_is_held_to_the_same(folder: Path, command: str, name: str) -> None:
    given = CASES[name].content
    result = CliRunner().invoke(cli, [command, "-m", str(folder / "toy.onnx"), "--json", "-"], input=given)
    assert result.exit_code == (0 if name == "length 0.wav" else 1)
    assert result.stderr.count("speechcmd: error: ") == result.exit_code
    assert all(json.loads(line)["path"] == "-" for line in result.stdout.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
@pytest.mark.parametrize("command", COMMANDS)
def test_all_at_once_in_a_gigabyte(folder: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, command, "-m", "toy.onnx", "--json", "."],
        cwd=folder,
        capture_output=True,
        timeout=60,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    *told, last_line = lines  # and nothing from the mp3 decoder, which writes notes of its own
    error_lines = [line for line in told if not line.startswith("speechcmd: note: ")]
    assert len(told) - len(error_lines) == sum("opposite" in name or "against" in name for name in CASES)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {row["path"] for row in rows if "error" in row}
    assert done.returncode == 1
    assert last_line == f"speechcmd: {len(failed)} of {len(CASES)} recordings failed"
    assert len(error_lines) == len(failed)
    assert all(line.startswith("speechcmd: error: ") for line in error_lines)
    if command == "classify":
        assert sorted(row["path"] for row in rows) == sorted(CASES)
    for name, case in CASES.items():
        assert name not in failed or case.expected in (REFUSED, EITHER)
        assert name in failed or case.expected != REFUSED


class Endless(io.RawIOBase):
    """A stream that never ends, and counts what is taken from it."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.n_taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.n_taken > 2**22:
            raise AssertionError("4 MB were taken of what is no audio")
        piece = self._start[self.n_taken :][: len(buffer)] or bytes([97]) * len(buffer)
        buffer[: len(piece)] = piece
        self.n_taken += len(piece)
        return len(piece)


@pytest.mark.parametrize("start", [b"", b"\x00\x00\x00\x20ftypM4A ", b"<!doctype html>", b"RIFF0000AVI "])
def test_a_stream_that_is_no_audio_is_refused_by_its_first_bytes(folder: Path, start: bytes) -> None:
    endless = Endless(start)
    arguments = ["transcribe", "-m", str(folder / "toy.onnx"), "-"]
    result = CliRunner().invoke(cli, arguments, input=io.BufferedReader(endless))
    assert result.exit_code == 1
    assert "not audio that soundfile can read" in result.stderr
    assert endless.n_taken < 2**20


@pytest.mark.parametrize("name", ["FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "VOC", "NIST", "RF64"])
def test_a_head_of_audio_is_not_refused(name: str) -> None:
    whole = encoded(name)
    for n_bytes in (200, 2_000, len(whole)):
        check_stream_head(whole[:n_bytes])
    check_stream_head(b"ID3\x04\x00\x00\x01\x00\x00\x00" + bytes(1_000))


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_that_lead_back_and_patterns_give_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".hidden").mkdir()
    for place in ("x.wav", "a/x.wav", "a/b/x.wav", "a/.hidden/x.wav", "a/.x.wav"):
        (tmp_path / place).write_bytes(encoded("WAV"))
    for number in range(3):  # glob.glob would find 3 ** 40 ways
        (tmp_path / "a" / f"back{number}").symlink_to(tmp_path)
    (tmp_path / "a" / "same.wav").symlink_to("x.wav")
    everything = [str(tmp_path / name) for name in ("a/b/x.wav", "a/same.wav", "a/x.wav", "x.wav")]
    for paths in (
        [str(tmp_path / "**" / "*.wav")],
        [str(tmp_path)],
        [f"{tmp_path}/a/../**/*.wav", str(tmp_path / "**" / "x.wav"), str(tmp_path)],
    ):
        found = sorted(os.path.normpath(one.path) for one in find_recordings(paths))
        assert found == everything
    (hidden,) = find_recordings([str(tmp_path / "a" / ".h*" / "*.wav")])
    assert hidden.path.endswith(".hidden/x.wav")
    assert (
        find_recordings([str(tmp_path / "a" / "back0" / "x.wav"), str(tmp_path / "x.wav")])[0].problem is None
    )
    assert len(find_recordings([str(tmp_path / "a" / "back0" / "x.wav"), str(tmp_path / "x.wav")])) == 1
