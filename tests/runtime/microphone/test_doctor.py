"""The doctor: a healthy microphone passes, and every problem is provoked once."""

from __future__ import annotations

import builtins
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from fake_sound import ALL_RATES, UNAVAILABLE, FakeDevice, FakeSound, Room, speech_like, use
from fakes import toy_model

from speechcmd.runtime.microphone import doctor
from speechcmd.runtime.microphone.advice import advise
from speechcmd.runtime.microphone.device import InputDevice
from speechcmd.runtime.microphone.doctor import check_speed, examine, measure_rate, record
from speechcmd.runtime.microphone.open_microphone import Block, Microphone
from speechcmd.runtime.microphone.signal_check import Check

pytestmark = pytest.mark.runtime

NAMES = [
    "PortAudio", "device", "opening", "delivery", "permission", "level", "noise", "clipping", "offset", "hum",
    "bandwidth", "speed",
]  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_model())
    return path


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch, room: Room) -> FakeSound:
    return use(monkeypatch, devices=[FakeDevice(n_channels=2)], heard=room.play)


def diagnose(model: Path, device_part: str | None = None) -> dict[str, Check]:
    checks = list(examine(device_part, 3.0, model, lambda _: None, lambda _: None))
    assert [check.name for check in checks] == NAMES
    assert all(bool(check.advice) == (check.status == "problem") for check in checks)
    return {check.name: check for check in checks}


def the_problem(checks: dict[str, Check]) -> Check:
    (problem,) = (check for check in checks.values() if check.status == "problem")
    return problem


def skipped(checks: dict[str, Check]) -> list[str]:
    return [check.name for check in checks.values() if check.status == "skipped"]


def test_all_is_well(sound: FakeSound, model: Path) -> None:
    spoken_to: list[InputDevice] = []
    progress: list[float] = []
    checks = list(examine(None, 3.0, model, spoken_to.append, progress.append))
    assert [(check.name, check.status) for check in checks] == [(name, "ok") for name in NAMES]
    assert [device.name for device in spoken_to] == ["USB Mic"]
    assert progress[0] == 0.0
    assert progress[-1] == 3.0
    assert progress == sorted(progress)
    by_name = {check.name: check for check in checks}
    assert by_name["PortAudio"].measured == "PortAudio V19.7.0-devel"
    assert by_name["device"].measured == "USB Mic, ALSA (2 in, 48000 Hz, the system's default)"
    assert by_name["opening"].measured == "at 16000 Hz, two channels mixed, 40 ms delay"
    assert by_name["delivery"].measured == "nothing lost, +0.0% against the clock"
    (stream,) = sound.streams
    assert stream.is_closed


def test_portaudio_is_missing(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    real_import = builtins.__import__

    def fail(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real_import(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    checks = diagnose(model)
    assert the_problem(checks).name == "PortAudio"
    assert the_problem(checks).advice == advise("install")
    assert skipped(checks) == NAMES[1:-1]
    assert checks["level"].measured == "needs PortAudio"


def test_no_device(sound: FakeSound, model: Path) -> None:
    sound.devices = [FakeDevice(n_channels=0)]
    checks = diagnose(model)
    assert (the_problem(checks).name, the_problem(checks).advice) == ("device", advise("connect"))
    assert skipped(checks) == NAMES[2:-1]


def test_no_such_device(sound: FakeSound, model: Path) -> None:
    problem = the_problem(diagnose(model, "webcam"))
    assert problem.measured == "no input device is called 'webcam'"
    assert problem.advice.startswith("there are: USB Mic, ALSA.")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"refuses_with": UNAVAILABLE}, "in use by another program"),
        ({"fails_at_start": UNAVAILABLE}, "in use by another program"),
        ({"rates": frozenset()}, "takes no rate"),
    ],
)
def test_busy_or_refused(sound: FakeSound, model: Path, changes: dict[str, Any], expected: str) -> None:
    sound.devices = [FakeDevice(**changes)]
    checks = diagnose(model)
    assert the_problem(checks).name == "opening"
    assert expected in the_problem(checks).measured
    assert skipped(checks) == NAMES[3:-1]


def test_nothing_comes(sound: FakeSound, model: Path) -> None:
    sound.heard = None
    checks = diagnose(model)
    assert (the_problem(checks).name, the_problem(checks).measured) == (
        "delivery", "the microphone opened, but no sound came in 6 s",
    )  # fmt: skip
    assert skipped(checks) == NAMES[4:-1]


def test_the_sound_stops(sound: FakeSound, room: Room, model: Path) -> None:
    room.duration_s = 2.0
    problem = the_problem(diagnose(model))
    assert (problem.name, problem.measured) == ("delivery", "the sound stopped after 2.0 s of 3 s")


def test_dropped_blocks(sound: FakeSound, room: Room, model: Path) -> None:
    room.overflow_at = 60
    problem = the_problem(diagnose(model))
    assert (problem.name, problem.measured) == ("delivery", "1 overflows, 100 ms of sound lost")
    assert problem.values["lost_samples"] == 1_600


@pytest.mark.parametrize(
    ("ratio", "status"), [(0.97, "problem"), (0.99, "ok"), (1.01, "ok"), (1.03, "problem")]
)
def test_samples_against_the_clock(
    sound: FakeSound, room: Room, model: Path, ratio: float, status: str
) -> None:
    room.clock_ratio, room.duration_s = ratio, 4.0 * ratio
    delivery = diagnose(model)["delivery"]
    assert delivery.status == status
    assert delivery.values["rate_error"] == pytest.approx(ratio - 1, abs=0.001)
    if status == "problem":
        assert f"{16_000 * ratio:.0f} samples per second arrive, expected 16000" in delivery.measured


def block(n_samples: int, arrived_at: float, lost_samples: int = 0) -> Block:
    return Block(np.zeros(n_samples, dtype=np.float32), lost_samples, arrived_at)


def test_the_rate_survives_bursts() -> None:
    """Three blocks of 20 ms come at once every 60 ms."""
    bursts = [block(320, 5.0 + 0.06 * (index // 3)) for index in range(150)]
    assert measure_rate(bursts) == pytest.approx(16_000, rel=0.003)
    assert measure_rate(bursts[:1]) == 0.0


def test_the_rate_survives_what_was_waiting() -> None:
    """A second of sound comes within the first 0.4 s, on top of what is recorded meanwhile."""
    steady = [block(320, 0.02 * index) for index in range(150)]
    waiting = [block(1_600, 0.04 * index) for index in range(10)]
    assert measure_rate(sorted(steady + waiting, key=lambda one: one.arrived_at)) == pytest.approx(16_000)


def test_lost_samples_were_recorded_in_time() -> None:
    blocks = [block(320, 0.02 * index) for index in range(150)]
    late = [block(320, 3.0 + 1.0 + 0.02 * index, 16_000 if index == 0 else 0) for index in range(50)]
    assert measure_rate(blocks + late) == pytest.approx(16_000)


def test_a_long_recording_goes_on_while_blocks_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks come every second, for longer than the first one was waited for."""
    now = itertools.count(start=1.0)
    monkeypatch.setattr(doctor, "time", SimpleNamespace(monotonic=lambda: next(now)))
    read = SimpleNamespace(
        read=lambda timeout_s: block(16_000, next(now)), rate=16_000, n_overflows=0, n_lost_samples=0
    )
    recording = record(cast(Microphone, read), 20.0, lambda: None, lambda _: None)
    assert recording.blocks[-1].arrived_at - recording.blocks[0].arrived_at >= 20.0


def changed_by(change: Callable[[np.ndarray[Any, Any], int], Any]) -> Callable[[int], Any]:
    return lambda rate: np.asarray(change(speech_like(rate), rate), dtype=np.float32)


def mains(rate: int) -> np.ndarray[Any, Any]:
    return 0.01 * np.sin(2 * np.pi * 50 * np.arange(3 * rate) / rate)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("permission", lambda speech, rate: 0 * speech),
        ("level", lambda speech, rate: 0.001 * speech),
        ("noise", lambda speech, rate: np.random.default_rng(1).standard_normal(len(speech)) * 0.01),
        ("clipping", lambda speech, rate: np.clip(10 * speech, -1, 1)),
        ("offset", lambda speech, rate: speech + 0.05),
        ("hum", lambda speech, rate: speech + mains(rate)),
    ],
)
def test_what_the_sound_says(sound: FakeSound, room: Room, model: Path, name: str, change: Any) -> None:
    room.sound = changed_by(change)
    checks = diagnose(model)
    assert the_problem(checks).name == name
    assert skipped(checks) == (NAMES[5:-1] if name == "permission" else [])


def test_telephone_mode(sound: FakeSound, model: Path) -> None:
    sound.devices = [FakeDevice("Headset (Hands-Free AG Audio)", default_rate=8_000.0)]
    problem = the_problem(diagnose(model))
    assert (problem.name, problem.advice) == ("bandwidth", advise("telephone"))


def test_not_a_number_is_judged_as_silence(sound: FakeSound, room: Room, model: Path) -> None:
    room.sound = changed_by(lambda speech, rate: np.full(len(speech), np.nan))
    assert the_problem(diagnose(model)).name == "permission"


@pytest.mark.parametrize("rates", [frozenset({48_000}), frozenset({44_100}), ALL_RATES])
def test_any_rate_of_the_device(sound: FakeSound, model: Path, rates: frozenset[int]) -> None:
    sound.devices = [FakeDevice(n_channels=1, rates=rates)]
    checks = diagnose(model)
    assert {check.status for check in checks.values()} == {"ok"}
    assert f"at {16_000 if 16_000 in rates else min(rates)} Hz, one channel" in checks["opening"].measured


@pytest.mark.parametrize(("update_ms", "status"), [(29.0, "ok"), (31.0, "problem")])
def test_a_machine_too_slow_for_the_model(model: Path, update_ms: float, status: str) -> None:
    """The toy's steps of 20 ms make updates of 60 ms, of which half may be spent; the clock ticks as told."""
    ticks = itertools.count()

    def clock() -> float:
        return next(ticks) * update_ms / 1000

    check = check_speed(model, clock)
    assert check.status == status
    assert check.values["update_ms"] == pytest.approx(update_ms)
    assert check.values["share_of_update"] == pytest.approx(update_ms / 60)
    assert f"toy: {update_ms:.1f} ms for an update every 60 ms" in check.measured


def test_one_slow_update_is_no_slow_machine(model: Path) -> None:
    spent_s = iter([1.0, *[0.006] * 29])
    now_s = itertools.accumulate(step for one in spent_s for step in (0.0, one))
    assert check_speed(model, now_s.__next__).values["update_ms"] == pytest.approx(6.0)


def test_every_timed_update_runs_the_network(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmd.runtime.model.session import Session

    events: list[str] = []
    run = Session.run

    def noted_run(self: Session, waveforms: Any) -> Any:
        events.append("run")
        return run(self, waveforms)

    monkeypatch.setattr(Session, "run", noted_run)

    def clock() -> float:
        events.append("clock")
        return 0.0

    check_speed(model, clock)
    timed = events[events.index("clock") :]
    assert timed == ["clock", "run", "clock"] * 30


def test_a_model_that_is_not_there(sound: FakeSound) -> None:
    problem = the_problem(diagnose(Path("nosuch.onnx")))
    assert (problem.name, problem.measured) == ("speed", "nosuch.onnx: no such model file")
    assert problem.advice == "choose another model with -m"
