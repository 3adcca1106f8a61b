"""A microphone that fails in every way the fake can, and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soxr
from fake_sound import UNAVAILABLE, FakeDevice, FakeSound, InputStream, Notices, use

from speechcmd.arrays import FloatArray
from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone import capture as capture_module
from speechcmd.runtime.microphone import open_microphone as microphone_module
from speechcmd.runtime.microphone.capture import Capture
from speechcmd.runtime.microphone.open_microphone import Block, Microphone

pytestmark = pytest.mark.runtime

RATE = 16_000


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers here are those of blocks of 20 ms, whatever the length in use."""
    monkeypatch.setattr("speechcmd.runtime.microphone.open_microphone.BLOCK_S", 0.02)
    monkeypatch.setattr("speechcmd.runtime.microphone.capture.BLOCK_S", 0.02)


class Desk:
    """A capture on a clock that only the test moves; waiting for a block moves it by the whole wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **fake: Any) -> None:
        self.sound: FakeSound = use(monkeypatch, **fake)
        self.now_s = 1_000.0
        self.notices = Notices()
        self.captures: list[Capture] = []
        desk = self

        class Waiting(Microphone):
            def read(self, timeout_s: float) -> Block | None:
                block = super().read(0.0)
                if block is None:
                    desk.sleep(timeout_s)
                return block

        clock = SimpleNamespace(monotonic=lambda: self.now_s, sleep=self.sleep)
        monkeypatch.setattr(capture_module, "time", clock)
        monkeypatch.setattr(microphone_module, "time", clock)
        monkeypatch.setattr(capture_module, "Microphone", Waiting)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def open(self, part: str | None = None, **settings: Any) -> Capture:
        self.captures.append(Capture(part, RATE, on_notice=self.notices, **settings))
        return self.captures[-1]

    def close(self) -> None:
        """An open stream would keep other tests from looking for devices again."""
        for capture in self.captures:
            capture.close()

    def take(self, blocks: Iterator[Block]) -> list[Block]:
        """All there is, and the block after it that says that nothing came."""
        before = self.now_s
        taken = []
        while self.now_s == before:
            taken.append(next(blocks))
        return taken

    @property
    def stream(self) -> InputStream:
        return self.sound.streams[-1]

    def deliver(self, samples: Any, **how: Any) -> None:
        """Blocks of 20 ms, at the pace of the device."""
        stream = self.stream
        size = stream.settings["blocksize"]
        for start in range(0, len(samples), size):
            block = samples[start : start + size]
            self.now_s += len(block) / stream.rate
            stream.deliver(block, **how)
            how = {}


@pytest.fixture
def make_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(**fake: Any) -> Desk:
        desks.append(Desk(monkeypatch, **fake))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def noise(n_samples: int, seed: int = 0, rms: float = 0.1) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal(n_samples) * rms).astype(np.float32)


def joined(blocks: list[Block]) -> FloatArray:
    return np.concatenate([block.waveform for block in blocks])


def heartbeats(blocks: Iterator[Block], n_blocks: int) -> None:
    for _ in range(n_blocks):
        block = next(blocks)
        assert (len(block.waveform), block.lost_samples) == (0, 0)


class TestCapture:
    @pytest.mark.parametrize("rate", [48_000, 44_100, 8_000])
    def test_blocks_are_resampled_as_one(self, make_desk: Callable[..., Desk], rate: int) -> None:
        desk = make_desk(devices=[FakeDevice(rates=frozenset({rate}), default_rate=rate)])
        capture = desk.open()
        assert capture.rate == rate
        samples = noise(2 * rate)
        desk.deliver(samples)
        heard = joined(desk.take(capture.blocks()))
        at_once = soxr.resample(samples, rate, RATE, quality="HQ")
        assert len(heard) > len(at_once) - 0.05 * RATE
        # the same filter: away from the edges only float rounding can differ
        np.testing.assert_allclose(heard[500:-500], at_once[500 : len(heard) - 500], atol=1e-5)

    def test_what_is_too_high_for_the_model_is_gone_and_not_folded(
        self, make_desk: Callable[..., Desk]
    ) -> None:
        """9 kHz would appear at 7 kHz if samples were just left out."""
        desk = make_desk(devices=[FakeDevice(rates=frozenset({48_000}))])
        capture = desk.open()
        time_s = np.arange(48_000) / 48_000
        desk.deliver((0.5 * np.sin(2 * np.pi * 9_000 * time_s)).astype(np.float32))
        heard = joined(desk.take(capture.blocks()))[1_000:-1_000]
        assert np.sqrt(np.mean(heard**2)) < 0.5 * 10 ** (-80 / 20)
        desk.deliver((0.5 * np.sin(2 * np.pi * 7_000 * time_s)).astype(np.float32))
        heard = joined(desk.take(capture.blocks()))[1_000:-1_000]
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)

    def test_at_the_models_rate_samples_come_as_they_are(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        capture = desk.open()
        assert (capture.rate, capture.device.name) == (RATE, "USB Mic")
        desk.deliver(noise(1_000))
        blocks = desk.take(capture.blocks())
        np.testing.assert_array_equal(joined(blocks), noise(1_000))
        assert [block.arrived_at for block in blocks] == pytest.approx(
            [1000.02, 1000.04, 1000.06, 1000.0625, 1000.1625], abs=1e-6
        )

    def test_samples_that_are_no_numbers(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        capture = desk.open()
        desk.deliver(np.array([np.nan, np.inf, -np.inf, 0.5]))
        np.testing.assert_array_equal(joined(desk.take(capture.blocks())), [0, 1, -1, 0.5])

    @pytest.mark.parametrize(("channel", "value"), [(None, 0.15), (1, 0.1), (2, 0.2), (3, 0.4)])
    def test_channels(self, make_desk: Callable[..., Desk], channel: int | None, value: float) -> None:
        desk = make_desk(devices=[FakeDevice(n_channels=3)])
        capture = desk.open(channel=channel)
        desk.stream.deliver(np.tile([0.1, 0.2, 0.4][: desk.stream.n_channels], (320, 1)))
        assert joined(desk.take(capture.blocks())) == pytest.approx(np.full(320, value))

    def test_a_channel_that_is_not_there(self, make_desk: Callable[..., Desk]) -> None:
        with pytest.raises(DeviceError, match="channels 1 to 1, got 2"):
            make_desk().open(channel=2)

    def test_lost_samples_count_at_the_models_rate(self, make_desk: Callable[..., Desk]) -> None:
        """0.1 s at 48 kHz, known from the device's clock, is 1600 samples at 16 kHz."""
        desk = make_desk(devices=[FakeDevice(rates=frozenset({48_000}))])
        capture = desk.open()
        desk.deliver(noise(9_600))
        desk.stream.clock_s += 0.1
        desk.deliver(noise(9_600), overflow=True)
        blocks = desk.take(capture.blocks())
        assert [block.lost_samples for block in blocks if block.lost_samples] == [1_600]
        assert desk.notices == [("lost", "audio was lost, 0.10 s so far: is the computer too busy?")]

    def test_a_gap_of_unknown_length_is_still_a_gap(self, make_desk: Callable[..., Desk]) -> None:
        """Without a clock of the device at least one of its samples is missing: a third of one of ours."""
        desk = make_desk(devices=[FakeDevice(rates=frozenset({48_000}))])
        capture = desk.open()
        desk.deliver(noise(4_800), has_clock=False)
        desk.deliver(noise(4_800), overflow=True, has_clock=False)
        assert [block.lost_samples for block in desk.take(capture.blocks()) if block.lost_samples] == [1]
        assert desk.notices == [("lost", "audio was lost, 0.00 s so far: is the computer too busy?")]

    def test_no_filter_reaches_over_a_gap(self, make_desk: Callable[..., Desk]) -> None:
        """Each side is what resampling it alone gives, to its last sample: nothing is lost but what was lost."""
        desk = make_desk(devices=[FakeDevice(rates=frozenset({44_100}))])
        capture = desk.open()
        before, after = noise(44_100, seed=1), noise(44_100, seed=2, rms=0.01)
        desk.deliver(before)
        desk.stream.clock_s += 0.5
        desk.deliver(after, overflow=True)
        blocks = desk.take(capture.blocks())
        (gap,) = (index for index, block in enumerate(blocks) if block.lost_samples)
        left, right = joined(blocks[:gap]), joined(blocks[gap:])
        expected = soxr.resample(before, 44_100, RATE, quality="HQ")
        assert len(left) == pytest.approx(RATE, abs=1)
        np.testing.assert_allclose(left, expected[: len(left)], atol=1e-5)
        np.testing.assert_allclose(
            right, soxr.resample(after, 44_100, RATE, quality="HQ")[: len(right)], atol=1e-3
        )

    def test_a_full_queue_is_a_gap(self, make_desk: Callable[..., Desk]) -> None:
        """Nobody reads for six seconds, the queue holds five."""
        desk = make_desk()
        capture = desk.open()
        blocks = capture.blocks()
        desk.deliver(noise(6 * RATE))
        assert len(joined([next(blocks) for _ in range(250)])) == 5 * RATE
        desk.deliver(noise(320))
        assert next(blocks).lost_samples == 0  # what the filter held
        assert next(blocks).lost_samples == RATE

    def test_it_tells_that_nothing_came_ten_times_a_second(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        capture = desk.open()
        heartbeats(capture.blocks(), 9)
        assert desk.now_s <= 1_000.91
        assert desk.notices == []

    def test_the_first_block_may_take_seconds(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        capture = desk.open()
        blocks = capture.blocks()
        heartbeats(blocks, 55)  # 5.5 s
        desk.deliver(noise(320))
        assert len(next(blocks).waveform) == 320
        assert desk.notices == []

    def test_a_first_block_that_never_comes(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        capture = desk.open(reconnect=False)
        with pytest.raises(DeviceError, match="USB Mic, ALSA stopped delivering audio; plug it in"):
            heartbeats(capture.blocks(), 100)
        assert 1_006 < desk.now_s < 1_006.5
        assert desk.stream.is_closed

    @pytest.mark.parametrize("how", ["stalls", "ends"])
    def test_without_reconnecting_it_is_an_error(self, make_desk: Callable[..., Desk], how: str) -> None:
        desk = make_desk()
        capture = desk.open(reconnect=False)
        blocks = capture.blocks()
        desk.deliver(noise(320))
        next(blocks)
        desk.stream.is_started = how == "stalls"
        with pytest.raises(DeviceError, match="USB Mic, ALSA stopped delivering"):
            heartbeats(blocks, 20)
        assert desk.now_s < 1_001.5
        assert desk.stream.is_closed

    def test_it_comes_back_under_another_number(self, make_desk: Callable[..., Desk]) -> None:
        """It was the default; meanwhile another device is, and sits at its number: the name counts."""
        mine, other = FakeDevice("My Mic", rates=frozenset({48_000})), FakeDevice("Webcam")
        desk = make_desk(devices=[mine])
        capture = desk.open()
        blocks = capture.blocks()
        desk.deliver(noise(48_000))
        heard = len(joined(desk.take(blocks)))
        assert heard < RATE
        away_since = 1_001.0
        desk.sound.devices = [other]
        heartbeats(blocks, 8)
        assert desk.notices == []
        rest = desk.take(blocks) + desk.take(blocks)
        assert heard + len(joined(rest)) == pytest.approx(RATE, abs=1)  # what the filter still held
        heartbeats(blocks, 30)
        assert desk.notices[0] == ("stopped", "My Mic, ALSA stopped delivering audio; waiting for it")
        assert desk.notices.kinds == ["stopped", "waiting"]  # a reason is told once
        assert "no input device is called 'My Mic, ALSA'" in desk.notices[1][1]
        assert len(desk.sound.streams) == 1
        assert desk.stream.is_closed
        desk.sound.devices = [other, FakeDevice("Line In"), mine]
        heartbeats(blocks, 8)
        assert desk.notices[2:] == [("back", "My Mic, ALSA is back, at 48000 Hz")]
        assert desk.stream.settings["device"] == 2
        assert capture.device.name == "My Mic"
        heartbeats(blocks, 20)  # it may take seconds for the first block again
        began_again = desk.now_s
        desk.deliver(noise(48_000))
        came = desk.take(blocks)
        assert came[0].lost_samples == pytest.approx((began_again - away_since) * RATE, abs=2)
        assert [block.lost_samples for block in came[1:]] == [0] * (len(came) - 1)
        capture.close()
        assert desk.stream.is_closed

    def test_all_that_was_heard_before_it_went_is_given(self, make_desk: Callable[..., Desk]) -> None:
        """Positions and the clock agree afterwards: heard and lost together are the time that passed."""
        desk = make_desk(devices=[FakeDevice(rates=frozenset({48_000}))])
        capture = desk.open()
        blocks = capture.blocks()
        desk.deliver(noise(48_000))
        all_blocks = [next(blocks) for _ in range(50 + 20)]
        desk.deliver(noise(48_000))
        all_blocks += [next(blocks) for _ in range(51)]
        assert desk.notices.kinds == ["stopped", "back"]
        rest_in_filter = len(capture._rest().waveform)
        n_samples = len(joined(all_blocks)) + sum(block.lost_samples for block in all_blocks) + rest_in_filter
        assert n_samples == pytest.approx((desk.now_s - 1_000) * RATE, abs=0.11 * RATE)

    def test_it_goes_again_before_it_delivered(self, make_desk: Callable[..., Desk]) -> None:
        """The absence counts from the last sound, over both."""
        desk = make_desk()
        capture = desk.open()
        blocks = capture.blocks()
        desk.deliver(noise(320))
        assert len(next(blocks).waveform) == 320
        gone_at = desk.now_s
        heartbeats(blocks, 100)  # opened at once again, dead for six seconds, opened again
        assert desk.notices.kinds == ["stopped", "back", "stopped", "back"]
        back_at = desk.now_s
        desk.deliver(noise(320))
        assert next(blocks).lost_samples == pytest.approx((back_at - gone_at) * RATE, abs=1)

    def test_a_device_that_never_gave_sound_loses_none(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk()
        blocks = desk.open().blocks()
        heartbeats(blocks, 70)
        assert desk.notices.kinds == ["stopped", "back"]
        desk.deliver(noise(320))
        assert next(blocks).lost_samples == 0

    def test_a_device_that_is_busy_when_it_is_back_is_waited_for(
        self, make_desk: Callable[..., Desk]
    ) -> None:
        desk = make_desk()
        blocks = desk.open().blocks()
        desk.deliver(noise(320))
        next(blocks)
        desk.sound.devices[0].refuses_with = UNAVAILABLE
        heartbeats(blocks, 40)
        desk.sound.devices[0].refuses_with = None
        desk.sound.devices[0].fails_at_start = UNAVAILABLE
        heartbeats(blocks, 20)
        assert desk.notices.kinds == ["stopped", "waiting"]
        assert "in use by another program" in desk.notices[1][1]
        desk.sound.devices[0].fails_at_start = None
        heartbeats(blocks, 8)
        assert desk.notices.kinds == ["stopped", "waiting", "back"]
        assert all(stream.is_closed for stream in desk.sound.streams[:-1])

    def test_gone_at_the_start(self, make_desk: Callable[..., Desk]) -> None:
        desk = make_desk(devices=[FakeDevice(fails_at_start=UNAVAILABLE)])
        with pytest.raises(DeviceError, match="in use by another program"):
            desk.open()
        assert desk.stream.is_closed
        with pytest.raises(DeviceError, match="no input device is called 'Webcam'"):
            desk.open("Webcam")

    def test_what_watches_is_told(self, make_desk: Callable[..., Desk]) -> None:
        """Zeros, then sound; and a device at a third of its rate, whose losses are known, and then not."""
        desk = make_desk()
        blocks = desk.open().blocks()
        desk.deliver(np.zeros(RATE))
        desk.take(blocks)
        assert desk.notices.kinds == ["zeros"]
        desk.deliver(noise(320))
        desk.take(blocks)
        assert desk.notices.kinds == ["zeros", "sound"]
        for is_known, n_told in ((True, 0), (False, 1)):
            for number in range(13 * 17):
                desk.now_s += 0.02 * 2  # two blocks of three are lost
                desk.stream.clock_s += 0.02 * 2
                desk.deliver(noise(320, seed=number), overflow=is_known)
                while not len(next(blocks).waveform):
                    pass
            assert desk.notices.kinds.count("clock") == n_told
