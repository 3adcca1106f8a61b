"""`speechcmd devices`: the microphones of this computer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.console.table import align

if TYPE_CHECKING:
    from speechcmd.runtime.microphone.device import InputDevice

_PROBED_RATES = (8_000, 16_000, 44_100, 48_000)
_HEADER = ("", "name", "host API", "channels", "own rate", "takes kHz")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def devices(as_json: bool) -> None:
    """List the input devices, with * before the system's default.

    --device of other commands takes a part of a name, or "NAME, HOST API". Exit status: 0 done, 1 there is
    no microphone.
    """
    from speechcmd.runtime.microphone.device import list_devices, no_microphone

    found = list_devices()
    if not found:
        raise no_microphone()
    facts = [_facts_of(device) for device in found]
    if as_json:
        for row in facts:
            click.echo(json.dumps(row))
        return
    for line in align([_HEADER, *map(_columns, facts)], len(_HEADER)):
        click.echo(line)


def _facts_of(device: InputDevice) -> dict[str, Any]:
    from speechcmd.runtime.microphone.device import accepts_rate

    n_channels = min(device.n_channels, 2)
    return {
        "name": device.name,
        "host_api": device.host_api,
        "n_channels": device.n_channels,
        "default_rate": device.default_rate,
        "is_default": device.is_default,
        "rates": [rate for rate in _PROBED_RATES if accepts_rate(device, n_channels, rate)],
    }


def _columns(facts: dict[str, Any]) -> tuple[str, ...]:
    return (
        "*" if facts["is_default"] else "",
        facts["name"],
        facts["host_api"],
        str(facts["n_channels"]),
        str(facts["default_rate"]),
        " ".join(f"{rate / 1000:g}" for rate in facts["rates"]) or "none (in use?)",
    )
