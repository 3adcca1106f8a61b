"""Which device is meant, at which rate it opens, and what is said where there is none."""

from __future__ import annotations

import builtins
import os
import sys
from dataclasses import replace
from typing import Any

import pytest
from fake_sound import ALL_RATES, BAD_CHANNELS, HOST_ERROR, UNAVAILABLE, FakeDevice, use

from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone.advice import _ADVICE, advise
from speechcmd.runtime.microphone.device import (
    OTHER_RATES,
    InputDevice,
    accepts_rate,
    choose_rate,
    explain_refusal,
    find_again,
    find_device,
    hidden_stderr,
    host_settings,
    list_devices,
    note_open_stream,
    portaudio,
    refresh_devices,
)

pytestmark = pytest.mark.runtime

MICS = [
    FakeDevice("Speakers", n_channels=0),
    FakeDevice("USB Mic", "MME", 2, 44_100.0),
    FakeDevice("USB Mic", "Windows WASAPI", 2, 48_000.0),
    FakeDevice("USB Mic 2 (stereo,\r\n left)", "MME", 1),
    FakeDevice("Webcam", "Windows WASAPI", 1),
]


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_devices_that_record_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=MICS, default_input=4)
    assert list_devices() == [
        InputDevice("USB Mic", "MME", 2, 44_100, False, 1),
        InputDevice("USB Mic", "Windows WASAPI", 2, 48_000, False, 2),
        InputDevice("USB Mic 2 (stereo, left)", "MME", 1, 48_000, False, 3),
        InputDevice("Webcam", "Windows WASAPI", 1, 48_000, True, 4),
    ]


@pytest.mark.parametrize(
    ("part", "index"),
    [
        (None, 4),
        ("webcam", 4),
        (" WEB ", 4),
        ("usb mic 2", 3),
        ("usb mic, mme", 1),  # a whole title wins over "USB Mic 2 ..., MME", which it also fits
        ("USB Mic, Windows WASAPI", 2),
        ("usb, wasapi", 2),
        ("(stereo, left)", 3),
        ("stereo, left), mme", 3),
    ],
)
def test_a_device_is_found_by_a_part_of_its_name(
    monkeypatch: pytest.MonkeyPatch, part: str | None, index: int
) -> None:
    use(monkeypatch, devices=MICS, default_input=4)
    assert find_device(part).index == index


def test_several_that_fit_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=MICS)
    assert refusal(find_device, "usb") == (
        "3 input devices fit 'usb': USB Mic, MME | USB Mic, Windows WASAPI | USB Mic 2 (stereo, left), MME; "
        "give more of the name, or NAME, HOST API as listed"
    )
    # the whole name wins over the longer one, but two host APIs have it
    assert refusal(find_device, "usb mic").startswith("2 input devices fit 'usb mic': USB Mic, MME | USB Mic")


def test_two_that_are_called_the_same_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=[FakeDevice(), FakeDevice()])
    assert "make the right one the system's default" in refusal(find_device, "usb mic")
    assert find_device(None).index == 0


def test_none_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=MICS[3:])
    message = refusal(find_device, "headset")
    assert message.startswith(
        "no input device is called 'headset'; there are: USB Mic 2 (stereo, left), MME |"
    )
    assert "numbers" not in message
    assert "numbers are not taken" in refusal(find_device, "1")
    assert find_device("2").name.startswith("USB Mic 2")  # a figure in a name is a part of it


def test_no_default_and_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=MICS, default_input=-1)
    assert "no default microphone; set one in the sound settings" in refusal(find_device, None)
    use(monkeypatch, devices=MICS[:1])
    assert list_devices() == []
    assert refusal(find_device, None) == f"this computer shows no microphone; {advise('connect')}"


RATES_TRIED = (16_000, 11_025, *OTHER_RATES)


@pytest.mark.parametrize("position", range(len(RATES_TRIED)))
def test_the_first_rate_that_is_accepted(monkeypatch: pytest.MonkeyPatch, position: int) -> None:
    """The device takes this rate and all that come later in the order."""
    accepted = frozenset(RATES_TRIED[position:])
    use(monkeypatch, devices=[FakeDevice(default_rate=11_025.0, rates=accepted)])
    assert choose_rate(find_device(None), 1) == RATES_TRIED[position]


def test_another_rate_may_be_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    assert choose_rate(find_device(None), 1, wanted=44_100) == 44_100
    assert accepts_rate(find_device(None), 1, 8_000)
    assert not accepts_rate(find_device(None), 1, 7_000)


def test_a_device_without_any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, devices=[FakeDevice(rates=frozenset({11_025}))])
    message = refusal(choose_rate, find_device(None), 1)
    assert message.startswith("USB Mic, ALSA takes no rate that speechcmd knows")


@pytest.mark.parametrize(
    ("code", "expected", "is_busy"),
    [
        (UNAVAILABLE, "USB Mic, ALSA is in use by another program; close that program", True),
        (BAD_CHANNELS, "USB Mic, ALSA refuses 1 channels of its 1;", False),
        (
            HOST_ERROR,
            f"USB Mic, ALSA cannot be opened (refused [PaErrorCode -9999]); {advise('host error')}",
            False,
        ),
        (-9996, "USB Mic, ALSA is gone (", False),
    ],
)
def test_refusals_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: int, expected: str, is_busy: bool
) -> None:
    use(monkeypatch, devices=[FakeDevice(refuses_with=code)])
    with pytest.raises(DeviceError) as caught:
        choose_rate(find_device(None), 1)
    assert str(caught.value).startswith(expected)
    assert caught.value.is_busy == is_busy


@pytest.mark.parametrize("host_api", ["ALSA", "Windows WASAPI"])
def test_a_busy_device_is_not_asked_for_every_rate(monkeypatch: pytest.MonkeyPatch, host_api: str) -> None:
    """Each question opens the device, which takes a while."""
    sound = use(monkeypatch, devices=[FakeDevice(host_api=host_api, refuses_with=UNAVAILABLE)])
    refusal(choose_rate, find_device(None), 1)
    assert sound.devices[0].n_asked == 1


def test_a_device_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    device = find_device(None)
    sound.devices.clear()
    assert "is gone (Error querying device 0); plug it in again" in refusal(choose_rate, device, 1)


def test_a_rate_refused_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    error = explain_refusal(find_device(None), 1, 16_000, sound.PortAudioError("Invalid sample rate", -9997))
    assert str(error) == "USB Mic, ALSA refuses 16000 Hz; choose another device with --device"


def test_wasapi_converts_where_nothing_else_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = frozenset({11_025})
    use(
        monkeypatch,
        devices=[
            FakeDevice(host_api="Windows WASAPI", rates=odd, converts=True),
            FakeDevice(host_api="Windows WASAPI", rates=ALL_RATES - {16_000}, converts=True),
            FakeDevice(host_api="MME", rates=odd, converts=True),
        ],
    )
    only_converted, plain, other = list_devices()
    assert choose_rate(only_converted, 1) == 16_000
    assert host_settings(only_converted, 1, 16_000) == "convert"
    assert choose_rate(plain, 1) == 48_000  # our own resampler is the better one
    assert host_settings(plain, 1, 48_000) is None
    assert "takes no rate" in refusal(choose_rate, other, 1)
    assert host_settings(other, 1, 16_000) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("PortAudio library not found"), f"PortAudio is missing (PortAudio library not found); {advise('install')}"),
        (ModuleNotFoundError("No module named 'sounddevice'"), "pip install sounddevice"),
        (RuntimeError("Error initializing PortAudio"), "PortAudio does not start (Error initializing"),
    ],
)  # fmt: skip
def test_portaudio_is_missing(monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str) -> None:
    real_import = builtins.__import__

    def fail(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "sounddevice":
            raise error
        return real_import(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    for call in (portaudio, list_devices, refresh_devices):
        assert expected in refusal(call)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "freebsd14"])
@pytest.mark.parametrize("topic", list(_ADVICE))
def test_advice_for_every_platform(monkeypatch: pytest.MonkeyPatch, platform: str, topic: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    named = _ADVICE[topic].get(platform)
    assert advise(topic) == (named or _ADVICE[topic]["linux"])


def test_the_list_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    refresh_devices()
    assert (sound.n_starts, sound.is_running) == (2, True)


def test_no_list_under_an_open_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch)
    stream = object()
    note_open_stream(stream, True)
    assert "while a microphone is open" in refusal(refresh_devices)
    assert sound.n_starts == 1
    note_open_stream(stream, False)
    refresh_devices()
    assert sound.n_starts == 2


def test_a_failed_start_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = use(monkeypatch, start_error=True)
    assert "PortAudio does not start" in refusal(refresh_devices)
    assert "PortAudio cannot list the devices (PortAudio not initialized" in refusal(list_devices)
    sound.start_error = False
    refresh_devices()
    assert len(list_devices()) == 1


def test_standard_error_is_hidden_only_within(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"ALSA lib pcm.c: noise\n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), hidden_stderr():
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_a_device_is_found_again_under_another_card_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALSA writes the number of the card into the name, and gives another one after a device was plugged in."""
    other = FakeDevice("Webcam (hw:1,0)", "ALSA")
    sound = use(monkeypatch, devices=[FakeDevice("USB Mic: Audio (hw:1,0)", "ALSA")])
    (before,) = list_devices()
    sound.devices = [other, FakeDevice("USB Mic: Audio (hw:2,0)", "ALSA")]
    assert find_again(before).name == "USB Mic: Audio (hw:2,0)"
    sound.devices = [other]
    assert "no input device is called" in refusal(find_again, before)


def test_of_two_alike_the_same_name_comes_first_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Mic (hw:1,0)", "Mic (hw:2,0)", "Mic (hw:3,0)")
    use(monkeypatch, devices=[FakeDevice(name, "ALSA") for name in names], default_input=2)
    first, _, third = list_devices()
    assert find_again(first).name == first.name
    assert find_again(replace(first, name="Mic (hw:7,0)")).name == third.name
