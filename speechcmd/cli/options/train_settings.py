"""Settings of a training from where a person may write them: recipe, options, `--set`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource
from msgspec import Meta

from speechcmd.cli.options.common import check_length, read_labels
from speechcmd.training.settings.catalogue import SETTINGS, Setting
from speechcmd.training.settings.config import AugmentConfig, TrainConfig
from speechcmd.typed import as_type

_Command = TypeVar("_Command", bound=Callable[..., Any])

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
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FOLDERS = frozenset({"initial", "teacher", "feature_cache"})


def setting_options(*names: str) -> Callable[[_Command], _Command]:
    """The options of these names, each made from the setting that it changes."""

    def add(command: _Command) -> _Command:
        for name in reversed(names):
            command = _option_of(name)(command)
        return command

    return add


def _option_of(name: str) -> Callable[[_Command], _Command]:
    setting, flag = SETTINGS[_NAMES.get(name, name)], f"--{name.replace('_', '-')}"
    if setting.base is bool:
        return click.option(flag, is_flag=True, help=setting.purpose)
    automatic = "the store's" if name == "length" else setting.automatic
    more: dict[str, Any] = {"type": _type_of(setting), "callback": _callback_of(setting)}
    if automatic:
        shown = "" if automatic == "none" else f"  [default: {automatic}]"
        return click.option(flag, help=setting.purpose + shown, **more)
    default = setting.default
    if name == "words":
        more, default = more | {"type": str, "metavar": "WORDS"}, setting.shown_default
    return click.option(flag, default=default, show_default=True, help=setting.purpose, **more)


def _type_of(setting: Setting) -> Any:
    """What click takes for the type of a setting, with its constraints."""
    if setting.name in _FOLDERS:
        return _FOLDER
    if get_origin(setting.base) is Literal:
        return click.Choice(get_args(setting.base))
    if setting.base not in (int, float):
        return setting.base
    (meta,) = [extra for extra in get_args(setting.kind) if isinstance(extra, Meta)]
    # what is automatic is not asked for with a number
    least: Any = {"epochs": 1, "patience": 1, "batch_size": 2}.get(setting.name, meta.ge)
    most: Any = meta.le
    return (click.IntRange if setting.base is int else click.FloatRange)(least, most)


def _callback_of(setting: Setting) -> Any:
    return {"words": read_labels, "length": check_length, "unknown": _check_text}.get(setting.name)


def _check_text(_: click.Context, option: click.Parameter, value: str) -> str:
    try:
        as_type(value, SETTINGS[str(option.name)].kind)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


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
    from speechcmd.training.settings.recipe import parse_setting

    for name, value in given.items():
        if name in _SWITCHES:
            wanted = AugmentConfig() if value else AugmentConfig.off()
            yield from ((f"augment.{inner}", getattr(wanted, inner)) for inner in _SWITCHES[name])
        elif name == "model_settings":
            yield from (parse_setting(f"model.{setting}") for setting in value)
        elif name in _FOLDERS:
            yield name, str(value)
        elif name not in ("recipe", "settings"):
            yield _NAMES.get(name, name), value


def check_pairs(option: str, pairs: tuple[str, ...]) -> None:
    """Refuse what is not written NAME=VALUE as wrong usage."""
    for text in pairs:
        if "=" not in text:
            raise click.UsageError(f"{option}: expected NAME=VALUE, got {text!r}")
