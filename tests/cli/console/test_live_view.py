"""The live view: right lengths and colours, never wider or higher than the terminal, few redraws."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from speechcmd.cli.console.live_view import HOLD_S, LiveState, LiveView, _glyphs_of, _Picture
from speechcmd.errors import is_printable
from speechcmd.runtime.recognition.decoder import Detection

pytestmark = pytest.mark.runtime

DEVICE = "USB Microphone (ALSA)   48000 Hz, channel 1 of 2"
STATE = LiveState(
    position_s=222.4,
    level_db=-30.0,
    peak_db=-15.0,
    scores=(("yes", 0.8), ("no", 0.5), ("_silence_", 0.25), ("go", 0.001)),
    thresholds={"yes": 0.7, "no": 0.6, "go": 0.7},
    latency_ms=83.2,
    load=0.0324,
    n_lost=0,
)
YES = Detection("yes", 3.42049, 4.02049, 0.971149, 4.1)


class Screen:
    """A console in memory."""

    def __init__(
        self, width: int = 80, height: int = 24, *, encoding: str = "utf-8", colour: bool = True
    ) -> None:
        self.bytes = io.BytesIO()
        file = io.TextIOWrapper(self.bytes, encoding=encoding, errors="replace", write_through=True)
        self.console = Console(
            file=file,
            width=width,
            height=height,
            force_terminal=True,
            color_system="standard",
            no_color=not colour,
            legacy_windows=False,
            _environ={},
        )

    def text(self) -> str:
        return self.bytes.getvalue().decode(self.console.encoding)

    def plain_text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text())

    def draw(self, *states: LiveState, device: str = DEVICE) -> list[list[Segment]]:
        """Lines of the picture after these states, as the live display would cut them."""
        picture = _Picture(device, _glyphs_of(self.console))
        for state in states:
            picture.take(state)
        return self.console.render_lines(picture, pad=False)

    def lines(self, *states: LiveState, device: str = DEVICE) -> list[str]:
        return ["".join(segment.text for segment in line) for line in self.draw(*states, device=device)]


def colours(line: list[Segment], chars: str) -> set[str]:
    """Colours in which these characters stand."""
    found = [segment.style.color for segment in line if set(segment.text) & set(chars) and segment.style]
    return {colour.name if colour else "" for colour in found}


def test_what_a_terminal_of_80_columns_shows() -> None:
    blank, header, level, yes, no, silence, hidden, gap, status = Screen().lines(STATE)
    assert (blank, hidden, gap) == ("", "", "")  # a score that reads 0.00 leaves its line empty
    assert header == f"{DEVICE:<73}0:03:42"
    assert re.fullmatch(r"level      ━+╾?─+│─+  -30\.0 dB", level)
    assert re.fullmatch(r"yes        ━+┃━+─+   0\.80", yes)
    assert re.fullmatch(r"no         ━+╾?─+┃─+   0\.50", no)
    assert re.fullmatch(r"_silence_  ━+╾?─+   0\.25", silence)
    assert status == f"{'latency 83 ms   load 3.2 % of a core':<69}Ctrl-C ends"
    assert len(header) == len(level) == len(status) == 80


def test_bars_are_as_long_as_their_scores() -> None:
    *_, yes, no, silence, _, _, _ = Screen(width=121).lines(STATE)  # 100 cells of bar
    assert (silence.count("━"), silence.count("╾")) == (25, 0)
    assert (no.count("━"), no.count("╾")) == (50, 0)
    assert yes.count("━") + yes.count("┃") == 80  # one of them under the mark
    assert yes.index("┃") - len("yes        ") == 69  # 0.7 of 99
    assert no.index("┃") - len("no         ") == 59
    silence = Screen(width=123).lines(STATE)[5]
    assert (silence.count("━"), silence.count("╾")) == (25, 1)  # 0.25 of 102


def test_colours_tell_what_fires() -> None:
    *_, yes, no, silence, _, _, _ = Screen().draw(STATE)
    assert colours(yes, "━") == {"green"}
    assert colours(no, "━") == {"cyan"}
    assert all(segment.style and segment.style.dim for segment in silence if segment.text.strip())
    at_threshold = replace(STATE, scores=(("yes", 0.7),))
    assert colours(Screen().draw(at_threshold)[3], "━") == {"green"}


def test_the_meter_turns_yellow_and_red() -> None:
    def meter(level_db: float) -> list[Segment]:
        return Screen().draw(replace(STATE, level_db=level_db, peak_db=-60.0))[2]

    assert colours(meter(-20.0), "━dB") == {"green"}
    assert colours(meter(-8.0), "━") == {"green", "yellow"}
    assert colours(meter(-8.0), "dB") == {"yellow"}
    assert colours(meter(-1.0), "━") == {"green", "yellow", "red"}
    assert colours(meter(-1.0), "dB") == {"red"}


@pytest.mark.parametrize(
    ("level_db", "text"), [(float("-inf"), "-99.9 dB"), (float("nan"), "-99.9 dB"), (12.0, "12.0 dB")]
)
def test_odd_levels(level_db: float, text: str) -> None:
    line = Screen().lines(replace(STATE, level_db=level_db, peak_db=level_db))[2]
    assert line.endswith(text)
    assert len(line) == 80


def test_a_peak_is_held_and_falls() -> None:
    """Also a peak that came between two drawings."""
    loud = replace(STATE, position_s=10.0, level_db=-40.0, peak_db=-6.0)

    def mark(seconds_later: float, peak_db: float = -50.0) -> int:
        state = replace(STATE, position_s=10.0 + seconds_later, level_db=-40.0, peak_db=peak_db)
        return Screen(width=121).lines(loud, state)[2].find("│") - len("level      ")

    assert mark(0.1) == mark(HOLD_S) == 89  # (60 - 6) / 60 of 99
    assert mark(HOLD_S + 0.5) == 73  # 20 dB a second
    assert mark(HOLD_S + 10.0, peak_db=-70.0) < 0
    assert mark(0.1, peak_db=-3.0) == 94


def test_bars_do_not_make_the_picture_jump() -> None:
    fewer = replace(STATE, scores=(("_silence_", 0.99),))
    assert len(Screen().lines(STATE, fewer)) == len(Screen().lines(STATE))
    assert Screen().lines(STATE, fewer)[3].index("━") == Screen().lines(STATE)[3].index("━")


def test_at_most_five_bars() -> None:
    many = tuple((f"word{i}", 0.9 - i / 10) for i in range(8))
    lines = Screen().lines(replace(STATE, scores=many))
    assert [line.split()[0] for line in lines if line.startswith("word")] == [f"word{i}" for i in range(5)]


def test_losses_are_seen() -> None:
    *_, gap, status = Screen().lines(replace(STATE, n_lost=160))
    assert gap == ""
    assert status.startswith("latency 83 ms   load 3.2 % of a core   160 samples lost   ")
    assert status.endswith(" Ctrl-C ends")


def test_40_columns() -> None:
    lines = Screen(width=40).lines(replace(STATE, n_lost=160))
    assert lines[1] == "USB Microphone (ALSA)   48000 Hz 0:03:42"
    assert re.fullmatch(r"yes        ━+┃━*╾?─+   0\.80", lines[3])
    assert lines[-1] == "83 ms  3 %  160 lost         Ctrl-C ends"


def test_small_heights_keep_what_matters() -> None:
    first_words = [
        [line.split()[0] if line else "" for line in Screen(height=height).lines(STATE)]
        for height in range(3, 13)
    ]
    assert first_words[:4] == [
        ["level", "latency"],
        ["level", "yes", "latency"],
        ["level", "yes", "no", "latency"],
        ["level", "yes", "no", "_silence_", "latency"],
    ]
    full = ["level", "yes", "no", "_silence_", "", "latency"]
    assert first_words[4:] == [
        full,
        ["USB", *full],
        ["", "USB", *full],
        *[["", "USB", *full[:5], "", "latency"]] * 3,
    ]


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 130),
    height=st.integers(1, 30),
    scores=st.lists(st.tuples(st.text(max_size=30), st.floats(0, 1)), max_size=7),
    db=st.floats(allow_nan=True),
    encoding=st.sampled_from(["utf-8", "ascii"]),
)
def test_it_always_fits(
    width: int, height: int, scores: list[tuple[str, float]], db: float, encoding: str
) -> None:
    state = replace(STATE, scores=tuple(scores), level_db=db, peak_db=db)
    lines = Screen(width, height, encoding=encoding).lines(state)
    assert len(lines) <= max(1, height - 1)
    assert [line for line in lines if cell_len(line) > width or not is_printable(line)] == []


def test_names_cannot_steer_the_terminal() -> None:
    screen = Screen()
    evil = "\x1b]0;owned\x07\x1b[2J\n[red]x[/red]"
    with LiveView(screen.console, evil) as view:
        view.show(replace(STATE, scores=((evil, 0.9),), thresholds={evil: 0.5}))
        view.print_detection(replace(YES, label=evil))
        view.warn(evil)
    assert "\x1b]0;" not in screen.text()
    assert "\x1b[2J" not in screen.text()
    assert screen.text().count("?]0;owned??[2J?[red]x[/red]") >= 4


def test_consoles_without_colours() -> None:
    screen = Screen(colour=False)
    with LiveView(screen.console, DEVICE) as view:
        view.show(STATE)
        view.print_detection(YES)
    assert re.search(r"\x1b\[[0-9;]*[34][0-9]", screen.text()) is None
    assert "━━" in screen.text()
    assert "──" in screen.text()


def test_consoles_that_know_only_ascii() -> None:
    screen = Screen(encoding="ascii")
    with LiveView(screen.console, "Größe") as view:
        view.show(STATE)
        view.print_detection(YES)
    assert re.search(r"no         =+\.+\|\.+   0\.50", screen.plain_text())
    assert "Gr??e" in screen.text()


def test_redraws_are_few_and_the_last_state_wins() -> None:
    """25 updates a second for two seconds, on a clock of our own."""
    screen, now = Screen(), [0.0]
    with LiveView(screen.console, DEVICE, clock=lambda: now[0]) as view:
        for i in range(50):
            now[0] = i / 25
            view.show(replace(STATE, latency_ms=100.0 + i))
        drawn = re.findall(r"latency (\d+) ms", screen.text())
    assert drawn == [str(100 + i) for i in range(0, 50, 3)]  # 0.12 s apart
    assert len(drawn) <= 20


def test_lines_that_stay_are_above_the_picture() -> None:
    screen = Screen()
    with LiveView(screen.console, DEVICE) as view:
        view.show(STATE)
        before = len(screen.plain_text())
        view.print_detection(YES)
        printed = screen.plain_text()[before:]
        assert re.match(r"\s*\d\d:\d\d:\d\d  0:03\.42  yes        0\.97\n", printed)
        assert printed.index("0.97") < printed.index("level") < printed.index("latency")  # drawn again below
        view.warn("2 blocks of audio were lost")
    assert "2 blocks of audio were lost" in screen.text()


def test_leaving_cleans_up() -> None:
    screen = Screen()
    streams = (sys.stdout, sys.stderr)
    with contextlib.suppress(KeyboardInterrupt), LiveView(screen.console, DEVICE) as view:
        view.show(STATE)
        raise KeyboardInterrupt
    assert (sys.stdout, sys.stderr) == streams
    assert screen.text().rindex("\x1b[?25h") > screen.text().rindex("\x1b[?25l")  # the cursor is back
    end = screen.text()[screen.text().rindex("Ctrl-C ends") :]
    assert end.count("\x1b[2K") == len(Screen().lines(STATE))  # and every line of the picture is erased


def test_a_view_without_any_state() -> None:
    screen = Screen()
    with LiveView(screen.console, DEVICE) as view:
        view.print_detection(YES)
    assert "yes" in screen.text()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_others_print_does_not_break_the_picture(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    """On a terminal it goes above the picture; a log file stays a log file."""
    screen, log = Screen(), io.StringIO()
    monkeypatch.setattr(log, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", log)
    with LiveView(screen.console, DEVICE) as view:
        view.show(STATE)
        sys.stderr.write("from elsewhere\n")
    assert ("from elsewhere" in screen.text()) is is_terminal
    assert ("from elsewhere" in log.getvalue()) is not is_terminal
