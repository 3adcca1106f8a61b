"""Recordings in the blocks of a microphone, and those who watch a microphone's samples."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from fake_sound import Notices

from speechcmd.arrays import FloatArray
from speechcmd.audio.reading import read_waveform
from speechcmd.errors import AudioError
from speechcmd.runtime.microphone import capture as capture_module
from speechcmd.runtime.microphone.capture import ClockWatch, ZeroWatch, play
from speechcmd.runtime.microphone.open_microphone import Block

pytestmark = pytest.mark.runtime

RATE = 16_000


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers here are those of blocks of 20 ms, whatever the length in use."""
    monkeypatch.setattr("speechcmd.runtime.microphone.capture.BLOCK_S", 0.02)


@pytest.fixture
def notices() -> Notices:
    return Notices()


def noise(n_samples: int, seed: int = 0, rms: float = 0.1) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal(n_samples) * rms).astype(np.float32)


def joined(blocks: list[Block]) -> FloatArray:
    return np.concatenate([block.waveform for block in blocks])


class TestPlay:
    @pytest.mark.parametrize(
        ("rate", "channels", "n_samples"),
        [(16_000, 1, 16_000), (16_000, 2, 5_001), (44_100, 2, 30_011), (8_000, 1, 7_999), (48_000, 3, 960)],
    )
    def test_the_pieces_are_the_recording(
        self, tmp_path: Path, rate: int, channels: int, n_samples: int
    ) -> None:
        path = tmp_path / "a.wav"
        soundfile.write(path, noise(n_samples * channels).reshape(-1, channels), rate, subtype="FLOAT")
        blocks = list(play(str(path), RATE, realtime=False))
        np.testing.assert_array_equal(joined(blocks), read_waveform(path, RATE))
        assert {block.lost_samples for block in blocks} == {0}
        assert max(len(block.waveform) for block in blocks) < 0.12 * RATE  # soxr gives in bursts

    def test_the_pace_of_a_microphone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each block is there when it has been spoken; what the listener needed is taken off."""
        path = tmp_path / "a.wav"
        soundfile.write(path, noise(1_600), RATE)
        now, slept = [50.0], []
        monkeypatch.setattr(capture_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds

        work_s = iter([0.005, 0.0, 0.05, 0.0, 0.0])
        for block in play(str(path), RATE, realtime=True, sleep=sleep):
            assert block.arrived_at == now[0]
            now[0] += next(work_s)
        # 0.02 each, 5 ms were used once; then 50 ms, which is 30 ms late: no sleep, then 10 ms still late
        assert slept == pytest.approx([0.02, 0.015, 0.02, 0.0, 0.0], abs=1e-9)

    def test_without_a_pace_nothing_sleeps(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        soundfile.write(path, noise(1_600), RATE)
        assert len(list(play(str(path), RATE, realtime=False, sleep=pytest.fail))) == 5

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(AudioError, match="no such file"):
            list(play(str(tmp_path / "none.wav"), RATE, realtime=False))


class TestZeroWatch:
    def test_a_second_of_zeros_is_told_once(self, notices: Notices) -> None:
        watch = ZeroWatch(notices)
        zeros = np.zeros(4_800, dtype=np.float32)
        for _ in range(9):
            watch.see(zeros, 48_000)
        assert notices == []
        for _ in range(20):
            watch.see(zeros, 48_000)
        assert notices.kinds == ["zeros"]
        assert notices[0][1].startswith("the microphone delivers only zeros; ")
        watch.see(noise(10), 48_000)
        watch.see(noise(10), 48_000)
        assert notices.kinds == ["zeros", "sound"]
        for _ in range(11):
            watch.see(zeros, 48_000)
        assert notices.kinds == ["zeros", "sound", "zeros"]

    def test_one_sample_that_is_not_zero_is_a_sound(self, notices: Notices) -> None:
        watch = ZeroWatch(notices)
        for _ in range(10):
            almost = np.zeros(8_000, dtype=np.float32)
            almost[-1] = 1 / 32_768
            watch.see(almost, RATE)
        assert notices == []


class TestClockWatch:
    def feed(self, watch: ClockWatch, seconds: float, rate: float, start_s: float = 0.0) -> None:
        for number in range(round(seconds * 50)):
            watch.see(round(rate / 50), start_s + (number + 1) / 50)

    def test_48_khz_that_is_called_16_khz(self, notices: Notices) -> None:
        watch = ClockWatch(RATE, notices)
        self.feed(watch, 11.9, 48_000)
        assert notices == []
        self.feed(watch, 0.2, 48_000, start_s=11.9)
        ((kind, text),) = notices
        assert kind == "clock"
        assert "the device says 16000 Hz and delivers 48000 samples per second" in text

    @pytest.mark.parametrize(("rate", "n_told"), [(15_840, 0), (16_160, 0), (15_500, 2), (16_500, 2)])
    def test_from_two_percent_on(self, notices: Notices, rate: int, n_told: int) -> None:
        self.feed(ClockWatch(RATE, notices), 25, rate)
        assert len(notices) == n_told

    def test_a_computer_that_slept(self, notices: Notices) -> None:
        """Eight seconds without a block, then all that was kept for it at once, again and again."""
        watch = ClockWatch(RATE, notices)
        for round_s in range(0, 90, 30):
            self.feed(watch, 20, RATE, start_s=round_s)
            watch.see(4 * RATE, round_s + 28.0)
            self.feed(watch, 2, RATE, start_s=round_s + 28.0)
        assert notices == []

    def test_what_was_counted_before_a_loss_does_not_count(self, notices: Notices) -> None:
        watch = ClockWatch(RATE, notices)
        for second in range(60):
            self.feed(watch, 1, RATE / 2, start_s=second)
            if second % 8 == 7:  # half of the samples are missing, and it is known
                watch.restart()
        assert notices == []
        self.feed(watch, 15, RATE / 2, start_s=60)
        assert notices.kinds == ["clock"]

    def test_a_backlog_at_the_beginning(self, notices: Notices) -> None:
        """Two seconds that a sound server had in store come at once."""
        watch = ClockWatch(RATE, notices)
        for _ in range(100):
            watch.see(320, 0.0)
        self.feed(watch, 30, RATE)
        assert notices == []

    def test_a_device_that_is_late_and_then_on_time(self, notices: Notices) -> None:
        """The same samples in blocks of a second: what counts is the sum, not the block."""
        watch = ClockWatch(RATE, notices)
        for second in range(40):
            watch.see(RATE, second + (0.1 if second % 2 else 0.0))
        assert notices == []
