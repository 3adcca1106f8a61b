"""The progress bar over audio: when it is drawn, what it says, and what counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from fakes import SAMPLE_RATE, tone_recording, toy_model

from speechcmd.batch.inputs import Recording, find_recordings
from speechcmd.cli.console.batch_report import JobReport, durations_s
from speechcmd.cli.console.progress import AudioProgress, format_clock, progress_note
from speechcmd.cli.main import cli

pytestmark = pytest.mark.runtime


class Terminal:
    """A text stream that calls itself a terminal."""

    encoding = "utf-8"

    def __init__(self, is_terminal: bool = True) -> None:
        self.text = ""
        self._is_terminal = is_terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "delay_s", "draws"), [(True, 0.0, True), (False, 0.0, False), (True, 60.0, False)]
)
def test_progress_is_for_terminals_and_for_work_that_lasts(
    is_terminal: bool, delay_s: float, draws: bool
) -> None:
    terminal = Terminal(is_terminal)
    with AudioProgress(10.0, terminal, delay_s) as progress:  # type: ignore[arg-type]
        progress.advance(4.0)
        with progress.hidden():
            terminal.write("[result]")
        progress.skip(1.0)
        progress.advance(5.0)
    assert "[result]" in terminal.text
    assert ("0:00:10 / 0:00:10   100%" in terminal.text) == draws


def test_an_unknown_total_shows_what_is_done() -> None:
    terminal = Terminal()
    with AudioProgress(None, terminal, 0.0) as progress:  # type: ignore[arg-type]
        progress.advance(3_723.0)
    assert "1:02:03" in terminal.text
    assert "%" not in terminal.text


@pytest.mark.parametrize(
    ("done_s", "total_s", "speed", "expected"),
    [
        (1_200, 3_600, 412.4, "0:20:00 / 1:00:00    33%   412×   0:00:06 left"),
        (0, 36_000, 0, "0:00:00 / 10:00:00     0%   0.0×"),
        (12, 10, 2.04, "0:00:10 / 0:00:10   100%   2.0×   0:00:00 left"),
        (75, None, 9.96, "0:01:15   10.0×"),
    ],
)
def test_what_stands_beside_the_bar(
    done_s: float, total_s: float | None, speed: float, expected: str
) -> None:
    assert progress_note(done_s, total_s, speed) == expected


def test_clock() -> None:
    assert [format_clock(seconds) for seconds in (0, 59.6, 3_599, 360_000)] == [
        "0:00:00",
        "0:01:00",
        "0:59:59",
        "100:00:00",
    ]


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """A recording of 2.5 s, one of 1.5 s, and one whose header cannot be read."""
    monkeypatch.chdir(tmp_path)
    Path("toy.onnx").write_bytes(toy_model())
    soundfile.write("a.wav", tone_recording([("low", 0.5)], 2.5), SAMPLE_RATE)
    soundfile.write("b.wav", tone_recording([("low", 0.5)], 1.5), SAMPLE_RATE)
    Path("c.wav").write_bytes(b"RIFF and no more")
    return find_recordings(["a.wav", "b.wav", "c.wav"])


def test_lengths_come_from_headers_if_somebody_looks(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = [*recordings, Recording("-"), Recording("nosuch.wav")]
    assert durations_s(recordings) == [0.0] * 5
    monkeypatch.setattr("sys.stderr", Terminal())
    assert durations_s(recordings) == [2.5, 1.5, 0.0, 0.0, 0.0]


def test_what_failed_is_done_but_was_not_worked_on(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(AudioProgress.__init__, "__defaults__", (terminal, 0.0))
    with JobReport(terminal.write) as report:  # type: ignore[arg-type]
        report.begin(recordings)
        report.read(0, 2.5)
        report.done(0)
        report.read(1, 0.5)
        report.failed(1, "b.wav: damaged")
    assert "speechcmd: error: b.wav: damaged\n" in terminal.text
    assert "0:00:04 / 0:00:04   100%" in terminal.text


@pytest.mark.parametrize(
    ("command", "paths", "last"),
    [
        ("transcribe", ["a.wav", "b.wav"], "0:00:04 / 0:00:04   100%"),
        ("transcribe", ["a.wav", "-"], "0:00:04   "),
        ("classify", ["a.wav", "b.wav"], "0:00:04 / 0:00:04   100%"),
        ("classify", ["b.wav", "-"], "0:00:02   "),  # a clip that comes by a pipe counts nothing
    ],
)
def test_commands_show_how_far_they_are(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch, command: str, paths: list[str], last: str
) -> None:
    notes: list[str] = []
    lengths_s = {"a.wav": 2.5, "b.wav": 1.5, "-": 0.0}

    def note(*values: float) -> str:
        notes.append(progress_note(*values))
        return notes[-1]

    monkeypatch.setattr("speechcmd.cli.console.progress.progress_note", note)
    monkeypatch.setattr(
        "speechcmd.cli.console.batch_report.durations_s", lambda all_: [lengths_s[one.path] for one in all_]
    )
    monkeypatch.setattr(AudioProgress.__init__, "__defaults__", (Terminal(), 0.0))
    result = CliRunner().invoke(cli, [command, "-m", "toy.onnx", *paths], input=Path("b.wav").read_bytes())
    assert result.exit_code == 0, result.output
    assert notes[-1].startswith(last)
