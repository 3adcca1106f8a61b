"""An open microphone: nothing is lost without being counted, and a dead device lets go."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_sound import UNAVAILABLE, FakeDevice, FakeSound, InputStream, use

from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone import open_microphone as microphone_module
from speechcmd.runtime.microphone.device import find_device, refresh_devices
from speechcmd.runtime.microphone.open_microphone import Block, Microphone

pytestmark = pytest.mark.runtime

RATE = 16_000
N = 320


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers here are those of blocks of 20 ms, whatever the length in use."""
    monkeypatch.setattr("speechcmd.runtime.microphone.open_microphone.BLOCK_S", 0.02)


def open_microphone(sound: FakeSound, **settings: Any) -> tuple[Microphone, InputStream]:
    microphone = Microphone(find_device(None), **settings)
    microphone.open()
    return microphone, sound.streams[-1]


def read_all(microphone: Microphone) -> list[Block]:
    blocks = []
    while (block := microphone.read(0.0)) is not None:
        blocks.append(block)
    return blocks


def ramp(start: int, n_samples: int = N, n_channels: int = 1) -> np.ndarray[Any, Any]:
    """Samples that say which they are: exact in float32. Shape: (n_samples, n_channels)."""
    frames = np.arange(start, start + n_samples)[:, None] / 2.0**20
    return np.asarray(frames + np.arange(n_channels))


def test_all_that_is_delivered_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch, latency_s=0.0125)
    microphone, stream = open_microphone(sound)
    assert (microphone.rate, microphone.n_channels, microphone.latency_s) == (RATE, 1, 0.0125)
    assert stream.settings["latency"] == "low"
    assert stream.settings["blocksize"] == 320  # 20 ms
    before = time.monotonic()
    for start in (0, N, 2 * N):
        stream.deliver(ramp(start))
    blocks = read_all(microphone)
    assert [block.lost_samples for block in blocks] == [0, 0, 0]
    assert np.array_equal(np.concatenate([block.waveform for block in blocks]), ramp(0, 3 * N)[:, 0])
    assert all(block.waveform.dtype == np.float32 for block in blocks)
    assert all(before <= block.arrived_at <= time.monotonic() for block in blocks)
    assert (microphone.n_samples, microphone.n_overflows, microphone.n_lost_samples) == (3 * N, 0, 0)
    microphone.close()


@pytest.mark.parametrize(
    ("n_device", "channel", "n_opened", "value"),
    [(1, None, 1, 0.0), (2, None, 2, 0.5), (32, None, 2, 0.5), (4, 1, 1, 0.0), (4, 3, 3, 2.0)],
)
def test_channels(
    monkeypatch: pytest.MonkeyPatch, n_device: int, channel: int | None, n_opened: int, value: float
) -> None:
    """Channel k (from 0) holds the constant k: mixing the first two gives 0.5."""
    sound = use(monkeypatch, devices=[FakeDevice(n_channels=n_device)])
    microphone, stream = open_microphone(sound, channel=channel)
    assert stream.n_channels == microphone.n_channels == n_opened
    stream.deliver(np.tile(np.arange(n_opened), (N, 1)))
    (block,) = read_all(microphone)
    assert block.waveform.shape == (N,)
    assert set(block.waveform.tolist()) == {value}
    microphone.close()


def test_hardware_that_opens_only_with_all_its_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch, devices=[FakeDevice(n_channels=6, channel_counts=frozenset({6}))])
    microphone, stream = open_microphone(sound)
    assert stream.n_channels == 6
    stream.deliver(np.tile(np.arange(6), (N, 1)))
    assert set(read_all(microphone)[0].waveform.tolist()) == {0.5}
    microphone.close()


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_a_channel_that_is_not_there(monkeypatch: pytest.MonkeyPatch, channel: int) -> None:
    use(monkeypatch, devices=[FakeDevice(n_channels=2)])
    with pytest.raises(DeviceError, match=f"USB Mic, ALSA has channels 1 to 2, got {channel}"):
        Microphone(find_device(None), channel=channel)


def test_the_rate_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch, devices=[FakeDevice(rates=frozenset({44_100}))])
    microphone, stream = open_microphone(sound)
    assert microphone.rate == stream.settings["samplerate"] == 44_100
    assert stream.settings["blocksize"] == 882
    microphone.close()


def test_wasapi_is_told_to_convert(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice(host_api="Windows WASAPI", rates=frozenset(), converts=True)
    microphone, stream = open_microphone(use(monkeypatch, devices=[device]), wanted_rate=22_050)
    assert (microphone.rate, stream.settings["extra_settings"]) == (22_050, "convert")
    microphone.close()


def test_a_full_queue_drops_the_new_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    microphone, stream = open_microphone(sound, queue_s=3 * N / RATE)
    for index in range(5):
        stream.deliver(ramp(index * N))
    assert (microphone.n_samples, microphone.n_lost_samples, microphone.n_overflows) == (5 * N, 2 * N, 0)
    first = microphone.read(0.0)
    assert first is not None
    stream.deliver(ramp(5 * N))  # there is room for one again
    blocks = [first, *read_all(microphone)]
    assert [block.lost_samples for block in blocks] == [0, 0, 0, 2 * N]
    position = 0
    for block in blocks:  # lost samples and blocks together are the recording without a gap in time
        position += block.lost_samples
        assert np.array_equal(block.waveform, ramp(position)[:, 0])
        position += len(block.waveform)
    assert position == 6 * N
    microphone.close()


def test_an_overflow_is_measured_by_the_device_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    microphone, stream = open_microphone(sound)
    stream.deliver(ramp(0))
    stream.clock_s += 0.05
    stream.deliver(ramp(0), overflow=True)
    stream.deliver(ramp(0))
    stream.deliver(ramp(0), overflow=True)  # the clock shows no gap, but one sample is gone at least
    stream.deliver(ramp(0), overflow=True, has_clock=False)
    assert [block.lost_samples for block in read_all(microphone)] == [0, 800, 0, 1, 1]
    assert (microphone.n_overflows, microphone.n_lost_samples) == (3, 802)
    microphone.close()


def test_an_overflow_before_the_first_block_is_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    microphone, stream = open_microphone(use(monkeypatch))
    stream.deliver(ramp(0), overflow=True)
    assert [block.lost_samples for block in read_all(microphone)] == [0]
    assert (microphone.n_overflows, microphone.n_lost_samples) == (1, 0)
    microphone.close()


def test_reading_waits_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    microphone, stream = open_microphone(use(monkeypatch))
    assert microphone.read(-1.0) is None
    before = time.monotonic()
    assert microphone.read(0.02) is None
    assert time.monotonic() - before >= 0.02
    timer = threading.Timer(0.02, stream.deliver, [ramp(0)])
    timer.start()
    assert microphone.read(5.0) is not None
    timer.join()
    microphone.close()


@pytest.mark.parametrize("changes", [{"refuses_with": UNAVAILABLE}, {"fails_at_start": UNAVAILABLE}])
def test_a_busy_device(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    sound = use(monkeypatch)
    microphone = Microphone(find_device(None))
    sound.devices = [FakeDevice(**changes)]
    with pytest.raises(DeviceError, match="in use by another program") as caught:
        microphone.open()
    assert caught.value.is_busy
    assert not microphone.is_active
    assert all(stream.is_closed for stream in sound.streams)
    refresh_devices()  # no stream is left open


def test_open_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    microphone = Microphone(find_device(None))
    assert not microphone.is_active
    with microphone:
        microphone.open()  # open already
        (stream,) = sound.streams
        assert microphone.is_active
        with pytest.raises(DeviceError, match="while a microphone is open"):
            refresh_devices()
        stream.deliver(ramp(0))
    assert (stream.was_aborted, stream.is_closed, microphone.is_active) == (True, True, False)
    assert len(read_all(microphone)) == 1  # what came can still be read
    microphone.close()  # closed already
    refresh_devices()
    with microphone:
        sound.streams[-1].deliver(ramp(0))
        assert len(read_all(microphone)) == 1
    assert microphone.n_samples == 2 * N


def test_a_stream_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    microphone, stream = open_microphone(use(monkeypatch))
    stream.is_started = False
    assert not microphone.is_active
    stream.is_closed = True  # from here on PortAudio answers with an error
    assert not microphone.is_active
    microphone.close()


def test_closing_a_dead_device_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    unregistered: list[Callable[..., Any]] = []
    monkeypatch.setattr(microphone_module, "CLOSE_WITHIN_S", 0.05)
    monkeypatch.setattr(atexit, "unregister", unregistered.append)
    microphone, stream = open_microphone(sound)
    stream.lets_go.clear()
    microphone.close()
    assert not stream.is_closed
    assert unregistered == [sound._exit_handler]  # the end of the program must not wait for it either
    with pytest.raises(DeviceError, match="open or hangs"):
        refresh_devices()
    stream.lets_go.set()
    for thread in threading.enumerate():
        if thread.name == "close microphone":
            thread.join(5.0)
    assert stream.is_closed
    refresh_devices()
