"""Settings of a training from where a person may write them: recipe, options, `--set`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from speechcmd.training.settings.config import TrainConfig

_HALF_SEEN = "augment.half_seen_percent"
# options that are called something else than their setting
_NAMES = {"workers": "n_workers", "threads": "n_threads"}
# switches of parts of the augmentation and the settings that they turn off
_SWITCHES = {
    "time_shift": ("time_shift_ms",),
    "noise": ("noise_percent",),
    "gain": ("gain_db",),
    "spec_augment": ("time_masks", "band_masks"),
}


def make_config(
    context: click.Context, options: dict[str, Any], store_length: str, begun: TrainConfig | None
) -> TrainConfig:
    """The configuration that is meant: defaults, then the recipe, given options, `--set`.

    A run that goes on has the settings that it was `begun` with in place of the defaults: those may have been
    others in the version that began it.

    Raises
    ------
    TrainingError
        If a setting is not known or has another type.
    """
    from speechcmd.training.settings.config import TrainConfig
    from speechcmd.training.settings.recipe import apply_settings, parse_setting, read_recipe

    recipe = {} if options["recipe"] is None else read_recipe(options["recipe"])
    check_pairs("--model", options["model_settings"])
    check_pairs("--set", options["settings"])
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    meant = recipe | dict(_settings_of(given)) | dict(map(parse_setting, options["settings"]))
    if begun is None and meant.get("mixup"):
        meant = {_HALF_SEEN: 0} | meant  # what is only a default gives way to what is asked for
    return apply_settings(begun or TrainConfig(length=store_length), meant)


def _settings_of(given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    from speechcmd.training.settings.config import AugmentConfig
    from speechcmd.training.settings.recipe import parse_setting

    for name, value in given.items():
        if name in _SWITCHES:
            wanted = AugmentConfig() if value else AugmentConfig.off()
            yield from ((f"augment.{inner}", getattr(wanted, inner)) for inner in _SWITCHES[name])
        elif name == "model_settings":
            yield from (parse_setting(f"model.{setting}") for setting in value)
        elif name in ("initial", "teacher", "feature_cache"):
            yield name, str(value)
        elif name not in ("recipe", "settings"):
            yield _NAMES.get(name, name), value


def check_pairs(option: str, pairs: tuple[str, ...]) -> None:
    """Refuse what is not written NAME=VALUE as wrong usage."""
    for text in pairs:
        if "=" not in text:
            raise click.UsageError(f"{option}: expected NAME=VALUE, got {text!r}")
