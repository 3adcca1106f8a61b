"""The real `speechcmd listen`, hearing a real sound server through PortAudio."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import soundfile
from processes import heed_interrupts
from virtual_microphone import VirtualMicrophone, missing

from speechcmd import Recognizer

needs_server = pytest.mark.skipif(sys.platform != "linux" or missing() is not None, reason=str(missing()))
needs_portaudio = pytest.mark.skipif(find_library("portaudio") is None, reason="PortAudio is not installed")
pytestmark = [pytest.mark.runtime, needs_server, needs_portaudio]

COMMANDS = Path(__file__).resolve().parents[2] / "examples" / "commands.flac"
RATE = 16_000
TIME_TOLERANCE_S = 0.15
WAIT_S = 15.0


class Listening:
    """A `speechcmd listen --json` process whose lines can be waited for."""

    def __init__(self, microphone: VirtualMicrophone, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "speechcmd", "listen", "--json", *options],
            env=microphone.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=heed_interrupts,
        )  # fmt: skip
        self.errors: queue.Queue[str] = queue.Queue()
        self.words: queue.Queue[str] = queue.Queue()
        for stream, lines in ((self._process.stderr, self.errors), (self._process.stdout, self.words)):
            threading.Thread(target=self._pump, args=(stream, lines), daemon=True).start()

    def wait_for(self, text: str) -> str:
        """The first line on standard error that holds a text."""
        deadline = time.monotonic() + WAIT_S
        seen = []
        while time.monotonic() < deadline:
            try:
                seen.append(self.errors.get(timeout=0.1))
            except queue.Empty:
                continue
            if text in seen[-1]:
                return seen[-1]
        raise AssertionError(f"no line with {text!r} in {seen}")

    def take_words(self, count: int) -> list[dict[str, Any]]:
        """The next lines of standard output, which must come within moments; and no more than these."""
        words = [json.loads(self.words.get(timeout=WAIT_S)) for _ in range(count)]
        time.sleep(1.0)
        assert self.words.empty()
        return words

    def stop(self) -> tuple[int, str]:
        """End as Ctrl-C does; exit status and summary."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(WAIT_S)
        return status, self.wait_for("listened")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @staticmethod
    def _pump(stream: Any, lines: queue.Queue[str]) -> None:
        with stream:
            for line in stream:
                lines.put(line.rstrip("\n"))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


def part_of_commands(path: Path, begin_s: float, end_s: float, rate: int = RATE, channels: int = 1) -> Path:
    """Some seconds of the example, at another rate and with more channels if asked."""
    import soxr

    samples, _ = soundfile.read(
        COMMANDS, dtype="float32", start=round(begin_s * RATE), stop=round(end_s * RATE)
    )
    samples = soxr.resample(samples, RATE, rate)
    soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate, subtype="PCM_16")
    return path


def assert_same(heard: list[dict[str, Any]], path: Path, recognizer: Recognizer) -> None:
    """Same labels as `transcribe`, and the same times but for one common offset."""
    expected = list(recognizer.transcribe(path))
    assert [word["label"] for word in heard] == [word.label for word in expected]
    offset = median(word["start_s"] - other.start_s for word, other in zip(heard, expected, strict=True))
    for word, other in zip(heard, expected, strict=True):
        assert word["start_s"] - offset == pytest.approx(other.start_s, abs=TIME_TOLERANCE_S)
        assert word["end_s"] - offset == pytest.approx(other.end_s, abs=TIME_TOLERANCE_S)


@pytest.fixture
def microphone() -> Iterator[VirtualMicrophone]:
    with VirtualMicrophone() as one:
        yield one


def test_words_zeros_and_a_device_that_goes_away(
    tmp_path: Path, microphone: VirtualMicrophone, recognizer: Recognizer
) -> None:
    """One process all along: it hears what `transcribe` hears, before the device went and after."""
    listening = Listening(microphone)
    try:
        assert "16000 Hz" in listening.wait_for("listening to")
        listening.wait_for("delivers only zeros")  # nothing plays yet
        recording = part_of_commands(tmp_path / "four.wav", 2.0, 11.9)
        microphone.play(recording).wait()
        assert_same(listening.take_words(4), recording, recognizer)
        listening.wait_for("delivers sound again")

        microphone.unplug()
        listening.wait_for("stopped delivering audio; waiting for it")
        time.sleep(1.0)
        microphone.plug_in()
        listening.wait_for("is back")
        time.sleep(2.5)  # a sound server that was idle takes up to two seconds to begin
        recording = part_of_commands(tmp_path / "two.wav", 8.0, 11.9)
        microphone.play(recording).wait()
        assert_same(listening.take_words(2), recording, recognizer)

        status, summary = listening.stop()
        assert status == 0
        assert "words 6 (left 4" in summary
        assert "gaps 1 (" in summary
        assert listening.errors.empty()  # PortAudio has written nothing of its own
    finally:
        listening.kill()


def test_a_stereo_source_at_another_rate(tmp_path: Path, recognizer: Recognizer) -> None:
    with VirtualMicrophone(rate=44_100) as microphone:
        listening = Listening(microphone, "--device", "pulse")
        try:
            listening.wait_for("delivers only zeros")
            recording = part_of_commands(tmp_path / "two.wav", 8.0, 11.9, rate=44_100, channels=2)
            microphone.play(recording).wait()
            assert_same(listening.take_words(2), recording, recognizer)
        finally:
            listening.kill()


def test_without_reconnecting_a_lost_device_is_an_error(microphone: VirtualMicrophone) -> None:
    listening = Listening(microphone, "--no-reconnect")
    try:
        listening.wait_for("delivers only zeros")
        microphone.unplug()
        assert "stopped delivering audio" in listening.wait_for("speechcmd: error:")
        assert listening._process.wait(WAIT_S) == 1
    finally:
        listening.kill()


def test_no_sound_server_is_one_line(microphone: VirtualMicrophone) -> None:
    microphone.unplug()
    done = subprocess.run(
        [sys.executable, "-m", "speechcmd", "listen", "--json"],
        env=microphone.environment, capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if line.startswith("speechcmd: error:")]
    assert "Traceback" not in done.stderr
