"""`speechcmd listen`, from the command line to its lines, its clips and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from fake_sound import FakeDevice, InputStream, use
from fakes import SAMPLE_RATE, tone_recording, toy_model
from processes import heed_interrupts, heeding_interrupts

from speechcmd.cli.main import cli
from speechcmd.runtime.microphone import capture as capture_module
from speechcmd.runtime.recognition.decoder import Decoder

pytestmark = pytest.mark.runtime

WORDS = tone_recording([("low", 0.4), ("high", 1.3), ("low", 2.2), ("low", 2.9), ("high", 4.05)], 4.3)
WORD_LABELS = ["low", "high", "low", "low", "high"]
FIELDS = ["label", "start_s", "end_s", "score", "decided_s"]
WAIT_S = 20.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a model and a recording with a word in its last moment."""
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    soundfile.write("words.wav", WORDS, SAMPLE_RATE)
    return tmp_path


def call(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [command, "-m", "toy.onnx", *arguments])


def play(*arguments: str, file: str = "words.wav") -> Result:
    return call("listen", "--input-file", file, *arguments)


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def only_line(result: Result, prefix: str) -> str:
    """The one line of an error, with no traceback and no result beside it."""
    (line,) = [line for line in result.stderr.splitlines() if line.lower().startswith(prefix)]
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return line


class TestRecording:
    @pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
    def test_it_hears_what_transcribe_hears(self, rate: int, channels: int) -> None:
        import soxr

        samples = soxr.resample(WORDS, SAMPLE_RATE, rate)
        soundfile.write("other.wav", np.repeat(samples[:, None], channels, axis=1), rate)
        result = play("--json", file="other.wav")
        assert result.exit_code == 0
        expected = rows(call("transcribe", "other.wav", "--json").stdout)
        assert len(expected) == 5
        heard = rows(result.stdout)
        assert [list(row) for row in heard] == [[*FIELDS, "time"]] * 5
        for row, other in zip(heard, expected, strict=True):
            assert [row[name] for name in FIELDS if name != "score"] == [
                other[name] for name in FIELDS if name != "score"
            ]
            assert row["score"] == pytest.approx(other["score"], abs=2e-4)  # other runs of the network

    def test_as_text(self) -> None:
        result = play()
        expected = [line.split()[1:] for line in call("transcribe", "words.wav").stdout.splitlines()]
        assert [line.split()[1:] for line in result.stdout.splitlines()] == expected
        begin, end = result.stderr.splitlines()
        assert begin == "listening to words.wav (Ctrl-C ends)"
        assert end == "listened 0:04.30: words 5 (low 3, high 2), near misses 0"

    def test_labels_limit_what_may_fire(self) -> None:
        heard = rows(play("--json", "--labels", "high").stdout)
        assert [row["label"] for row in heard] == ["high", "high"]

    def test_a_recording_without_samples(self) -> None:
        soundfile.write("empty.wav", WORDS[:0], SAMPLE_RATE)
        result = play(file="empty.wav")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.splitlines()[-1] == "listened 0:00.00: no word, near misses 0"

    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            ("none.wav", "none.wav: no such file"),
            ("", "got a folder"),
            ("toy.onnx", "not audio that soundfile can read"),
        ],
    )
    def test_what_cannot_be_read_is_one_line(self, file: str, expected: str) -> None:
        result = play(file=file)
        assert result.exit_code == 1
        assert expected in only_line(result, "speechcmd: error: ")
        assert len(result.stderr.splitlines()) == 1

    def test_a_recording_that_breaks_off_keeps_what_was_heard(self, folder: Path) -> None:
        soundfile.write("words.flac", WORDS, SAMPLE_RATE)
        content = Path("words.flac").read_bytes()
        Path("words.flac").write_bytes(content[: len(content) * 3 // 5])
        result = play("--json", file="words.flac")
        assert result.exit_code == 1
        heard = [row["label"] for row in rows(result.stdout)]
        assert heard in (WORD_LABELS[:2], WORD_LABELS[:3])
        assert "listened 0:0" in result.stderr
        assert "speechcmd: error: words.flac: damaged" in result.stderr


class TestUsage:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--realtime"], "--realtime needs --input-file FILE"),
            (["--dry-run"], "--dry-run needs --exec RULES.toml"),
            (["--input-file", "words.wav", "--device", "USB"], "leave its options out"),
            (["--input-file", "words.wav", "--device", ""], "leave its options out"),
            (["--input-file", "words.wav", "--channel", "1"], "leave its options out"),
            (["--input-file", "words.wav", "--no-reconnect"], "leave its options out"),
            (["--input-file", "words.wav", "--save-limit", "1MB"], "--save-limit needs --save-dir"),
            (["--input-file", "words.wav", "--labels", "left"], "'left' is not a word of this model"),
            (["--input-file", "words.wav", "--labels", "_silence_"], "'_silence_' never fires"),
            (["--input-file", "words.wav", "--threshold", "left=0.5"], "'left' is not a word"),
            (["--input-file", "words.wav", "--save-dir", "d", "--save-limit", "huge"], "expected a size"),
            (["--input-file", "words.wav", "--save-dir", "words.wav"], "is a file"),
            (["--channel", "0"], "0 is not in the range"),
        ],
    )
    def test_wrong_usage(self, options: list[str], expected: str) -> None:
        result = call("listen", *options)
        assert result.exit_code == 2
        assert expected in only_line(result, "error: ")

    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            (None, "rules.toml: the rules cannot be read"),
            ("rule = 3", "rules.toml: rule: expected [[rule]], in double brackets"),
            (
                '[[rule]]\nlabel = "left"\ncommand = ["true"]',
                "rules.toml: rule 1, label: 'left' is not a word",
            ),
            (
                '[[rule]]\nlabel = "low"\ncommand = "true"',
                "rule 1, command: expected a program and its arguments",
            ),
            ("[[rule", "the rules are not TOML"),
        ],
    )
    def test_rules_that_are_none(self, rules: str | None, expected: str) -> None:
        if rules is not None:
            Path("rules.toml").write_text(rules)
        result = play("--exec", "rules.toml")
        assert result.exit_code == 1
        assert expected in only_line(result, "speechcmd: error: ")

    def test_a_rule_for_a_word_that_the_labels_leave_out_just_never_runs(self) -> None:
        Path("rules.toml").write_text('[[rule]]\nlabel = "low"\ncommand = ["true"]')
        result = play("--exec", "rules.toml", "--dry-run", "--labels", "high")
        assert result.exit_code == 0
        assert "would run" not in result.stderr

    def test_a_limit_that_holds_no_clip(self) -> None:
        result = play("--save-dir", "clips", "--save-limit", "10kB")
        assert result.exit_code == 1
        assert "expected a limit for saved clips of at least" in only_line(result, "speechcmd: error: ")

    def test_the_help(self) -> None:
        result = call("listen", "--help")
        assert result.exit_code == 0
        assert "Nothing leaves this" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80


class TestClips:
    def test_hits_and_near_misses_are_kept(self) -> None:
        result = play("--save-dir", "deep/clips", "--threshold", "high=1", "--release-ratio", "0.5")
        assert result.exit_code == 0
        kept = sorted(
            (json.loads(path.read_text()) for path in Path("deep/clips").glob("*.json")),
            key=lambda about: about["start_s"],
        )
        assert [(one["label"], one["kind"]) for one in kept] == [
            ("low", "hit"), ("high", "near_miss"), ("low", "hit"), ("low", "hit"), ("high", "near_miss")
        ]  # fmt: skip
        assert kept[0]["details"] == {
            "model": "toy",
            "thresholds": {"low": 0.7, "high": 1.0},
            "input": "words.wav",
        }
        assert len(list(Path("deep/clips").glob("*.flac"))) == 5
        assert result.stderr.splitlines()[-1].endswith("near misses 2; 5 clips saved")

    def test_the_limit(self) -> None:
        assert play("--save-dir", "clips", "--save-limit", "140kB").exit_code == 0
        n_bytes = sum(path.stat().st_size for path in Path("clips").iterdir())
        assert 0 < n_bytes <= 140_000
        assert len(list(Path("clips").glob("*.flac"))) < 5


class TestRules:
    @pytest.fixture
    def rules(self) -> str:
        """Appends a line to a file for each word "high", in this Python."""
        script = "import sys; open('ran.txt', 'a').write(sys.argv[1] + '\\n'); print('from the command')"
        command = json.dumps([sys.executable, "-c", script, "{label}"])
        Path("rules.toml").write_text(f'[[rule]]\nlabel = "high"\ncommand = {command}\n')
        return "rules.toml"

    def test_a_real_command_runs_and_writes_to_standard_error(self, rules: str) -> None:
        with process("--input-file", "words.wav", "--json", "--exec", rules) as one:
            out, err = one.communicate(timeout=WAIT_S)
        assert one.returncode == 0
        assert [row["label"] for row in rows(out)] == WORD_LABELS
        deadline = 200
        while not Path("ran.txt").exists() or Path("ran.txt").read_text().count("\n") < 2:
            deadline -= 1
            assert deadline, err
            time.sleep(0.05)  # commands go on after the recording is over
        assert Path("ran.txt").read_text() == "high\nhigh\n"

    def test_a_dry_run_says_what_would_run(self, rules: str) -> None:
        result = play("--exec", rules, "--dry-run", "--json")
        assert len(rows(result.stdout)) == 5
        told = [line for line in result.stderr.splitlines() if " would run: " in line]
        assert len(told) == 2
        assert told[0].startswith("rule 1 would run: ")
        assert told[0].endswith(" high")
        assert not Path("ran.txt").exists()

    def test_a_command_that_fails_is_told(self) -> None:
        command = json.dumps(["sh", "-c", "exit 3"])
        Path("rules.toml").write_text(f'[[rule]]\nlabel = "*"\ncommand = {command}\n')
        quiet = np.zeros(SAMPLE_RATE, dtype=WORDS.dtype)  # time for the command on a busy machine
        soundfile.write("short.wav", [*WORDS[: round(1.2 * SAMPLE_RATE)], *quiet], SAMPLE_RATE)
        with process("--input-file", "short.wav", "--realtime", "--json", "--exec", "rules.toml") as one:
            out, err = one.communicate(timeout=WAIT_S)
        assert one.returncode == 0
        assert len(rows(out)) == 1
        assert "speechcmd: rule 1 (" in err
        assert "failed with exit status 3" in err


@contextmanager
def process(*arguments: str, model: str = "toy.onnx", **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """A `speechcmd listen` process of its own."""
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-m", "speechcmd", "listen", "-m", model, *arguments]
    one = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": root}, stdin=subprocess.DEVNULL, text=True,
        preexec_fn=heed_interrupts if os.name == "posix" else None,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )  # fmt: skip
    try:
        yield one
    finally:
        one.kill()
        one.wait()
        for pipe in (one.stdout, one.stderr):
            if pipe is not None:
                pipe.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")
class TestEnd:
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_a_word_comes_at_once_and_a_signal_ends_with_a_summary(self, how: signal.Signals) -> None:
        """The first line is read while four seconds of the recording are still to come."""
        soundfile.write("long.wav", np.concatenate([WORDS, np.zeros(30 * SAMPLE_RATE)]), SAMPLE_RATE)
        with process("--input-file", "long.wav", "--realtime", "--json", "--save-dir", "clips") as one:
            assert one.stdout is not None
            first = json.loads(one.stdout.readline())
            assert first["label"] == "low"
            assert one.poll() is None
            one.send_signal(how)
            out, err = one.communicate(timeout=WAIT_S)
        assert one.returncode == 0
        assert out == ""
        begin, end = err.splitlines()
        assert begin == "listening to long.wav (Ctrl-C ends)"
        assert end.startswith("listened 0:0")
        assert ": words 1 (low 1), near misses 0; 1 clips saved" in end
        assert len(list(Path("clips").glob("*.flac"))) == 1

    def test_a_signal_at_the_very_beginning(self) -> None:
        with process("--input-file", "words.wav", "--realtime") as one:
            assert one.stderr is not None
            assert one.stderr.readline().startswith("listening to")
            one.send_signal(signal.SIGINT)
            out, err = one.communicate(timeout=WAIT_S)
        assert (one.returncode, out) == (0, "")
        assert err.startswith("listened 0:0")

    def test_a_signal_in_the_middle_of_a_piece_loses_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decode = Decoder.feed

        def interrupted(self: Decoder, *given: Any) -> Any:
            detections = decode(self, *given)
            if detections:
                signal.raise_signal(signal.SIGINT)
            return detections

        monkeypatch.setattr(Decoder, "feed", interrupted)
        with heeding_interrupts():
            result = play("--json")
        assert result.exit_code == 0
        assert [row["label"] for row in rows(result.stdout)] == WORD_LABELS[:1]
        assert ": words 1 (low 1)," in result.stderr.splitlines()[-1]

    def test_a_reader_that_goes_away(self) -> None:
        """As with `| head -1`: one line is read, then the pipe is closed."""
        with process("--input-file", "words.wav", "--realtime", "--json") as one:
            assert one.stdout is not None
            assert one.stderr is not None
            assert json.loads(one.stdout.readline())["label"] == "low"
            one.stdout.close()
            err = one.stderr.read()
            one.wait(WAIT_S)
        assert one.returncode == 1
        assert [line.split(" ")[0] for line in err.splitlines()] == ["listening", "listened"]


class TestMicrophone:
    """The command with a microphone: what stands in for PortAudio delivers a recording, then nothing more."""

    @pytest.fixture
    def deliver(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray[Any, Any]], list[InputStream]]:
        monkeypatch.setattr(capture_module, "STALL_S", 0.05)
        monkeypatch.setattr(capture_module, "_READ_S", 0.02)

        def prepare(samples: np.ndarray[Any, Any]) -> list[InputStream]:
            def heard(stream: InputStream) -> None:
                for start in range(0, len(samples), 320):
                    stream.deliver(np.repeat(samples[start : start + 320, None], stream.n_channels, axis=1))

            device = FakeDevice("Desk Mic", n_channels=2, rates=frozenset({SAMPLE_RATE}))
            return use(monkeypatch, devices=[device, FakeDevice("Desk Cam")], heard=heard).streams

        return prepare

    def test_words_and_the_end_of_the_device(
        self, deliver: Callable[[np.ndarray[Any, Any]], list[InputStream]]
    ) -> None:
        streams = deliver(WORDS)
        result = call("listen", "--json", "--no-reconnect", "--channel", "1", "--device", "desk mic")
        assert result.exit_code == 1
        assert [row["label"] for row in rows(result.stdout)] == WORD_LABELS
        lines = result.stderr.splitlines()
        assert lines[0] == "listening to Desk Mic, ALSA, 16000 Hz (Ctrl-C ends)"
        assert lines[1].startswith("listened 0:04.30: words 5")
        assert lines[2].startswith("speechcmd: error: Desk Mic, ALSA stopped delivering audio")
        assert [stream.is_closed for stream in streams] == [True]
        assert streams[0].n_channels == 1

    def test_an_error_closes_the_microphone(
        self, deliver: Callable[[np.ndarray[Any, Any]], list[InputStream]]
    ) -> None:
        streams = deliver(WORDS)
        result = call("listen", "--save-dir", "clips", "--save-limit", "1kB")
        assert result.exit_code == 1
        assert [stream.is_closed for stream in streams] == [True]

    def test_a_name_that_fits_several(
        self, deliver: Callable[[np.ndarray[Any, Any]], list[InputStream]]
    ) -> None:
        streams = deliver(WORDS)
        result = call("listen", "--device", "desk")
        assert result.exit_code == 1
        line = only_line(result, "speechcmd: error: ")
        assert "2 input devices fit 'desk': Desk Mic, ALSA | Desk Cam, ALSA" in line
        assert streams == []
