"""`speechcmd info`: what a model file says of itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.options.common import model_option
from speechcmd.errors import SpeechcmdError

if TYPE_CHECKING:
    from speechcmd.runtime.model.card import ModelCard

_COLUMN = 14  # where the values begin


@click.command()
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--licence", is_flag=True, help="Print the licences of the released models and their data.")
def info(model: str | None, as_json: bool, licence: bool) -> None:
    """Show what a model file says of itself: labels, window, thresholds, data and licence."""
    if licence:
        click.echo(_read_notice(), nl=False)
        return
    from speechcmd.runtime.model.model_file import load_model_file

    _, card = load_model_file(model)
    facts = _facts_of(card)
    click.echo(json.dumps(facts) if as_json else _as_text(facts))


def _read_notice() -> str:
    from speechcmd.runtime.model.model_file import ASSETS

    notice = ASSETS / "NOTICE"
    if not notice.is_file():
        raise SpeechcmdError(f"{notice} is missing; install speechcmd again")
    return notice.read_text(encoding="utf-8")


def _facts_of(card: ModelCard) -> dict[str, Any]:
    from speechcmd.runtime.model.promise import promise_of

    promise = promise_of(card)
    return {
        "name": card.name,
        "labels": list(card.labels),
        "sample_rate": card.sample_rate,
        "window_s": card.window_s,
        "step_s": card.step_s,
        "architecture": card.architecture,
        "parameters": card.parameters,
        "precision": card.precision,
        "thresholds": {word: card.decoder.of(word).threshold for word in card.words},
        "calibration": None if promise is None else asdict(promise),
        "measured_on": card.measured_on,
        "data": [asdict(source) for source in card.data],
        "licence": card.licence,
        "tool_version": card.tool_version,
        "training": card.training,
    }


def _as_text(facts: dict[str, Any]) -> str:
    from speechcmd.runtime.model.promise import Promise

    calibration = facts["calibration"]
    thresholds = [f"{word} {value:g}" for word, value in facts["thresholds"].items()]
    sources = [f"{source['name']} ({source['licence']}) {source['url']}" for source in facts["data"]]
    rows = {
        "model": facts["name"],
        "architecture": facts["architecture"],
        "labels": " ".join(facts["labels"]),
        "sample rate": f"{facts['sample_rate']} Hz",
        "window": f"{facts['window_s']:.3f} s",
        "step": f"{facts['step_s']:.3f} s",
        "parameters": f"{facts['parameters']:,}",
        "precision": facts["precision"],
        "thresholds": ", ".join(thresholds),
        "calibrated": Promise(**calibration).describe() if calibration else "no",
        "measured on": facts["measured_on"],
        "data": ("\n" + " " * _COLUMN).join(sources) or "not stated",
        "licence": facts["licence"],
        "made by": f"speechcmd {facts['tool_version']}",
    }
    return "\n".join(f"{name + ':':<{_COLUMN}}{value}" for name, value in rows.items())
