"""What `listen` prints, apart from what it hears."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from speechcmd.cli.console.listen_output import JsonOutput, LiveOutput, NoticeLimiter, Output, choose_output
from speechcmd.runtime.listening.listener import Heard, Summary
from speechcmd.runtime.recognition.decoder import Detection

pytestmark = pytest.mark.runtime

YES = Detection("yes", 63.4211, 63.7999, 0.91256, 63.9)


def update(detections: list[Detection] | None = None, n_samples: int = 320) -> Heard:
    return Heard(detections or [], n_samples, -20.0, -10.0, 3.0)


def fake_listener(saver: Any = None, **summary: Any) -> Any:
    return SimpleNamespace(
        summary=Summary(**summary),
        saver=saver,
        scores={label: score / 10 for score, label in enumerate("abcdefg")},
        position_s=4.0,
        load=SimpleNamespace(share=0.03),
        latency=SimpleNamespace(longest_ms=7.0),
        sample_rate=16_000,
    )


class Clock:
    """Notices and the times at which they came through."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[tuple[float, str]] = []
        self.limiter = NoticeLimiter(lambda text: self.told.append((self.now_s, text)), lambda: self.now_s)

    def run(self, seconds: float, *kinds: str) -> None:
        """Tell each kind eight times a second: steps that floats add up without error."""
        for number in range(round(seconds * 8)):
            for kind in kinds:
                self.limiter.take(kind, f"{kind} {number}")
            self.limiter.poll()
            self.now_s += 0.125


class TestNoticeLimiter:
    def test_the_first_comes_at_once_and_then_one_every_two_seconds(self) -> None:
        clock = Clock()
        clock.run(6, "lost")
        assert [time for time, _ in clock.told] == pytest.approx([100, 102, 104])
        # the newest text
        assert [text for _, text in clock.told] == ["lost 0", "lost 16", "lost 32"]

    def test_different_kinds_share_the_two_seconds_in_their_order(self) -> None:
        clock = Clock()
        for kind in ("stopped", "zeros", "back"):
            clock.limiter.take(kind, kind)
        clock.run(5)
        assert [text for _, text in clock.told] == ["stopped", "zeros", "back"]
        assert [time for time, _ in clock.told] == pytest.approx([100, 102, 104])

    def test_the_last_line_is_how_it_is(self) -> None:
        """Stopped and back in turns: what is told last happened last."""
        clock = Clock()
        for kind in ("zeros", "stopped", "back", "stopped", "back", "stopped"):
            clock.limiter.take(kind, kind)
        clock.run(5)
        assert [text for _, text in clock.told] == ["zeros", "back (2 times)", "stopped (3 times)"]

    def test_a_line_that_came_again_says_how_often(self) -> None:
        clock = Clock()
        for text in ("first", "same", "same", "other", "other", "other"):
            clock.limiter.take("rule", text)
        clock.run(2.125)
        assert [text for _, text in clock.told] == ["first", "other (3 times)"]

    def test_a_count_begins_anew(self) -> None:
        clock = Clock()
        clock.run(2.125, "lost")
        clock.now_s += 10
        clock.limiter.take("lost", "again")
        assert clock.told[-1][1] == "again"

    def test_flush_tells_all_that_waits(self) -> None:
        clock = Clock()
        clock.run(0.5, "lost", "rule")
        clock.limiter.flush()
        assert [text for _, text in clock.told] == ["lost 0", "lost 3", "rule 3"]
        clock.limiter.flush()
        clock.now_s += 10
        clock.limiter.poll()
        assert len(clock.told) == 3

    def test_nothing_waits_for_a_clock_that_begins_at_zero(self) -> None:
        clock = Clock()
        clock.now_s = 0.0
        clock.limiter.take("lost", "lost")
        assert len(clock.told) == 1


class TestLines:
    def test_a_word_is_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        Output().show(update([YES, YES]))
        out, err = capsys.readouterr()
        assert re.fullmatch(r"(\d\d:\d\d:\d\d   1:03\.42   yes   0\.91\n){2}", out)
        assert err == ""

    def test_a_word_is_an_object(self, capsys: pytest.CaptureFixture[str]) -> None:
        JsonOutput().show(update([YES]))
        out, err = capsys.readouterr()
        row = json.loads(out)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", row.pop("time"))
        assert row == {"label": "yes", "start_s": 63.421, "end_s": 63.8, "score": 0.9126, "decided_s": 63.9}
        assert err == ""

    def test_each_line_is_flushed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        flushed = []

        class Slow(io.StringIO):
            def flush(self) -> None:
                flushed.append(self.getvalue().count("\n"))

        monkeypatch.setattr(sys, "stdout", Slow())
        JsonOutput().detections([YES, YES])
        assert {1, 2} <= set(flushed)

    @pytest.mark.parametrize("output", [Output(), JsonOutput()])
    def test_what_is_no_result_goes_to_standard_error_as_one_line(
        self, output: Output, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with output.running("Mic\n\x1b[2J, ALSA", fake_listener()):
            output.notice("lost", "audio\nwas lost")
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == [
            "listening to Mic\ufffd\ufffd[2J, ALSA (Ctrl-C ends)",
            "speechcmd: audio\ufffdwas lost",
        ]

    def test_notices_that_wait_come_with_the_pieces(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now = [10.0]
        output = Output()
        monkeypatch.setattr(output._notices, "_clock", lambda: now[0])
        output.notice("lost", "one")
        output.notice("lost", "two")
        output.show(update(n_samples=0))
        assert capsys.readouterr().err == "speechcmd: one\n"
        now[0] = 12.0
        output.show(update(n_samples=0))
        assert capsys.readouterr().err == "speechcmd: two\n"

    @pytest.mark.parametrize(
        ("summary", "saver", "expected"),
        [
            ({"heard_s": 61.0}, None, "listened 1:01.00: no word, near misses 0"),
            (
                {"heard": Counter(yes=1, no=2), "n_near_misses": 4, "heard_s": 7_200.0},
                None,
                "listened 2:00:00.00: words 3 (no 2, yes 1), near misses 4",
            ),
            (
                {"lost_s": 1.25, "n_gaps": 2},
                (3, 0),
                "listened 0:00.00: no word, near misses 0; gaps 2 (1.2 s of audio lost); 3 clips saved",
            ),
            ({}, (3, 2), "listened 0:00.00: no word, near misses 0; 3 clips saved, 2 could not be"),
        ],
    )
    def test_the_summary(
        self,
        summary: dict[str, Any],
        saver: tuple[int, int] | None,
        expected: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        fake = saver and SimpleNamespace(n_saved=saver[0], n_failed=saver[1])
        output = Output()
        output.notice("lost", "first")
        output.notice("lost", "second")
        output.summary(fake_listener(fake, **summary))
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines() == ["speechcmd: first", "speechcmd: second", expected]


class TestChoice:
    def test_lines_where_nobody_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert type(choose_output(False, {})) is Output
        assert type(choose_output(True, {})) is JsonOutput
        terminal = io.StringIO()
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdout", terminal)
        assert type(choose_output(False, {})) is LiveOutput
        assert type(choose_output(True, {})) is JsonOutput

    def test_commands_never_write_into_the_results(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with (tmp_path / "err").open("w") as file:
            monkeypatch.setattr(sys, "stderr", file)
            assert Output().of_commands == file.fileno()
            assert LiveOutput({}).of_commands == subprocess.DEVNULL
        for no_file in (None, io.StringIO(), file):
            monkeypatch.setattr(sys, "stderr", no_file)
            assert JsonOutput().of_commands == subprocess.DEVNULL


class View:
    """Stands in for the live view."""

    def __init__(self, *_: object) -> None:
        self.states: list[Any] = []
        self.lines: list[str] = []
        self.is_open = False

    def __enter__(self) -> View:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def show(self, state: Any) -> None:
        self.states.append(state)

    def print_detection(self, detection: Detection) -> None:
        self.lines.append(detection.label)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def note(self, text: str) -> None:
        self.lines.append(text)


class TestLiveOutput:
    def test_what_the_view_gets(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from speechcmd.cli.console import live_view

        view = View()
        monkeypatch.setattr(live_view, "LiveView", lambda *_: view)
        output = LiveOutput({"a": 0.7})
        listener = fake_listener(lost_s=0.5)
        with output.running("Mic", listener):
            assert view.is_open
            output.show(update(n_samples=0))
            assert view.states == []  # nothing was heard yet
            output.show(update([YES]))
            output.show(update(n_samples=0))
            output.notice("lost", "audio was lost")
            output.note("rule 1 would run: true")
        assert not view.is_open
        first, second = view.states
        assert first.scores == (("g", 0.6), ("f", 0.5), ("e", 0.4), ("d", 0.3), ("c", 0.2))
        assert (first.level_db, first.peak_db, first.latency_ms, first.load) == (-20, -10, 7, 0.03)
        assert (first.n_lost, first.thresholds, first.position_s) == (8_000, {"a": 0.7}, 4.0)
        assert second.level_db == -20  # a heartbeat does not make the meter fall
        assert view.lines == ["yes", "warning: audio was lost", "rule 1 would run: true"]
        assert capsys.readouterr() == ("", "listening to Mic\n")  # which stays after the picture
        output.notice("lost", "more")
        output.detections([YES])
        output.summary(listener)
        out, err = capsys.readouterr()
        assert "yes" in out
        assert err.startswith("speechcmd: more\nlistened 0:00.00: no word")
        assert len(view.lines) == 3
