"""A `sounddevice` without sound devices: the test says what there is, what is refused and what is heard."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speechcmd.audio.samples import Waveform

BAD_CHANNELS, BAD_RATE, UNAVAILABLE, HOST_ERROR, NOT_STARTED = -9998, -9997, -9985, -9999, -10000
ALL_RATES = frozenset({8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000})


class PortAudioError(Exception):
    """Text and code; without a code where sounddevice itself complains."""

    def __str__(self) -> str:
        return " ".join([self.args[0], *(f"[PaErrorCode {code}]" for code in self.args[1:])])


@dataclass
class FakeDevice:
    name: str = "USB Mic"
    host_api: str = "ALSA"
    n_channels: int = 1
    default_rate: float = 48_000.0
    rates: frozenset[int] = ALL_RATES
    channel_counts: frozenset[int] | None = None
    refuses_with: int | None = None
    """Code of the error that every attempt ends with."""
    fails_at_start: int | None = None
    """Code of the error that starting an open stream ends with."""
    converts: bool = False
    """Takes all rates if WASAPI is asked to convert."""
    n_asked: int = 0

    def check(self, n_channels: int, rate: int, extra: Any) -> None:
        self.n_asked += 1
        if self.refuses_with is not None:
            raise PortAudioError("refused", self.refuses_with)
        counts = self.channel_counts or frozenset(range(1, self.n_channels + 1))
        if n_channels not in counts:
            raise PortAudioError("Invalid number of channels", BAD_CHANNELS)
        if rate not in self.rates and not (self.converts and extra is not None):
            raise PortAudioError("Invalid sample rate", BAD_RATE)


@dataclass
class FakeSound:
    """Stands in for the module."""

    devices: list[FakeDevice] = field(default_factory=lambda: [FakeDevice()])
    default_input: int = 0
    latency_s: float = 0.04
    heard: Callable[[InputStream], None] | None = None
    """Called with each stream that starts."""
    start_error: bool = False
    """PortAudio does not start."""
    n_starts: int = 1
    is_running: bool = True

    PortAudioError = PortAudioError

    def __post_init__(self) -> None:
        self.streams: list[InputStream] = []

    @property
    def default(self) -> SimpleNamespace:
        return SimpleNamespace(device=(self.default_input, -1))

    def host_apis(self) -> list[str]:
        return list(dict.fromkeys(device.host_api for device in self.devices))

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        return tuple({"name": name} for name in self.host_apis())

    def query_devices(self) -> list[dict[str, Any]]:
        if not self.is_running:
            raise PortAudioError("PortAudio not initialized", NOT_STARTED)
        return [
            {
                "name": device.name,
                "hostapi": self.host_apis().index(device.host_api),
                "max_input_channels": device.n_channels,
                "default_samplerate": device.default_rate,
            }
            for device in self.devices
        ]

    def get_portaudio_version(self) -> tuple[int, str]:
        return 1246976, "PortAudio V19.7.0-devel, revision unknown"

    def check_input_settings(
        self, *, device: int, channels: int, dtype: str, extra_settings: Any, samplerate: int
    ) -> None:
        assert dtype == "float32"
        self._device(device).check(channels, samplerate, extra_settings)

    def WasapiSettings(self, *, auto_convert: bool) -> str:  # noqa: N802
        assert auto_convert
        return "convert"

    def InputStream(self, **settings: Any) -> InputStream:  # noqa: N802
        device = self._device(settings["device"])
        device.check(settings["channels"], settings["samplerate"], settings["extra_settings"])
        stream = InputStream(self, device, settings)
        self.streams.append(stream)
        return stream

    def _terminate(self) -> None:
        if not self.is_running:
            raise PortAudioError("PortAudio not initialized", NOT_STARTED)
        self.is_running = False

    def _initialize(self) -> None:
        if self.start_error:
            raise PortAudioError("Error initializing PortAudio", HOST_ERROR)
        self.is_running = True
        self.n_starts += 1

    def _exit_handler(self) -> None:
        """What the module registers with `atexit`."""

    def _device(self, index: int) -> FakeDevice:
        if index >= len(self.devices):
            raise PortAudioError(f"Error querying device {index}")
        return self.devices[index]


class InputStream:
    """A stream whose deliveries the test makes."""

    def __init__(self, sound: FakeSound, device: FakeDevice, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.rate: int = settings["samplerate"]
        self.n_channels: int = settings["channels"]
        self.latency = sound.latency_s
        self.is_closed = self.is_started = self.was_aborted = False
        self.lets_go = threading.Event()
        self.lets_go.set()
        self.clock_s = 100.0
        """The device's clock at the next sample."""
        self._sound, self._device = sound, device

    @property
    def active(self) -> bool:
        if self.is_closed:
            raise PortAudioError("Invalid stream pointer", -9988)
        return self.is_started

    def start(self) -> None:
        if self._device.fails_at_start is not None:
            raise PortAudioError("Error starting stream", self._device.fails_at_start)
        self.is_started = True
        if self._sound.heard is not None:
            self._sound.heard(self)

    def abort(self) -> None:
        self.lets_go.wait()
        self.was_aborted, self.is_started = True, False

    def close(self) -> None:
        self.is_closed = True

    def deliver(self, samples: np.ndarray[Any, Any], overflow: bool = False, has_clock: bool = True) -> None:
        """Call back as PortAudio does, with memory that is used again afterwards."""
        buffer = np.array(samples, dtype=np.float32).reshape(-1, self.n_channels)
        times = SimpleNamespace(inputBufferAdcTime=self.clock_s if has_clock else 0.0)
        self.settings["callback"](buffer, len(buffer), times, SimpleNamespace(input_overflow=overflow))
        self.clock_s += len(buffer) / self.rate
        buffer[:] = 99.0


class Notices(list[tuple[str, str]]):
    """What the user was told, in order: kind and line."""

    def __call__(self, kind: str, text: str) -> None:
        self.append((kind, text))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


def use(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> FakeSound:
    """Put a fake in the place of sounddevice."""
    sound = FakeSound(**changes)
    monkeypatch.setitem(sys.modules, "sounddevice", sound)
    return sound


def speech_like(rate: int, duration_s: float = 3.0, noise_rms: float = 0.0003, seed: int = 0) -> Waveform:
    """Bursts of a voice whose pitch glides from 95 to 115 Hz, harmonics up to 7 kHz, over white noise.

    0.6 s on, 0.3 s off. Shape: (n_samples,).
    """
    time_s = np.arange(round(duration_s * rate)) / rate
    within_s = time_s % 0.9
    envelope = np.where(within_s < 0.6, np.sin(np.pi * within_s / 0.6) ** 2, 0.0)
    phase = 2 * np.pi * np.cumsum(95 + 20 * within_s / 0.6) / rate
    harmonics = range(1, int(min(7_000, 0.45 * rate) // 115))
    voice = sum(np.cos(k * phase) / k for k in harmonics)
    noise = np.random.default_rng(seed).standard_normal(len(time_s)) * noise_rms
    waveform: Waveform = (0.1 * envelope * voice + noise).astype(np.float32)
    return waveform


class Room:
    """What a started stream hears: all blocks at once, on a clock that the test owns.

    Parameters
    ----------
    monkeypatch
        Puts the clock into the modules that look at one.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from speechcmd.runtime.microphone import doctor
        from speechcmd.runtime.microphone import open_microphone as microphone

        self.now_s = 1_000.0
        self.sound: Callable[[int], Waveform] = speech_like
        self.clock_ratio = 1.0
        """Samples that arrive for each that should."""
        self.overflow_at: int | None = None
        """Number of the block before which 0.1 s is lost."""
        self.duration_s = 4.0
        monkeypatch.setattr(microphone, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(doctor, "time", SimpleNamespace(monotonic=self._look))
        monkeypatch.setattr(doctor, "_READ_S", 0.0)

    def _look(self) -> float:
        self.now_s += 0.01
        return self.now_s

    def play(self, stream: InputStream) -> None:
        n_block = stream.settings["blocksize"]
        waveform = np.resize(self.sound(stream.rate), round(self.duration_s * stream.rate))
        for number in range(len(waveform) // n_block):
            is_late = number == self.overflow_at
            stream.clock_s += 0.1 * is_late
            self.now_s += n_block / stream.rate / self.clock_ratio
            block = waveform[number * n_block : (number + 1) * n_block]
            stream.deliver(np.repeat(block[:, None], stream.n_channels, axis=1), overflow=is_late)
