"""`speechcmd doctor`: why a microphone does not work, and what to do."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from speechcmd.cli.console.plain_text import terminal_of
from speechcmd.cli.options.common import model_option

if TYPE_CHECKING:
    from speechcmd.runtime.microphone.device import InputDevice
    from speechcmd.runtime.microphone.signal_check import Check

_MARKS = {"ok": "ok", "problem": "PROBLEM", "skipped": "-"}
_MARK_WIDTH, _NAME_WIDTH = 9, 12
_INDENT = " " * (_MARK_WIDTH + _NAME_WIDTH)


@click.command()
@click.option(
    "--device", metavar="PART", help="Part of a microphone's name.  [default: the system's default]"
)
@click.option(
    "--seconds", type=click.FloatRange(2, 30), default=3.0, show_default=True, help="How long to record."
)
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a check, the verdict last.")
def doctor(device: str | None, seconds: float, model: str | None, as_json: bool) -> None:
    """Record for some seconds and say what is wrong with the microphone, and what to do.

    Speak while it records. The recording is judged and forgotten: nothing is kept, nothing leaves this
    computer. Exit status: 0 all is well, 1 something is wrong.
    """
    from speechcmd.runtime.microphone.doctor import examine

    countdown = _Countdown(seconds)

    def ask_to_speak(microphone: InputDevice) -> None:
        click.echo(f"Say something for {seconds:g} seconds to {microphone.name} ...", err=True)

    problems = []
    for check in examine(device, seconds, model, ask_to_speak, countdown.show):
        if check.status == "problem":
            problems.append(check.name)
        countdown.clear()
        click.echo(json.dumps(asdict(check)) if as_json else _as_text(check))
    click.echo(json.dumps({"ok": not problems}) if as_json else _verdict(problems))
    if problems:
        click.get_current_context().exit(1)


class _Countdown:
    """How long there is still to speak, on standard error, if that is a terminal."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._shown = ""

    def show(self, done_s: float) -> None:
        text = f"{self._seconds - done_s:4.1f} s"
        if sys.stderr.isatty() and text != self._shown:
            self._rewrite(text)
            self._shown = text

    def clear(self) -> None:
        if self._shown:
            self._rewrite(" " * len(self._shown))
            self._rewrite("")
            self._shown = ""

    @staticmethod
    def _rewrite(text: str) -> None:
        terminal = terminal_of(sys.stderr)
        terminal.write(f"\r{text}")
        terminal.flush()


def _as_text(check: Check) -> str:
    width = shutil.get_terminal_size().columns
    head = f"{_MARKS[check.status]:<{_MARK_WIDTH}}{check.name:<{_NAME_WIDTH}}"
    lines = textwrap.wrap(check.measured, width, initial_indent=head, subsequent_indent=_INDENT)
    if check.advice:
        arrow = f"{_INDENT}-> "
        lines += textwrap.wrap(check.advice, width, initial_indent=arrow, subsequent_indent=" " * len(arrow))
    return "\n".join(lines)


def _verdict(problems: list[str]) -> str:
    if not problems:
        return "All is well."
    return f"{len(problems)} problem{'s' * (len(problems) > 1)}: {', '.join(problems)}."
