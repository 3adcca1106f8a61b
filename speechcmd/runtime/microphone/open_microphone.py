"""One open microphone: blocks of mono audio, and an account of what was lost.

PortAudio calls back on a thread of its own, where whoever is late loses audio. There the samples are copied
into a bounded queue and counted, nothing else; mixing happens in `Microphone.read`.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from speechcmd.arrays import FloatArray
from speechcmd.audio.mixing import mix_to_mono
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone.device import (
    SAMPLE_FORMAT,
    InputDevice,
    choose_rate,
    explain_refusal,
    hidden_stderr,
    host_settings,
    note_open_stream,
    portaudio,
)

# 25 callbacks per second: each wakes the processor, and a host's own blocks may be forty times shorter
BLOCK_S = 0.04
QUEUE_S = 5.0
MIXED_CHANNELS = 2  # the others of a many-channel device are seldom microphones
CLOSE_WITHIN_S = 2.0  # a dead device may never let go


@dataclass(frozen=True, slots=True)
class Block:
    """One delivery: from a `Microphone` at its rate, from a `Capture` or a recording at the model's."""

    waveform: Waveform
    """Mono, shape (n_samples,), which may be (0,) from a `Capture`: nothing came."""
    lost_samples: int
    """Samples known to be lost right before this block: 0 normally, at least 1 at a gap."""
    arrived_at: float
    """`time.monotonic()` when it came."""


class Microphone:
    """A microphone, open between `open` and `close`, or inside `with`.

    Parameters
    ----------
    device
        From `find_device` or `list_devices`, not older than the last `refresh_devices`.
    channel
        Number of the one channel to use, from 1; None mixes the first two.
    wanted_rate
        Rate in Hz to open at if the device takes it; `rate` is what it is.
    queue_s
        Seconds of audio to keep for a slow reader; newer blocks are dropped and counted.

    Raises
    ------
    DeviceError
        If the device has no such channel, takes no rate, is busy, or has gone.
    """

    def __init__(
        self,
        device: InputDevice,
        *,
        channel: int | None = None,
        wanted_rate: int = SAMPLE_RATE,
        queue_s: float = QUEUE_S,
    ) -> None:
        if channel is not None and not 1 <= channel <= device.n_channels:
            raise DeviceError(
                f"{device.title} has channels 1 to {device.n_channels}, got {channel}",
                advice="choose one of them",
            )
        self.device = device
        self.n_channels, self.rate = _choose_format(device, channel or MIXED_CHANNELS, wanted_rate)
        self.latency_s = 0.0
        """What PortAudio states once the microphone is open."""
        self.n_samples = 0
        """Samples the device delivered, dropped ones among them."""
        self.n_overflows = 0
        """Deliveries before which PortAudio says that audio was lost."""
        self.n_lost_samples = 0
        """Samples dropped for a full queue, and what the device's clock says was lost at overflows."""
        self._columns = slice(0, MIXED_CHANNELS) if channel is None else slice(channel - 1, channel)
        self._capacity = round(queue_s * self.rate)
        self._stream: Any = None
        self._begin()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Begin to record; what an earlier recording left in the queue is gone.

        Raises
        ------
        DeviceError
            If the device cannot be opened.
        """
        if self._stream is not None:
            return
        sd = portaudio()
        self._begin()
        extra = host_settings(self.device, self.n_channels, self.rate)
        try:
            with hidden_stderr():
                self._stream = self._start(sd, extra)
        except (sd.PortAudioError, ValueError) as error:
            raise explain_refusal(self.device, self.n_channels, self.rate, error) from error
        self.latency_s = float(self._stream.latency)

    def close(self) -> None:
        """Stop recording; what is in the queue can still be read. Returns within seconds, come what may."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        closer = threading.Thread(target=_close_stream, args=(stream,), name="close microphone", daemon=True)
        closer.start()
        closer.join(CLOSE_WITHIN_S)
        if closer.is_alive():
            # sounddevice ends PortAudio when Python ends, and would wait for this stream for ever
            atexit.unregister(portaudio()._exit_handler)

    def read(self, timeout_s: float) -> Block | None:
        """Return the next block, or None if nothing came in that time."""
        try:
            samples, lost, arrived_at = self._queue.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None
        self._n_read += len(samples)
        return Block(mix_to_mono(samples), lost, arrived_at)

    @property
    def is_active(self) -> bool:
        """Whether PortAudio believes that the device records; one that delivers nothing may be dead."""
        if self._stream is None:
            return False
        try:
            return bool(self._stream.active)
        except Exception:  # PortAudio's own error class, about a stream that is no more
            return False

    def _begin(self) -> None:
        self._queue: queue.SimpleQueue[tuple[FloatArray, int, float]] = queue.SimpleQueue()
        # each of the two is written by one thread only, so they need no lock
        self._n_queued = 0
        self._n_read = 0
        self._pending_lost = 0
        self._next_time_s: float | None = None

    def _start(self, sd: Any, extra: Any) -> Any:
        stream = sd.InputStream(
            device=self.device.index,
            channels=self.n_channels,
            samplerate=self.rate,
            blocksize=round(BLOCK_S * self.rate),
            dtype=SAMPLE_FORMAT,
            latency="low",
            extra_settings=extra,
            callback=self._take,
        )
        note_open_stream(stream, True)
        try:
            stream.start()
        except BaseException:
            _close_stream(stream)
            raise
        return stream

    def _take(self, samples: FloatArray, n_samples: int, times: Any, status: Any) -> None:
        """PortAudio's callback: copy, count, return. Shape: (n_samples, n_channels)."""
        arrived_at = time.monotonic()
        begins_s = times.inputBufferAdcTime
        self.n_samples += n_samples
        if status.input_overflow:
            self.n_overflows += 1
            self._lose(self._samples_missing(begins_s))
        self._next_time_s = begins_s + n_samples / self.rate if begins_s > 0 else None
        if self._n_queued - self._n_read + n_samples > self._capacity:
            self._lose(n_samples)
            return
        lost, self._pending_lost = self._pending_lost, 0
        self._n_queued += n_samples
        self._queue.put((samples[:, self._columns].copy(), lost, arrived_at))

    def _lose(self, n_samples: int) -> None:
        self.n_lost_samples += n_samples
        self._pending_lost += n_samples

    def _samples_missing(self, begins_s: float) -> int:
        """Samples between the last block and this one, by the device's clock; 1 where it has none."""
        if self._next_time_s is None or begins_s <= 0:
            return 1 if self._n_queued else 0  # before the first block nothing of ours was lost
        return max(1, round((begins_s - self._next_time_s) * self.rate))


def _choose_format(device: InputDevice, n_channels: int, wanted_rate: int) -> tuple[int, int]:
    """Channels to open and rate; some hardware opens only with all its channels."""
    fewest = min(n_channels, device.n_channels)
    try:
        return fewest, choose_rate(device, fewest, wanted_rate)
    except DeviceError as error:
        if error.is_busy or fewest == device.n_channels:
            raise
    return device.n_channels, choose_rate(device, device.n_channels, wanted_rate)


def _close_stream(stream: Any) -> None:
    stream.abort()
    stream.close()
    note_open_stream(stream, False)
