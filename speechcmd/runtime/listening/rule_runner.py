"""Starts the commands of rules, and never waits for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any

from speechcmd.runtime.listening.rules import PLACEHOLDERS, Rule, fill_in
from speechcmd.runtime.output.lines import detection_fields
from speechcmd.runtime.recognition.decoder import Detection

MOST_RUNNING = 8
_SAME_TIME_S = 1e-6  # a cool-down that ended to the sample has ended


class RuleRunner:
    """Run the command of each rule that a detection fits.

    Commands read nothing, and write to `output`: our own standard output belongs to the results. They
    are in a group of their own, so that Ctrl-C ends listening and not them.

    Parameters
    ----------
    rules
        From `load_rules`.
    on_problem
        Gets one line for each command that cannot be started or failed.
    on_start
        Gets the rule and the arguments of each command, before it starts.
    dry_run
        Start nothing; `on_start` tells what would run.
    output
        Where commands write, both of their streams; by default nowhere.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        on_problem: Callable[[str], None],
        on_start: Callable[[Rule, list[str]], None],
        dry_run: bool = False,
        output: int | IO[Any] = subprocess.DEVNULL,
    ) -> None:
        self._rules = rules
        self._on_problem = on_problem
        self._on_start = on_start
        self._dry_run = dry_run
        self._output = output
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._last_start_s: dict[str, float] = {}

    def on_detection(self, detection: Detection) -> None:
        """Start the commands of all rules that fit; the cool-down counts on the detections' own clock."""
        self.poll()
        for rule in self._rules:
            if detection.label not in rule.labels or detection.score < rule.min_score:
                continue
            last_s = self._last_start_s.get(rule.name)
            if last_s is not None and detection.decided_s - last_s < rule.cooldown_s - _SAME_TIME_S:
                continue
            if self._start(rule, detection):
                self._last_start_s[rule.name] = detection.decided_s

    def poll(self) -> None:
        """Forget the commands that have ended, and report those that failed."""
        still_running = []
        for name, process in self._running:
            status = process.poll()
            if status is None:
                still_running.append((name, process))
            elif status > 0:
                self._on_problem(f"{name} failed with exit status {status}")
            elif status < 0:
                self._on_problem(f"{name} was ended by signal {-status}")
        self._running = still_running

    def close(self) -> None:
        """Report the commands that have ended; those that still run go on."""
        self.poll()

    def _start(self, rule: Rule, detection: Detection) -> bool:
        row = detection_fields("", detection)
        values = {name: str(row[name]) for name in PLACEHOLDERS}
        command = [rule.command[0], *(fill_in(argument, values) for argument in rule.command[1:])]
        name = f"{rule.name} ({command[0]})"
        if self._dry_run:
            self._on_start(rule, command)
            return True
        if len(self._running) >= MOST_RUNNING:
            self._on_problem(f"{name} was not started: {MOST_RUNNING} commands are still running")
            return False
        self._on_start(rule, command)
        try:
            self._running.append((name, self._spawn(command, values)))
        except (OSError, ValueError) as error:  # ValueError: a label that no argument can hold
            reason = error.strerror if isinstance(error, OSError) else error
            self._on_problem(f"{name} cannot be started: {reason}")
            return False
        return True

    def _spawn(self, command: list[str], values: dict[str, str]) -> subprocess.Popen[bytes]:
        new_group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            new_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        environment = {
            **os.environ,
            "SPEECHCMD_LABEL": values["label"],
            "SPEECHCMD_SCORE": values["score"],
        }
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            close_fds=True,
            env=environment,
            **new_group,
        )
