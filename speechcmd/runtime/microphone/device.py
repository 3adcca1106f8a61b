"""Input devices: which there are, which one is meant, and at which rate it opens.

Devices are known by their names. PortAudio's indices move when something is plugged in, and it lists the
devices only when it is initialised, so an `InputDevice` is good until the next `refresh_devices`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import DeviceError
from speechcmd.runtime.microphone.advice import advise
from speechcmd.runtime.microphone.native_output import STDERR, discarded

# tried in this order after the wanted rate and the device's own; the first is what most hardware runs at
OTHER_RATES = (48_000, 44_100, 32_000, 96_000, 192_000, 22_050, 8_000)
SAMPLE_FORMAT = "float32"
_CHOOSE_ANOTHER = "choose another device with --device"
_RESTART = "restart the sound service"
_CARD_NUMBER = re.compile(r"\s*\(hw:\d+,\d+\)")

# error codes of PortAudio (portaudio.h); sounddevice has no names for them
HOST_ERROR, BAD_CHANNELS, BAD_RATE, BAD_DEVICE, UNAVAILABLE = -9999, -9998, -9997, -9996, -9985

_stderr_lock = threading.Lock()
_streams_lock = threading.Lock()
_open_streams: set[int] = set()


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that records."""

    name: str
    host_api: str
    n_channels: int
    default_rate: int
    is_default: bool
    index: int
    """PortAudio's number of the device, valid until the next `refresh_devices`; never to be kept."""

    @property
    def title(self) -> str:
        """Name and host API, as messages show them and `find_device` takes them."""
        return f"{self.name}, {self.host_api}"


def portaudio() -> Any:
    """Import sounddevice, which loads PortAudio.

    Raises
    ------
    DeviceError
        If the package or the library is missing, or PortAudio does not start.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError(
            f"the microphone needs the package sounddevice ({error})", advice="pip install sounddevice"
        ) from error
    except OSError as error:  # what sounddevice raises where the library is not found
        raise DeviceError(f"the library PortAudio is missing ({error})", advice=advise("install")) from error
    except Exception as error:  # PortAudio did not start; the error's class is in the module we did not get
        raise _does_not_start(error) from error
    return sounddevice


def list_devices() -> list[InputDevice]:
    """List the devices that record, in PortAudio's order.

    Raises
    ------
    DeviceError
        If PortAudio is missing or cannot tell.
    """
    sd = portaudio()
    try:
        infos = list(sd.query_devices())
        host_apis = [api["name"] for api in sd.query_hostapis()]
        default = sd.default.device[0]
    except sd.PortAudioError as error:
        raise DeviceError(f"PortAudio cannot list the devices ({error})", advice=_RESTART) from error
    return [
        InputDevice(
            name=" ".join(info["name"].split()),  # some drivers put line breaks into names
            host_api=host_apis[info["hostapi"]],
            n_channels=info["max_input_channels"],
            default_rate=round(info["default_samplerate"]),
            is_default=index == default,
            index=index,
        )
        for index, info in enumerate(infos)
        if info["max_input_channels"] > 0
    ]


def find_device(part: str | None) -> InputDevice:
    """Find the one device that is meant.

    Parameters
    ----------
    part
        Part of a name in any case, "name", or "part of the name, part of the host API"; a whole name wins
        over parts. None is the system's default input.

    Raises
    ------
    DeviceError
        If there is no such device, or there are several.
    """
    devices = list_devices()
    if not devices:
        raise no_microphone()
    if part is None:
        return _default_of(devices)
    wanted = part.strip().casefold()
    for matches in (_is_whole_name, _is_part):
        found = [device for device in devices if matches(device, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise _several(part, found)
    numbers = " (numbers are not taken: they change when something is plugged in)" if wanted.isdigit() else ""
    raise DeviceError(
        f"no input device is called {part!r}{numbers}",
        advice=f"there are: {_titles(devices)}. Give a part of one of these names",
    )


def no_microphone() -> DeviceError:
    """The error where `list_devices` finds nothing."""
    return DeviceError("this computer shows no microphone", advice=advise("connect"))


def find_again(device: InputDevice) -> InputDevice:
    """Find a device that was there before, after `refresh_devices`.

    By its name and host API; the number of the card that ALSA writes into names changes when a device is
    plugged in again, so another number will do. Of two alike the system's default is preferred.

    Raises
    ------
    DeviceError
        If it is not there.
    """
    alike = [one for one in list_devices() if _plain_title(one) == _plain_title(device)]
    if not alike:
        return find_device(device.title)  # which says what there is
    return max(alike, key=lambda one: (one.title == device.title, one.is_default))


def choose_rate(device: InputDevice, n_channels: int, wanted: int = SAMPLE_RATE) -> int:
    """Choose a rate in Hz that the device really opens at: the wanted one, its own, or a usual one.

    Raises
    ------
    DeviceError
        If it takes none, is busy, or has gone.
    """
    sd = portaudio()
    refusal: Exception | None = None
    for extra in _settings_to_try(sd, device):
        for rate in dict.fromkeys((wanted, device.default_rate, *OTHER_RATES)):
            refusal = _refusal(sd, device, n_channels, rate, extra)
            if refusal is None:
                return rate
            if error_code(refusal) == UNAVAILABLE:  # no rate would help
                raise explain_refusal(device, n_channels, rate, refusal)
    if refusal is None or error_code(refusal) == BAD_RATE:
        raise DeviceError(
            f"{device.title} takes no rate that speechcmd knows (8000 to 192000 Hz, {n_channels} channels)",
            advice=_CHOOSE_ANOTHER,
        )
    raise explain_refusal(device, n_channels, wanted, refusal)


def accepts_rate(device: InputDevice, n_channels: int, rate: int) -> bool:
    """Whether the device opens at this rate as it is, without conversion by the host API."""
    return _refusal(portaudio(), device, n_channels, rate, None) is None


def host_settings(device: InputDevice, n_channels: int, rate: int) -> Any:
    """Settings of the host API that this format needs: None, or WASAPI's own conversion."""
    sd = portaudio()
    for extra in _settings_to_try(sd, device):
        if _refusal(sd, device, n_channels, rate, extra) is None:
            return extra
    return None


def refresh_devices() -> None:
    """Make PortAudio look for devices again; earlier `InputDevice` objects are void afterwards.

    Raises
    ------
    DeviceError
        If a stream is open (PortAudio would pull it from under its user), or PortAudio does not start.
    """
    sd = portaudio()
    with _streams_lock:
        if _open_streams:
            raise DeviceError(
                "devices cannot be listed again while a microphone is open or hangs",
                advice="close it, or start again",
            )
        try:
            with hidden_stderr():
                _terminate(sd)
                sd._initialize()
        except sd.PortAudioError as error:
            raise _does_not_start(error) from error


def note_open_stream(stream: object, is_open: bool) -> None:
    """Keep account of open streams: `refresh_devices` must not run while there is one."""
    with _streams_lock:
        if is_open:
            _open_streams.add(id(stream))
        else:
            _open_streams.discard(id(stream))


def error_code(error: Exception) -> int | None:
    """PortAudio's code of an error, if it carries one."""
    code = error.args[1] if len(error.args) > 1 else None
    return code if isinstance(code, int) else None


def explain_refusal(device: InputDevice, n_channels: int, rate: int, error: Exception) -> DeviceError:
    """Put PortAudio's refusal to open a device into plain words."""
    code = error_code(error)
    if code == UNAVAILABLE:
        return DeviceError(
            f"{device.title} is in use by another program",
            advice=f"close that program, or {_CHOOSE_ANOTHER}",
            is_busy=True,
        )
    if code == BAD_RATE:
        return DeviceError(f"{device.title} refuses {rate} Hz", advice=_CHOOSE_ANOTHER)
    if code == BAD_CHANNELS:
        return DeviceError(
            f"{device.title} refuses {n_channels} channels of its {device.n_channels}", advice=_CHOOSE_ANOTHER
        )
    if code == BAD_DEVICE or code is None:
        return DeviceError(
            f"{device.title} is gone ({error})", advice="plug it in again, or choose another device"
        )
    return DeviceError(f"{device.title} cannot be opened ({error})", advice=advise("host error"))


@contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide what ALSA and PortAudio write past Python to standard error while a device is tried."""
    with _stderr_lock, discarded(STDERR):
        yield


def _default_of(devices: list[InputDevice]) -> InputDevice:
    for device in devices:
        if device.is_default:
            return device
    raise DeviceError(
        "the system has no default microphone",
        advice=f"set one in the sound settings, or name one with --device: {_titles(devices)}",
    )


def _does_not_start(error: Exception) -> DeviceError:
    return DeviceError(f"PortAudio does not start ({error})", advice=_RESTART)


def _is_whole_name(device: InputDevice, wanted: str) -> bool:
    return wanted in (device.name.casefold(), device.title.casefold())


def _is_part(device: InputDevice, wanted: str) -> bool:
    name, _, host_api = wanted.rpartition(",")
    return wanted in device.title.casefold() or (
        bool(name)
        and name.strip() in device.name.casefold()
        and host_api.strip() in device.host_api.casefold()
    )


def _several(part: str, found: list[InputDevice]) -> DeviceError:
    advice = "give more of the name, or NAME, HOST API as listed"
    if len({device.title for device in found}) < len(found):
        advice = "make the right one the system's default and leave --device out"
    return DeviceError(f"{len(found)} input devices fit {part!r}: {_titles(found)}", advice=advice)


def _plain_title(device: InputDevice) -> str:
    return _CARD_NUMBER.sub("", device.title).casefold()


def _titles(devices: list[InputDevice]) -> str:
    return " | ".join(device.title for device in devices)


def _settings_to_try(sd: Any, device: InputDevice) -> list[Any]:
    """Plain first; WASAPI refuses all rates but one in shared mode, and converts only if told to."""
    return [None, sd.WasapiSettings(auto_convert=True)] if "WASAPI" in device.host_api else [None]


def _refusal(sd: Any, device: InputDevice, n_channels: int, rate: int, extra: Any) -> Exception | None:
    try:
        with hidden_stderr():
            sd.check_input_settings(
                device=device.index,
                channels=n_channels,
                dtype=SAMPLE_FORMAT,
                extra_settings=extra,
                samplerate=rate,
            )
    except (sd.PortAudioError, ValueError) as error:
        refusal: Exception = error
        return refusal
    return None


def _terminate(sd: Any) -> None:
    with suppress(sd.PortAudioError):  # it was not running: an earlier start failed
        sd._terminate()
