"""What `speechcmd models --released` prints: the models of the package with their measured figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from speechcmd.cli.console.table import align

if TYPE_CHECKING:
    from speechcmd.runtime.model.figures import OperatingPoint, Rate, Share
    from speechcmd.runtime.model.released import ReleasedModel

_HEADER = ("model", "words", "parameters", "MB", "accuracy", "false accepts/h", "missed", "speed")
_NOTHING = "–"
_LINE_LENGTH = 78
_TASKS = {"own": "its own words", "12": "the official 12 classes", "35": "all 35 words"}
_NOTE = (
    "Second lines: 95 % intervals. Accuracy: share of clips recognised rightly ({tasks}). False accepts per "
    "hour: words heard where nobody said them, as the model is set. Missed: share of the words not heard at "
    "10 dB signal to noise or better, as the model is set. Speed: times real time for recordings, on one "
    "core of this computer, measured now. {nothing}: not measured."
)


def show_released(as_json: bool) -> None:
    """Print the released models.

    Raises
    ------
    ModelError
        If one, or its figures, cannot be read.
    """
    from speechcmd.runtime.model.model_file import ASSETS
    from speechcmd.runtime.model.released import describe_released
    from speechcmd.runtime.recognition.speed import measure_speed

    released = [(model, measure_speed(model.name)) for model in describe_released()]
    if as_json:
        for model, speed in released:
            click.echo(json.dumps(_facts_of(model, speed)))
        return
    click.echo(_show_table(released))
    click.echo(f"\nCards with all figures: {ASSETS}, NAME.md. Choose one with -m NAME.")


def _facts_of(model: ReleasedModel, speed: float) -> dict[str, Any]:
    from speechcmd.runtime.model.model_file import DEFAULT_MODEL
    from speechcmd.runtime.model.promise import promise_of

    card, promise = model.card, promise_of(model.card)
    return {
        "name": model.name,
        "is_default": model.name == DEFAULT_MODEL,
        "architecture": card.architecture,
        "precision": card.precision,
        "words": list(card.words),
        "parameters": card.parameters,
        "n_bytes": model.n_bytes,
        "sha256": model.sha256,
        "calibration": None if promise is None else asdict(promise),
        "figures": None if model.figures is None else asdict(model.figures),
        "times_real_time": round(speed, 1),
    }


def _show_table(released: list[tuple[ReleasedModel, float]]) -> str:
    rows: list[tuple[str, ...]] = [_HEADER]
    for model, speed in released:
        rows += [row for row in _rows_of(model, speed) if any(row)]
    note = _NOTE.format(tasks=_describe_tasks(released), nothing=_NOTHING)
    return "\n".join([*align(rows, 1), "", click.wrap_text(note, _LINE_LENGTH)])


def _rows_of(model: ReleasedModel, speed: float) -> list[tuple[str, ...]]:
    """One row of figures, and one of their intervals."""
    figures, card = model.figures, model.card
    clips = figures.clips if figures else None
    point = figures.stream.points[0] if figures and figures.stream else None
    cells = [_share_cells(clips.accuracy if clips else None), *_stream_cells(point)]
    facts = (model.name, str(len(card.words)), f"{card.parameters:,}", f"{model.n_bytes / 1e6:.2f}")
    return [
        (*facts, *(value for value, _ in cells), f"{speed:,.0f}x"),
        (*("" for _ in facts), *(interval for _, interval in cells), ""),
    ]


def _stream_cells(point: OperatingPoint | None) -> list[tuple[str, str]]:
    if point is None:
        return [_share_cells(None)] * 2
    return [_rate_cells(point.false_accepts), _share_cells(point.false_reject_rate_at_10_db)]


def _share_cells(share: Share | None) -> tuple[str, str]:
    if share is None:
        return _NOTHING, ""
    return f"{100 * share.value:.1f} %", f"{100 * share.low:.1f}–{100 * share.high:.1f} %"


def _rate_cells(rate: Rate | None) -> tuple[str, str]:
    return (f"{rate.per_hour:.2f}", f"{rate.low:.2f}–{rate.high:.2f}") if rate else (_NOTHING, "")


def _describe_tasks(released: list[tuple[ReleasedModel, float]]) -> str:
    """cnn, gru: the official 12 classes, testing speakers; cnn35: …"""
    names: dict[str, list[str]] = {}
    for model, _ in released:
        clips = model.figures.clips if model.figures else None
        if clips is not None:
            split = f", {clips.split} speakers" if clips.split else ""
            names.setdefault(_TASKS.get(clips.task, clips.task) + split, []).append(model.name)
    return "; ".join(f"{', '.join(those)}: {task}" for task, those in names.items()) or "not measured"
