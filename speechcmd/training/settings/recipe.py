"""Recipes: TOML files with settings of a training, and single settings that change them.

    architecture = "bc_resnet"
    optimizer = "sgd"
    ema = 0.999

    [model]
    tau = 1

    [augment]
    noise_percent = 80

Keys are the fields of `TrainConfig`; those of `AugmentConfig` stand in the table `augment`, those of
the network in `model`.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from models.registry import list_architectures, list_settings
from speechcmd.errors import TrainingError
from speechcmd.json_toml import check_integers, parse_json, parse_toml
from speechcmd.labels import normalise_label, split_labels
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

Settings = dict[str, Any]

_TABLES = ("augment", "model")
_TOP = {field.name: field for field in fields(TrainConfig) if field.name not in _TABLES}
_AUGMENT = {field.name: field for field in fields(AugmentConfig)}
# what others call them
_SYNONYMS = {"lr": "learning_rate", "wd": "weight_decay", "bs": "batch_size"}
# likeness of two names, from 0 to 1: that of a name and its beginning, and below which naming one misleads
_BEGINNING, _NEAR = 0.8, 0.65
_LONGEST_SHOWN = 60


def setting_names() -> tuple[str, ...]:
    """All names of settings but the network's own, as `--set` takes them."""
    return (*_TOP, *(f"augment.{name}" for name in _AUGMENT))


def read_recipe(path: Path) -> Settings:
    """Settings of a TOML file by name, those of a table as "table.name".

    Raises
    ------
    TrainingError
        If the file cannot be read, is no TOML or has a key that is no setting.
    """
    try:
        content = parse_toml(path.read_bytes())
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be read ({error.strerror}); expected a recipe in TOML"
        ) from error
    except ValueError as error:
        raise TrainingError(f"{path}: not TOML ({error})") from error
    settings: Settings = {}
    for name, value in content.items():
        if isinstance(value, dict) and (value or name in _TABLES):
            settings |= {f"{name}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            settings[name] = value
    for name in settings:
        _check_name(name, str(path))
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """A setting "NAME=VALUE" of the command line.

    >>> parse_setting("augment.noise_snr_db=[0,20]"), parse_setting("schedule=linear")
    (('augment.noise_snr_db', [0, 20]), ('schedule', 'linear'))

    Raises
    ------
    TrainingError
        If there is no such setting.
    """
    name, _, value = text.partition("=")
    _check_name(name.strip(), "--set")
    try:
        parsed = parse_json(value)
        check_integers(parsed)
    except ValueError:
        return name.strip(), value.strip()
    return name.strip(), parsed


def apply_settings(config: TrainConfig, settings: Settings) -> TrainConfig:
    """The configuration with some settings changed.

    Raises
    ------
    TrainingError
        If a value has another type than its setting.
    """
    top, augment, model = {}, {}, dict(config.model)
    for name, value in settings.items():
        table, _, inner = name.partition(".")
        if table == "model":
            model[inner] = value
        elif table == "augment":
            augment[inner] = _fit(name, value, getattr(config.augment, inner))
        else:
            top[name] = _fit(name, value, getattr(config, name))
    return replace(config, **top, model=model, augment=replace(config.augment, **augment))


def _check_name(name: str, where: str) -> None:
    table, _, inner = name.partition(".")
    is_of_network = table == "model" and inner and "." not in inner  # which ones it has, it says itself
    if not is_of_network and name not in setting_names():
        raise TrainingError(f"{where}: unknown setting {_shown(name)}; {_hint(name[:_LONGEST_SHOWN])}")


def _hint(name: str) -> str:
    """What may have been meant by a name that is no setting."""
    if name in _TABLES:
        return f"it is a table, write {name}.NAME"
    bare = name.rpartition(".")[2]
    of_networks = {each for architecture in list_architectures() for each in list_settings(architecture)}
    known = (*setting_names(), *(f"model.{each}" for each in sorted(of_networks)), *_TABLES)

    def likeness(other: str) -> float:
        other_bare = other.rpartition(".")[2]
        if _SYNONYMS.get(bare, bare) == other_bare:  # in another table
            return 2
        if other_bare.startswith(f"{bare}_") or bare.startswith(f"{other_bare}_"):  # noise, ema_decay
            return _BEGINNING
        pairs = ((name, other), (bare, other_bare))
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    nearest = max(known, key=likeness)
    if likeness(nearest) >= _NEAR:
        return f"the nearest is {nearest!r}"
    return "docs/training.md and the config.toml of any run name them all"


def _fit(name: str, value: Any, default: Any) -> Any:
    """A value as the type of its default: a whole number may stand for a float, a list for a tuple."""
    wanted = type(default)
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return _fit_list(name, value, default)
    if isinstance(default, tuple) and isinstance(value, str) and _holds_texts(default):
        return _split_list(name, value)
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is str and type(value) in (int, float):  # unknown = 3000, length = 1.0
        return str(value)
    if type(value) is not wanted:
        raise TrainingError(f"{name}: expected {_kind_of(default)}, got {_shown(value)}")
    if isinstance(value, str) and any(unicodedata.category(letter) == "Cc" for letter in value):
        raise TrainingError(f"{name}: expected a text without control characters, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _split_list(name: str, text: str) -> tuple[str, ...]:
    try:
        return split_labels(text)
    except ValueError as error:
        raise TrainingError(f"{name}: {error}; expected a list such as yes,no, got {_shown(text)}") from error


def _fit_list(name: str, value: Iterable[Any], default: tuple[Any, ...]) -> tuple[Any, ...]:
    if _holds_texts(default):
        return tuple(normalise_label(_fit(name, each, "")) for each in value)
    fitted = tuple(_fit(name, each, default[0]) for each in value)
    if len(fitted) != len(default):
        raise TrainingError(f"{name}: expected {len(default)} numbers, got {_shown(list(value))}")
    return fitted


def _holds_texts(default: tuple[Any, ...]) -> bool:
    return all(isinstance(each, str) for each in default)


def _kind_of(default: Any) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list"}
    return kinds[type(default)]
