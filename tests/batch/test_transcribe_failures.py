"""`speechcmd transcribe -o` when something stands in the way: nothing good is lost, the rest is done."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from fakes import SAMPLE_RATE, tone_recording, toy_model
from processes import find_speechcmd

from speechcmd.cli.main import cli
from speechcmd.errors import ModelError
from speechcmd.runtime.recognition.recognizer import Recognizer

pytestmark = pytest.mark.runtime

PATIENCE_S = 30.0
BROKEN = b"RIFF and no more"
posix = pytest.mark.skipif(os.name == "nt", reason="files and messages of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: a model, and three recordings with one word each."""
    find_speechcmd(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    Path("talks").mkdir()
    for name in "abc":
        soundfile.write(f"talks/{name}.wav", tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)
    Path("broken.wav").write_bytes(BROKEN)


def run(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["transcribe", "-m", "toy.onnx", *arguments], input=given)


def real_run(*arguments: str, program: tuple[str, ...] = ("-m", "speechcmd")) -> tuple[int, str, list[str]]:
    """Exit status, standard output, and the lines of standard error, of a real process."""
    command = [sys.executable, *program, "transcribe", "-m", "toy.onnx", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr.splitlines()


def result_names(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith(".speechcmd"))


class TestOneFile:
    @posix
    def test_a_pipe_is_written_to_and_stays(self) -> None:
        os.mkfifo("pipe")
        got: list[str] = []
        reader = threading.Thread(target=lambda: got.append(Path("pipe").read_text()), daemon=True)
        reader.start()
        assert run("talks/a.wav", "--json", "-o", "pipe").output == ""
        reader.join(PATIENCE_S)
        assert '"label": "low"' in got[0]
        assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
        assert not Path("pipe.part").exists()

    @posix
    @pytest.mark.parametrize("old", ["old", None])
    def test_a_symbolic_link_stays_one(self, old: str | None) -> None:
        Path("far").mkdir()
        Path("link.srt").symlink_to("far/real.srt")
        if old is not None:
            Path("far/real.srt").write_text(old)
        assert run("talks/a.wav", "--format", "srt", "-o", "link.srt").output == ""
        assert Path("link.srt").readlink() == Path("far/real.srt")
        assert Path("far/real.srt").read_text().splitlines()[2] == "low"
        assert result_names("far") == ["real.srt"]

    @posix
    def test_the_file_of_standard_output_is_continued(self) -> None:
        Path("log").write_text("before\n")
        Path("link").symlink_to("log")
        command = [
            sys.executable,
            "-m",
            "speechcmd",
            "transcribe",
            "-m",
            "toy.onnx",
            "talks/a.wav",
            "-o",
            "link",
        ]
        with Path("log").open("a") as log:
            assert subprocess.run(command, stdout=log, check=True, timeout=PATIENCE_S).returncode == 0
            log.write("after\n")
        before, word, after = Path("log").read_text().splitlines()
        assert (before, word.split()[2], after) == ("before", "low", "after")

    @pytest.mark.parametrize("output_format", ["srt", "textgrid"])
    def test_a_broken_recording_leaves_a_whole_file_as_it_was(self, output_format: str) -> None:
        Path("good").write_text("old")
        for output in ("good", "new"):
            result = run("broken.wav", "--format", output_format, "-o", output)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.splitlines()[-1] == "speechcmd: 1 of 1 recordings failed"
        assert Path("good").read_text() == "old"
        assert not Path("new").exists()
        assert not list(Path().glob("*.part"))

    def test_a_folder_is_no_file(self) -> None:
        from speechcmd.cli.console.output import open_output

        with pytest.raises(IsADirectoryError), open_output(Path("talks")):
            pass
        assert result_names("talks") == ["a.wav", "b.wav", "c.wav"]

    @posix
    def test_closed_standard_input_is_one_line(self) -> None:
        program = f'"{sys.executable}" -m speechcmd transcribe -m toy.onnx - <&-'
        done = subprocess.run(["sh", "-c", program], capture_output=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == b"speechcmd: error: standard input is closed"


class TestFolderOrFile:
    """In a format of one recording, what may be several goes into a folder, however many there are."""

    @pytest.mark.parametrize("argument", ["one", "one/*.wav", "on?"])
    def test_a_folder_or_a_pattern_of_one(self, argument: str) -> None:
        Path("one").mkdir()
        Path("talks/a.wav").rename("one/a.wav")
        run(argument, "--format", "srt", "-o", "subs")
        assert Path("subs").is_dir()
        assert Path("subs/a.wav.srt").exists() == (argument != "on?")  # that one matches no file
        Path("file.srt").write_text("old")
        refused = run(argument, "--format", "srt", "-o", "file.srt")
        assert refused.exit_code == 2
        assert "got what may be several; give a folder: -o DIR" in " ".join(refused.stderr.split())
        assert Path("file.srt").read_text() == "old"

    def test_one_of_a_folder_may_still_go_to_standard_output(self) -> None:
        Path("one").mkdir()
        Path("talks/a.wav").rename("one/a.wav")
        assert run("one", "--format", "srt").stdout.splitlines()[2] == "low"

    def test_a_name_with_the_characters_of_a_pattern_is_one_recording(self) -> None:
        Path("talks/a.wav").rename("a[1].wav")
        assert run("a[1].wav", "--format", "srt", "-o", "a.srt").output == ""
        assert Path("a.srt").is_file()

    @posix
    def test_several_never_replace_what_is_no_folder(self) -> None:
        os.mkfifo("pipe")
        assert run("talks", "--format", "srt", "-o", "pipe").exit_code == 2


@posix
class TestOneOfMany:
    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_results_that_cannot_be_written_stop_nothing(self, jobs: str) -> None:
        long = f"talks/{'x' * 247}.flac"
        soundfile.write(long, tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)
        Path("out/a.wav.txt").mkdir(parents=True)
        Path("out/b.wav.txt").mkdir()
        Path("out/c.wav.txt.part").mkdir()  # a folder of the user
        code, stdout, lines = real_run("talks", "-o", "out", "--jobs", jobs)
        assert (code, stdout) == (1, "")
        assert lines[:2] == [
            f"speechcmd: error: talks/{name}.wav: its result cannot be written: out/{file}: Is a directory"
            for name, file in (("a", "a.wav.txt"), ("b", "b.wav.txt"))
        ]
        assert lines[2].startswith(f"speechcmd: error: {long}: its result cannot be written: ")
        assert lines[3:] == ["speechcmd: 3 of 4 recordings failed"]
        assert result_names() == ["a.wav.txt", "b.wav.txt", "c.wav.txt", "c.wav.txt.part"]
        assert "low" in Path("out/c.wav.txt").read_text()

    @pytest.mark.parametrize("output", [None, "out/"])
    def test_a_network_that_fails_on_one_stops_nothing(
        self, output: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = Recognizer.transcribe

        def fail_on_b(self: Recognizer, source: str, **options: object) -> Iterator[object]:
            yield from real(self, source, **options)  # type: ignore[arg-type]
            if source == "talks/b.wav":
                raise ModelError("the network gave what is no number")

        monkeypatch.setattr(Recognizer, "transcribe", fail_on_b)
        result = run("talks", "--format", "csv", *(["-o", output] if output else []))
        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            "speechcmd: error: talks/b.wav: the network gave what is no number",
            "speechcmd: 1 of 3 recordings failed",
        ]
        if output:
            assert result_names() == ["a.wav.csv", "c.wav.csv"]
        else:
            assert "talks/c.wav,low," in result.stdout.splitlines()[-1]

    def test_a_full_disk_ends_the_batch_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[Path] = []

        replace = Path.replace

        def full(part: Path, target: Path) -> None:
            if target.name.startswith(".speechcmd"):
                replace(part, target)
                return
            tried.append(target)
            raise OSError(errno.ENOSPC, "No space left on device", str(part))

        assert run("talks/c.wav", "-o", "out/").exit_code == 0
        monkeypatch.setattr(Path, "replace", full)
        result = run("talks", "-o", "out/")
        assert result.exit_code == 1
        assert result.stderr == "speechcmd: error: out/a.wav.txt: No space left on device\n"
        assert tried == [Path("out/a.wav.txt")]
        assert result_names() == ["c.wav.txt"]

    @pytest.mark.parametrize("output_format", ["text", "srt"])
    def test_the_old_result_of_what_is_broken_now_goes(self, output_format: str) -> None:
        arguments = ("talks", "talks/[bx].wav", "nosuch.wav", "-", "--format", output_format, "-o", "out/")
        sound = Path("talks/a.wav").read_bytes()
        Path("nosuch.wav").write_bytes(sound)
        assert run(*arguments, given=sound).exit_code == 0
        assert len(result_names()) == 5
        Path("talks/a.wav").write_bytes(BROKEN)
        Path("nosuch.wav").unlink()  # its old result is all that is left of it
        result = run(*arguments, given=BROKEN)
        assert result.stderr.splitlines()[-1] == "speechcmd: 3 of 5 recordings failed"
        assert [Path(name).name.split(".")[0] for name in result_names()] == ["b", "c", "nosuch"]

    def test_names_that_differ_in_case_only_are_refused(self) -> None:
        for name in ("d1/A.wav", "d2/a.wav"):
            Path(name).parent.mkdir()
            Path(name).write_bytes(Path("talks/a.wav").read_bytes())
        result = run("d1/A.wav", "d2/a.wav", "-o", "out/")
        assert result.exit_code == 2
        message = " ".join(result.stderr.split())
        assert (
            "d1/A.wav and d2/a.wav would both be written to out/A.wav.txt (but for upper and lower case);"
            in message
        )
        assert not Path("out").exists()


# the program, in which one recording meets a full disk while the other waits, begun
FULL_PROGRAM = """
import errno, os, pathlib, time
from speechcmd.cli.main import main
from speechcmd.runtime.recognition.recognizer import Recognizer
real = Recognizer.transcribe
def fail_on_a(self, source, **options):
    pathlib.Path("process." + str(os.getpid())).touch()
    yield from real(self, source, **options)
    if source.endswith("b.wav"):
        pathlib.Path("began").touch()
        time.sleep(60)
    while not pathlib.Path("began").exists():
        time.sleep(0.01)
    if source.endswith("a.wav"):
        raise OSError(errno.ENOSPC, "No space left on device", "out/a.wav.txt")
Recognizer.transcribe = fail_on_a
if __name__ == "__main__":
    main()
"""


@posix
def test_a_full_disk_ends_all_processes_and_their_parts() -> None:
    Path("full.py").write_text(FULL_PROGRAM)
    code, stdout, lines = real_run("talks", "-o", "out/", "--jobs", "2", program=("full.py",))
    assert (code, stdout) == (1, "")
    assert lines == ["speechcmd: error: out/a.wav.txt: No space left on device"]
    assert result_names() == []  # neither the part of b, whose process was ended
    workers = [int(path.suffix[1:]) for path in Path().glob("process.*")]
    assert len(workers) == 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
