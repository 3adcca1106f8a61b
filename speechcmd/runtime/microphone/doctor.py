"""Why a microphone, or this computer, does not hear commands: a list of checks with advice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.samples import Waveform, finite_samples
from speechcmd.errors import DeviceError, ModelError
from speechcmd.runtime.microphone.capture import CLOCK_TOLERANCE, FIRST_BLOCK_S
from speechcmd.runtime.microphone.device import InputDevice, find_device, portaudio
from speechcmd.runtime.microphone.open_microphone import Block, Microphone
from speechcmd.runtime.microphone.signal_check import Check, check_signal, judge
from speechcmd.runtime.recognition.recognizer import LIVE_UPDATE_S, Recognizer

# the other half is for the display, the rest of the system, and slower moments
LARGEST_SHARE_OF_UPDATE = 0.5

_SILENT_WITHIN_S = 2.0  # a device that delivered and then pauses this long has stopped
_SETTLING_S = 0.5  # what a sound server had buffered arrives at once
_READ_S = 0.1
_TIMED_UPDATES = 30
_FLOOR_RMS = np.float32(0.001)
_SOUND_CHECKS = (
    "PortAudio",
    "device",
    "opening",
    "delivery",
    "permission",
    "level",
    "noise",
    "clipping",
    "offset",
    "hum",
    "bandwidth",
)


@dataclass(frozen=True, slots=True)
class TrialRecording:
    """What came from a microphone in a few seconds, to be judged and forgotten."""

    blocks: list[Block]
    rate: int
    n_overflows: int
    n_lost_samples: int

    @property
    def waveform(self) -> Waveform:
        """All blocks end to end, finite. Shape: (n_samples,), which may be (0,)."""
        parts = [block.waveform for block in self.blocks]
        return finite_samples(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.float32)


def examine(
    device_part: str | None,
    seconds: float,
    model: str | os.PathLike[str] | None,
    on_start: Callable[[InputDevice], None],
    on_progress: Callable[[float], None],
) -> Iterator[Check]:
    """Yield all checks, each when it is done; those that an earlier problem rules out are skipped.

    Parameters
    ----------
    device_part
        As `find_device` takes it.
    seconds
        How long to record.
    model
        Whose speed to measure, as `Recognizer.load` takes it.
    on_start
        Called when the first sound arrives: from here on somebody should speak.
    on_progress
        Called with the seconds recorded so far.
    """
    n_done = 0
    for check in _examine_sound(device_part, seconds, on_start, on_progress):
        n_done += 1
        yield check
    for name in _SOUND_CHECKS[n_done:]:
        yield Check(name, "skipped", f"needs {_SOUND_CHECKS[n_done - 1]}")
    yield check_speed(model)


def record(
    microphone: Microphone,
    seconds: float,
    on_start: Callable[[], None],
    on_progress: Callable[[float], None],
) -> TrialRecording:
    """Record from an open microphone, for so long from its first block on, or until no more comes."""
    blocks: list[Block] = []
    wait_until = time.monotonic() + FIRST_BLOCK_S
    while time.monotonic() < wait_until:
        block = microphone.read(_READ_S)
        if block is None:
            continue
        if not blocks:
            on_start()
        blocks.append(block)
        recorded_s = block.arrived_at - blocks[0].arrived_at
        on_progress(min(recorded_s, seconds))
        if recorded_s >= seconds:
            break
        wait_until = time.monotonic() + _SILENT_WITHIN_S
    return TrialRecording(blocks, microphone.rate, microphone.n_overflows, microphone.n_lost_samples)


def check_delivery(recording: TrialRecording, seconds: float) -> Check:
    """Whether all samples arrived, and as many per second as the device says."""
    blocks = recording.blocks
    if not blocks:
        measured = f"the microphone opened, but no sound came in {FIRST_BLOCK_S:.0f} s"
        return Check(
            "delivery", "problem", measured, "plug it in again, or choose another device with --device"
        )
    recorded_s = blocks[-1].arrived_at - blocks[0].arrived_at
    rate_error = measure_rate(blocks) / recording.rate - 1.0
    values = {
        "overflows": float(recording.n_overflows),
        "lost_samples": float(recording.n_lost_samples),
        "rate_error": rate_error,
    }
    if recorded_s < seconds:
        measured = f"the sound stopped after {recorded_s:.1f} s of {seconds:g} s"
        advice = "look at the cable or the battery, or choose another device with --device"
    elif recording.n_overflows or recording.n_lost_samples:
        lost_ms = 1000 * recording.n_lost_samples / recording.rate
        measured = f"{recording.n_overflows} overflows, {lost_ms:.0f} ms of sound lost"
        advice = "close programs that keep the computer busy; try a socket without a hub for a USB microphone"
    elif abs(rate_error) > CLOCK_TOLERANCE:
        measured = (
            f"{recording.rate * (1 + rate_error):.0f} samples per second arrive, expected {recording.rate} "
            f"({rate_error:+.1%})"
        )
        advice = "set the device to 48000 Hz in the sound settings, or choose another device with --device"
    else:
        measured = f"nothing lost, {rate_error:+.1%} against the clock"
        return Check("delivery", "ok", measured, values=values)
    return Check("delivery", "problem", measured, advice, values)


def measure_rate(blocks: list[Block]) -> float:
    """Samples per second by the computer's clock: the slope of a line through the arrivals.

    A line, because blocks come in bursts: the first and the last alone would be off by whole blocks.
    """
    arrived_s = np.array([block.arrived_at for block in blocks]) - blocks[0].arrived_at
    n_samples = np.cumsum([block.lost_samples + len(block.waveform) for block in blocks])
    settled = arrived_s >= _SETTLING_S
    if settled.sum() < 2 or np.ptp(arrived_s[settled]) == 0.0:
        return 0.0
    return float(np.polyfit(arrived_s[settled], n_samples[settled], 1)[0])


def check_speed(
    model: str | os.PathLike[str] | None, clock: Callable[[], float] = time.perf_counter
) -> Check:
    """Time live updates of a model on synthetic noise against the time between two of them."""
    try:
        recognizer = Recognizer.load(model)
    except ModelError as error:
        return Check("speed", "problem", error.without_advice, error.advice or "choose another model with -m")
    card = recognizer.card
    n_update = card.steps_in(LIVE_UPDATE_S) * card.step_samples
    stream = recognizer.stream()
    # the edges at the start, one window, and one update to warm up
    stream.feed(white_noise(card.sample_rate + card.window_samples + n_update, seed=1) * _FLOOR_RMS)
    noise = white_noise(_TIMED_UPDATES * n_update, seed=2) * _FLOOR_RMS
    spent_s = []
    for block in np.split(noise, _TIMED_UPDATES):
        begin = clock()
        stream.feed(block)
        spent_s.append(clock() - begin)
    update_ms = 1000 * float(np.median(spent_s))
    share = update_ms / (1000 * n_update / card.sample_rate)
    values = {"update_ms": update_ms, "share_of_update": share}
    measured = (
        f"{card.name}: {update_ms:.1f} ms for an update every {1000 * n_update / card.sample_rate:.0f} ms"
        f" ({share:.0%})"
    )
    problem = f"{measured}, expected at most {LARGEST_SHARE_OF_UPDATE:.0%}"
    advice = "close other programs, leave the power saving mode, or choose a smaller model with -m"
    return judge("speed", share <= LARGEST_SHARE_OF_UPDATE, measured, problem, advice, values)


def _examine_sound(
    device_part: str | None,
    seconds: float,
    on_start: Callable[[InputDevice], None],
    on_progress: Callable[[float], None],
) -> Iterator[Check]:
    name = "PortAudio"
    try:
        version = portaudio().get_portaudio_version()[1]
        yield Check(name, "ok", version.partition(",")[0])
        name = "device"
        device = find_device(device_part)
        default = ", the system's default" if device.is_default else ""
        yield Check(name, "ok", f"{device.title} ({device.n_channels} in, {device.default_rate} Hz{default})")
        name = "opening"
        with Microphone(device) as microphone:
            yield _opened(microphone)
            recording = record(microphone, seconds, lambda: on_start(device), on_progress)
    except DeviceError as error:
        yield Check(name, "problem", error.without_advice, error.advice)
        return
    yield check_delivery(recording, seconds)
    if recording.blocks:
        yield from check_signal(recording.waveform, recording.rate, device.name, device.default_rate)


def _opened(microphone: Microphone) -> Check:
    latency_ms = 1000 * microphone.latency_s
    channels = "one channel" if microphone.device.n_channels == 1 else "two channels mixed"
    measured = f"at {microphone.rate} Hz, {channels}, {latency_ms:.0f} ms delay"
    values = {"rate_hz": float(microphone.rate), "latency_ms": latency_ms}
    return Check("opening", "ok", measured, values=values)
