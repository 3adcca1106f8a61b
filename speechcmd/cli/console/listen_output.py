"""What `listen` prints: a live view on a terminal, else plain lines or JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from speechcmd.errors import printable

if TYPE_CHECKING:
    from speechcmd.cli.console.live_view import LiveView
    from speechcmd.runtime.listening.listener import Heard, Listener
    from speechcmd.runtime.recognition.decoder import Detection

WARN_EVERY_S = 2.0
_SHOWN_LABELS = 5


def choose_output(as_json: bool, thresholds: Mapping[str, float]) -> Output:
    """Choose the output: the live view only where a person looks at it."""
    if as_json:
        return JsonOutput()
    return LiveOutput(thresholds) if sys.stdout.isatty() else Output()


class Output:
    """A line a word to standard output, at once; everything else to standard error."""

    def __init__(self) -> None:
        self._notices = NoticeLimiter(self._warn)

    @property
    def of_commands(self) -> int:
        """Where the commands of rules may write: our standard error, if there is one."""
        try:
            return sys.stderr.fileno()
        except (AttributeError, OSError, ValueError):  # none at all, or one that is no file
            return subprocess.DEVNULL

    def note(self, text: str) -> None:
        """Print a line that is no result."""
        click.echo(printable(text), err=True)

    def notice(self, kind: str, text: str) -> None:
        """Warn of something, each kind at most every two seconds."""
        self._notices.take(kind, text)

    @contextmanager
    def running(self, title: str, _: Listener) -> Iterator[None]:
        """Show that listening began."""
        self.note(f"listening to {title} (Ctrl-C ends)")
        yield

    def show(self, heard: Heard) -> None:
        """Take what a block of audio brought."""
        self.detections(heard.detections)
        self._notices.poll()

    def detections(self, detections: list[Detection]) -> None:
        """Print words."""
        for detection in detections:
            click.echo(self._line(detection))  # click flushes each line

    def summary(self, listener: Listener) -> None:
        """Say what it came to."""
        from speechcmd.runtime.output.lines import format_time

        found = listener.summary
        counts = ", ".join(f"{label} {count}" for label, count in found.heard.most_common())
        words = f"words {found.heard.total()} ({counts})" if counts else "no word"
        parts = [f"listened {format_time(found.heard_s)}: {words}, near misses {found.n_near_misses}"]
        if found.n_gaps:
            parts.append(f"gaps {found.n_gaps} ({found.lost_s:.1f} s of audio lost)")
        if listener.saver is not None:
            n_saved, n_failed = listener.saver.n_saved, listener.saver.n_failed
            parts.append(f"{n_saved} clips saved" + (f", {n_failed} could not be" if n_failed else ""))
        self._notices.flush()
        self.note("; ".join(parts))

    def _line(self, detection: Detection) -> str:
        from speechcmd.runtime.output.lines import format_time

        clock = datetime.now().strftime("%H:%M:%S")
        return f"{clock}   {format_time(detection.start_s)}   {detection.label}   {detection.score:.2f}"

    def _warn(self, text: str) -> None:
        self.note(f"speechcmd: {text}")


class JsonOutput(Output):
    """A JSON object a word."""

    def _line(self, detection: Detection) -> str:
        from speechcmd.runtime.output.lines import detection_fields

        fields = detection_fields("", detection)
        del fields["path"]
        fields["time"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
        return json.dumps(fields)


class LiveOutput(Output):
    """Level, scores and words on a terminal."""

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        super().__init__()
        self._thresholds = thresholds
        self._view: LiveView | None = None
        self._listener: Listener | None = None
        self._last: Heard | None = None

    @property
    def of_commands(self) -> int:
        """Nowhere: what a command writes would break the picture."""
        return subprocess.DEVNULL

    @contextmanager
    def running(self, title: str, listener: Listener) -> Iterator[None]:
        """Show the picture, and take it away at the end."""
        from speechcmd.cli.console.console import PlainConsole
        from speechcmd.cli.console.live_view import LiveView

        self._listener = listener
        super().note(f"listening to {title}")
        with LiveView(PlainConsole(sys.stdout), title) as self._view:
            try:
                yield
            finally:
                self._view = None

    def show(self, heard: Heard) -> None:
        """Take what a block of audio brought."""
        super().show(heard)
        if heard.n_samples:
            self._last = heard
        if self._view is not None and self._listener is not None and self._last is not None:
            self._view.show(self._state(self._listener, self._last))

    def detections(self, detections: list[Detection]) -> None:
        """Print words above the picture."""
        if self._view is None:
            super().detections(detections)
            return
        for detection in detections:
            self._view.print_detection(detection)

    def _state(self, listener: Listener, heard: Heard) -> Any:
        from speechcmd.cli.console.live_view import LiveState

        best = sorted(listener.scores.items(), key=lambda pair: -pair[1])[:_SHOWN_LABELS]
        return LiveState(
            position_s=listener.position_s,
            level_db=heard.level_db,
            peak_db=heard.peak_db,
            scores=tuple(best),
            thresholds=self._thresholds,
            latency_ms=listener.latency.longest_ms,
            load=listener.load.share,
            n_lost=round(listener.summary.lost_s * listener.sample_rate),
        )

    def note(self, text: str) -> None:
        """Print a line that is no result."""
        if self._view is None:
            super().note(text)
        else:
            self._view.note(text)

    def _warn(self, text: str) -> None:
        if self._view is None:
            super()._warn(text)
        else:
            self._view.warn(text)


class NoticeLimiter:
    """Pass on at most one line every two seconds; of what comes meanwhile, the newest of each kind.

    A line that came again and again says how often.
    """

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._clock = clock
        self._free_at = 0.0
        self._waiting: dict[str, tuple[str, int]] = {}

    def take(self, kind: str, text: str) -> None:
        """Take a line of a kind."""
        before, count = self._waiting.pop(kind, ("", 0))
        self._waiting[kind] = (text, count + 1 if text == before else 1)
        self.poll()

    def poll(self) -> None:
        """Pass on a line if it is time."""
        if self._waiting and self._clock() >= self._free_at:
            self._free_at = self._clock() + WARN_EVERY_S
            self._pass_on(next(iter(self._waiting)))

    def flush(self) -> None:
        """Pass on all that waits."""
        for kind in list(self._waiting):
            self._pass_on(kind)

    def _pass_on(self, kind: str) -> None:
        text, count = self._waiting.pop(kind)
        self._warn(f"{text} ({count} times)" if count > 1 else text)
