"""`speechcmd doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fake_sound import FakeDevice, FakeSound, Room, speech_like, use
from fakes import toy_model

from speechcmd.cli.main import cli

pytestmark = pytest.mark.runtime


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch, room: Room) -> FakeSound:
    monkeypatch.setenv("COLUMNS", "80")
    return use(monkeypatch, devices=[FakeDevice(), FakeDevice("Webcam")], heard=room.play)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_model())
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_all_is_well(model: str) -> None:
    result = run("-m", model)
    assert result.exit_code == 0
    assert result.stderr == "Say something for 3 seconds to USB Mic ...\n"
    lines = result.stdout.splitlines()
    assert lines[1] == "ok       device      USB Mic, ALSA (1 in, 48000 Hz, the system's default)"
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert len(lines) == 13
    assert lines[-1] == "All is well."


def test_a_problem_and_what_to_do(room: Room, model: str) -> None:
    room.sound = lambda rate: np.zeros(3 * rate, dtype=np.float32)
    result = run("-m", model, "--device", "webcam")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("PROBLEM"))
    assert lines[first].startswith("PROBLEM  permission  nothing but digital zero")
    advice = [line for line in lines[first:] if line.startswith(" " * 21)]
    assert sum(line.startswith(" " * 21 + "-> ") for line in advice) == 1
    assert "-        level       no sound to judge" in lines
    assert lines[-1] == "1 problem: permission."
    assert max(map(len, lines)) <= 80


def test_a_terminal_counts_down(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmd.cli.commands import doctor

    written: list[str] = []
    terminal = SimpleNamespace(isatty=lambda: True, write=written.append, flush=lambda: None)
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(stderr=terminal))
    run("-m", model)
    shown = "".join(written).split("\r")
    assert shown[1] == " 3.0 s"
    assert shown[-3] == " 0.0 s"
    assert shown[-2:] == ["      ", ""]  # wiped before the next line
    assert len(shown) == 31 + 3  # each tenth once


def test_json(room: Room, model: str) -> None:
    room.sound = lambda rate: np.zeros(3 * rate, dtype=np.float32)
    result = run("-m", model, "--json", "--seconds", "2")
    assert result.exit_code == 1
    assert "2 seconds" in result.stderr
    *checks, verdict = (json.loads(line) for line in result.stdout.splitlines())
    assert verdict == {"ok": False}
    assert len(checks) == 12
    assert {tuple(check) for check in checks} == {("name", "status", "measured", "advice", "values")}
    assert [check["name"] for check in checks if check["status"] == "problem"] == ["permission"]
    room.sound = speech_like
    assert json.loads(run("-m", model, "--json").stdout.splitlines()[-1]) == {"ok": True}


def test_several_problems(sound: FakeSound) -> None:
    sound.devices = []
    result = run("-m", "nosuch.onnx")
    assert result.exit_code == 1
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "2 problems: device, speed."


@pytest.mark.parametrize("seconds", ["1.9", "31", "x"])
def test_wrong_usage(seconds: str) -> None:
    assert run("--seconds", seconds).exit_code == 2
