"""Audio as it comes in, at the model's rate: from a microphone that may fail, or from a recording.

Both give `Block`s at the model's rate, so that what listens does not know the difference. A microphone that
stops delivering, is unplugged, delivers only zeros, or more or fewer samples than its rate says, is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from speechcmd.audio.reading import AudioSource, read_blocks
from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import Waveform, finite_samples
from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone.advice import advise
from speechcmd.runtime.microphone.device import InputDevice, find_again, find_device, refresh_devices
from speechcmd.runtime.microphone.open_microphone import BLOCK_S, Block, Microphone

FIRST_BLOCK_S = 6.0  # sound servers and Bluetooth headsets need seconds to wake up
STALL_S = 1.0  # a device that gives nothing for longer has stopped: the quietest room gives samples
RETRY_S = 0.5
ZEROS_S = 1.0  # no room is digital zero for so long
SETTLE_S = 2.0  # at first a sound server hands over what it had in store
CLOCK_S = 10.0  # over which deliveries are compared with the clock
# more than crystals and bursts explain; a wrong rate is off by 8 % and more (48 000 for 44 100 Hz)
CLOCK_TOLERANCE = 0.02
_READ_S = 0.1

NO_AUDIO: Waveform = np.zeros(0, dtype=np.float32)


def play(
    source: AudioSource, sample_rate: int, *, realtime: bool, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Block]:
    """Give a recording in the blocks in which a microphone would; `realtime` also at the pace of one.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    began = time.monotonic()
    n_samples = 0
    for waveform in read_blocks(source, sample_rate, BLOCK_S):
        n_samples += len(waveform)
        if realtime:
            sleep(max(0.0, began + n_samples / sample_rate - time.monotonic()))
        yield Block(waveform, 0, time.monotonic())


class Capture:
    """A microphone that is opened again when it comes back.

    Parameters
    ----------
    part
        Part of the device's name; None is the system's default input.
    sample_rate
        Rate of the blocks in Hz.
    channel
        Number of the one channel to use, from 1; None mixes the first two.
    reconnect
        Wait for a device that went away; otherwise it is an error.
    on_notice
        Gets a kind and a line for whatever the user should know.

    Raises
    ------
    DeviceError
        If there is no such device, or it cannot be opened.
    """

    def __init__(
        self,
        part: str | None,
        sample_rate: int,
        *,
        channel: int | None = None,
        reconnect: bool = True,
        on_notice: Callable[[str, str], None],
    ) -> None:
        self._sample_rate = sample_rate
        self._channel = channel
        self._reconnects = reconnect
        self._on_notice = on_notice
        self._known_lost_s = 0.0
        self._last_at: float | None = None
        self._away_since: float | None = None
        self._zeros = ZeroWatch(on_notice)
        self._open(find_device(part))

    @property
    def device(self) -> InputDevice:
        """The device that is, or was last, open."""
        return self._microphone.device

    @property
    def rate(self) -> int:
        """Rate in Hz at which the device is open."""
        return self._microphone.rate

    def close(self) -> None:
        """Stop recording."""
        self._microphone.close()

    def blocks(self) -> Iterator[Block]:
        """Give audio for ever; an empty block at least ten times per second where none comes.

        Raises
        ------
        DeviceError
            If the device went away and is not to be waited for.
        """
        while True:
            block = self._microphone.read(_READ_S)
            if block is not None:
                if block.lost_samples:
                    yield self._rest()
                yield self._resampled(block)
            elif self._has_stopped():
                yield from self._reconnect()
            else:
                yield Block(NO_AUDIO, 0, time.monotonic())

    def _open(self, device: InputDevice) -> None:
        self._microphone = Microphone(device, channel=self._channel)
        self._resampler = Resampler(self._microphone.rate, self._sample_rate)
        self._clock = ClockWatch(self._microphone.rate, self._on_notice)
        self._delivers = False  # since it was opened
        self._microphone.open()
        self._opened_at = time.monotonic()

    def _resampled(self, block: Block) -> Block:
        lost_s = block.lost_samples / self.rate
        if lost_s:
            self._known_lost_s += lost_s
            self._on_notice(
                "lost", f"audio was lost, {self._known_lost_s:.2f} s so far: is the computer too busy?"
            )
        if self._away_since is not None:
            lost_s += max(0.0, block.arrived_at - len(block.waveform) / self.rate - self._away_since)
            self._away_since = None
        # a device without a clock says 1 for a gap of unknown length: it must stay a gap
        lost = max(1, round(lost_s * self._sample_rate)) if lost_s else 0
        if block.lost_samples:
            self._clock.restart()
        self._clock.see(len(block.waveform), block.arrived_at)
        self._zeros.see(block.waveform, self.rate)
        self._last_at, self._delivers = block.arrived_at, True
        waveform = self._resampler.feed(finite_samples(block.waveform))
        return Block(waveform, lost, block.arrived_at)

    def _rest(self) -> Block:
        """What the filter still holds of the audio before a gap: it must not reach over it."""
        waveform = self._resampler.feed(NO_AUDIO, last=True)
        self._resampler = Resampler(self.rate, self._sample_rate)
        return Block(waveform, 0, time.monotonic())

    def _has_stopped(self) -> bool:
        now = time.monotonic()
        if self._last_at is None or not self._delivers:
            return now - self._opened_at > FIRST_BLOCK_S or not self._microphone.is_active
        return now - self._last_at > STALL_S or not self._microphone.is_active

    def _reconnect(self) -> Iterator[Block]:
        """Wait until the device is there again; what was not heard meanwhile counts as lost."""
        device = self.device
        message = f"{device.title} stopped delivering audio"
        self._microphone.close()
        if not self._reconnects:
            raise DeviceError(message, advice="plug it in again or choose another one with --device")
        self._on_notice("stopped", f"{message}; waiting for it")
        if self._away_since is None:
            self._away_since = self._last_at
        yield self._rest()
        reported = None
        while (reason := self._why_not_back(device)) is not None:
            if reason != reported:
                reported = reason
                self._on_notice("waiting", f"still waiting: {reason}")
            for _ in range(round(RETRY_S / _READ_S)):
                yield Block(NO_AUDIO, 0, time.monotonic())
                time.sleep(_READ_S)
        self._on_notice("back", f"{self.device.title} is back, at {self.rate} Hz")

    def _why_not_back(self, device: InputDevice) -> str | None:
        """Try to open the device; by name, since numbers change when something is plugged in."""
        try:
            refresh_devices()
            self._open(find_again(device))
        except DeviceError as error:
            return str(error)
        return None


class ZeroWatch:
    """Reports a microphone that delivers nothing but zeros: muted, or not permitted."""

    def __init__(self, on_notice: Callable[[str, str], None]) -> None:
        self._on_notice = on_notice
        self._zeros_s = 0.0

    def see(self, waveform: Waveform, rate: int) -> None:
        """Look at the next samples. Shape: (n_samples,)."""
        if waveform.any():
            if self._zeros_s >= ZEROS_S:
                self._on_notice("sound", "the microphone delivers sound again")
            self._zeros_s = 0.0
            return
        was_reported = self._zeros_s >= ZEROS_S
        self._zeros_s += len(waveform) / rate
        if self._zeros_s >= ZEROS_S and not was_reported:
            self._on_notice("zeros", f"the microphone delivers only zeros; {advise('permission')}")


class ClockWatch:
    """Compares the samples that came with the clock."""

    def __init__(self, rate: int, on_notice: Callable[[str, str], None]) -> None:
        self._rate = rate
        self._on_notice = on_notice
        self._last_at: float | None = None
        self.restart()

    def restart(self) -> None:
        """Forget what was counted: after a break there is a store of samples to be handed over."""
        self._settled_at: float | None = None
        self._began_at: float | None = None
        self._n_samples = 0

    def see(self, n_samples: int, arrived_at: float) -> None:
        """Count the next samples."""
        if self._last_at is not None and arrived_at - self._last_at > STALL_S:
            self.restart()  # this computer, or the device, slept
        self._last_at = arrived_at
        if self._settled_at is None:
            self._settled_at = arrived_at + SETTLE_S
        if arrived_at < self._settled_at:
            return
        if self._began_at is None:
            self._began_at = arrived_at
            return
        self._n_samples += n_samples
        elapsed_s = arrived_at - self._began_at
        if elapsed_s < CLOCK_S:
            return
        measured = self._n_samples / elapsed_s
        if abs(measured / self._rate - 1) > CLOCK_TOLERANCE:
            self._on_notice(
                "clock",
                f"the device says {self._rate} Hz and delivers {measured:.0f} samples per second: words may "
                "be missed; try another device, or another rate in the sound settings",
            )
        self._began_at, self._n_samples = arrived_at, 0
