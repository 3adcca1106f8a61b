"""The decoder's settings as options: what `transcribe` and `listen` may change of the model's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from speechcmd.labels import name_labels, normalise_label, split_fields

if TYPE_CHECKING:
    from speechcmd.runtime.model.card import DecoderSettings, ModelCard

    _DictType = click.ParamType[dict[str, float]]
else:
    _DictType = click.ParamType  # older releases are not generic

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LONGEST_SMOOTHING_S = 5.0


class NumberRange(click.FloatRange):
    """A number within bounds; not-a-number lies within none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"expected a number, got {value!r}", param, ctx)
        return number


class PerWord(_DictType):
    """One number for all words, or numbers for single words: 0.8, yes=0.8,no=0.6, or 0.7,stop=0.9.

    The number for all words stands under the empty name. A word with a comma stands in double quotes:
    "lamp, off"=0.7.

    Parameters
    ----------
    bounds
        What a single number is converted by.
    """

    name = "numbers"

    def __init__(self, bounds: Any) -> None:
        self._bounds = bounds

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        numbers: dict[str, float] = {}
        try:
            parts = split_fields(str(value))
        except ValueError as error:
            self.fail(f"{error}; got {value!r}", param, ctx)
        for part in parts:
            label, equals, number = part.rpartition("=")
            label = normalise_label(label)
            if label in numbers or bool(equals) != bool(label):
                self.fail(
                    "expected a number for all words or numbers for single ones, such as 0.8 or "
                    f"yes=0.8,no=0.6; got {value!r}",
                    param,
                    ctx,
                )
            numbers[label] = self._bounds.convert(number.strip(), param, ctx)
        return numbers


def decoder_options(command: _Command) -> _Command:
    """Add the options that change when a word is heard."""
    options = [
        click.option(
            "--threshold",
            type=PerWord(NumberRange(0, 1, min_open=True)),
            metavar="T",
            help="Score at which a word is heard: 0.8, or yes=0.8,no=0.6 (so for R, N too).",
        ),
        click.option(
            "--release-ratio",
            type=PerWord(NumberRange(0, 1, min_open=True)),
            metavar="R",
            help="A word can be heard again after its score fell below threshold x R.",
        ),
        click.option(
            "--refractory",
            type=PerWord(NumberRange(0, 60)),
            metavar="SECONDS",
            help="Least time between two hearings of one word.",
        ),
        click.option(
            "--smoothing",
            type=NumberRange(0, _LONGEST_SMOOTHING_S),
            metavar="SECONDS",
            help="Time over which scores are averaged: longer is surer and later.",
        ),
        click.option(
            "--min-steps",
            type=PerWord(click.IntRange(1, 1_000)),
            metavar="N",
            help="Model outputs at the threshold without which nothing is heard.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def decoder_settings(
    card: ModelCard,
    threshold: dict[str, float] | None,
    release_ratio: dict[str, float] | None,
    refractory: dict[str, float] | None,
    smoothing: float | None,
    min_steps: dict[str, float] | None,
) -> DecoderSettings:
    """The model's settings with what the command line says instead.

    Raises
    ------
    click.UsageError
        If a number is given for something that is not a word of the model.
    """
    asked = {
        "threshold": threshold,
        "release_ratio": release_ratio,
        "refractory_s": refractory,
        "min_steps": min_steps,
    }
    given = {name: numbers for name, numbers in asked.items() if numbers}
    for_all: dict[str, Any] = {name: numbers[""] for name, numbers in given.items() if "" in numbers}
    settings = card.decoder.override(**for_all)
    for name, numbers in given.items():
        for label in sorted(set(numbers) - {""}):
            if label not in card.words:
                option = name.removesuffix("_s").replace("_", "-")
                raise click.UsageError(
                    f"--{option}: {label!r} is not a word of this model; "
                    f"its words are {name_labels(card.words)}"
                )
            change: dict[str, Any] = {name: numbers[label]}
            own = replace(settings.of(label), **change)
            settings = replace(settings, labels={**settings.labels, label: own})
    if smoothing is None:
        return settings
    return replace(settings, smoothing_steps=card.steps_in(smoothing))
