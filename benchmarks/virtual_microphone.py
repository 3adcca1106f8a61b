"""A microphone that is not there: a PulseAudio server of our own, whose sink is heard by a source.

PortAudio reaches it through ALSA's device `pulse`. Nothing of the user's own sound system is touched: the server
has its own folder, and programs find it by the environment that `environment` gives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

PROGRAMS = ("pulseaudio", "pactl", "paplay")
START_S = 10.0


def missing() -> str | None:
    """Why there can be no virtual microphone here; None if there can."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(lacking)} not installed" if lacking else None


class VirtualMicrophone:
    """Context manager: a running sound server with one loudspeaker that the default microphone hears."""

    def __init__(self, rate: int = 48_000, channels: int = 2) -> None:
        self._rate, self._channels = rate, channels
        self._folder = Path(tempfile.mkdtemp(prefix="microphone-"))  # sockets need a short path
        self._modules: list[str] = []
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self._folder),
            "PULSE_RUNTIME_PATH": str(self._folder / "run"),
            "PULSE_STATE_PATH": str(self._folder / "state"),
            "PULSE_SERVER": f"unix:{self._folder}/run/native",
            "HOME": str(self._folder),
        }

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-L", "module-native-protocol-unix"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode:
            if time.monotonic() > deadline or self._server.poll() is not None:
                self.__exit__()
                raise RuntimeError("the sound server did not start")
            time.sleep(0.05)
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def plug_in(self) -> None:
        """Make the loudspeaker and the microphone that hears it."""
        form = f"rate={self._rate} channels={self._channels}"
        self._modules = [
            self._control("load-module", "module-null-sink", "sink_name=speaker", *form.split()),
            self._control(
                "load-module", "module-remap-source", "master=speaker.monitor", "source_name=microphone"
            ),
        ]
        self._control("set-default-source", "microphone")

    def unplug(self) -> None:
        """Take both away, under whoever records."""
        for module in reversed(self._modules):
            self._control("unload-module", module)

    def play(self, path: Path) -> subprocess.Popen[bytes]:
        """Begin to play a file."""
        return subprocess.Popen(["paplay", "--device=speaker", str(path)], env=self.environment)

    def _control(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pactl", *arguments], env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()
