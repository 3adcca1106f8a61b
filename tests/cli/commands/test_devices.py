"""`speechcmd devices`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from fake_sound import FakeDevice, use

from speechcmd.cli.main import cli
from speechcmd.runtime.microphone.advice import advise

pytestmark = pytest.mark.runtime

DEVICES = [
    FakeDevice("Speakers", n_channels=0),
    FakeDevice("USB Mic", "MME", 2, 44_100.0, frozenset({8_000, 44_100})),
    FakeDevice("Array", "Windows WASAPI", 6, 48_000.0, frozenset({48_000})),
    FakeDevice("Busy", "MME", 1, 48_000.0, frozenset()),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["devices", *arguments])


def test_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=DEVICES, default_input=2)
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "   name     host API        channels  own rate  takes kHz",
        "   USB Mic  MME             2         44100     8 44.1",
        "*  Array    Windows WASAPI  6         48000     48",
        "   Busy     MME             1         48000     none (in use?)",
    ]


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=DEVICES, default_input=2)
    rows = [json.loads(line) for line in run("--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["USB Mic", "Array", "Busy"]
    assert rows[1] == {
        "name": "Array",
        "host_api": "Windows WASAPI",
        "n_channels": 6,
        "default_rate": 48_000,
        "is_default": True,
        "rates": [48_000],
    }


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_no_microphone(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    use(monkeypatch, devices=DEVICES[:1])
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"speechcmd: error: this computer shows no microphone; {advise('connect')}\n"
