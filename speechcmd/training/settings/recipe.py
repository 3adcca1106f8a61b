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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.registry import list_architectures, list_settings
from speechcmd.errors import TrainingError
from speechcmd.json_toml import check_integers, parse_json, parse_toml
from speechcmd.labels import split_labels
from speechcmd.training.settings.catalogue import SETTINGS, TABLES
from speechcmd.training.settings.config import TrainConfig
from speechcmd.typed import as_type

Settings = dict[str, Any]

# what others call them
_SYNONYMS = {"lr": "learning_rate", "wd": "weight_decay", "bs": "batch_size"}
# likeness of two names, from 0 to 1: that of a name and its beginning, and below which naming one misleads
_BEGINNING, _NEAR = 0.8, 0.65
_LONGEST_SHOWN = 60


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
            f"cannot be read ({error.strerror}); expected a recipe in TOML", path=path
        ) from error
    except ValueError as error:
        raise TrainingError(f"not TOML ({error})", path=path) from error
    settings: Settings = {}
    for name, value in content.items():
        if isinstance(value, dict) and (value or name in TABLES):
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
        If a value is not what its setting may have.
    """
    values = asdict(config)
    for name, value in settings.items():
        table, _, inner = name.rpartition(".")
        place = values[table] if table else values
        place[inner] = value if table == "model" else _as_meant(name, value)
    try:
        return as_type(values, TrainConfig)
    except ValueError as error:
        raise TrainingError(str(error)) from None


def _check_name(name: str, where: str) -> None:
    table, _, inner = name.partition(".")
    is_of_network = table == "model" and inner and "." not in inner  # which ones it has, it says itself
    if not is_of_network and name not in SETTINGS:
        raise TrainingError(f"{where}: unknown setting {_shown(name)}; {_hint(name[:_LONGEST_SHOWN])}")


def _hint(name: str) -> str:
    """What may have been meant by a name that is no setting."""
    if name in TABLES:
        return f"it is a table, write {name}.NAME"
    bare = name.rpartition(".")[2]
    of_networks = {each for architecture in list_architectures() for each in list_settings(architecture)}
    known = (*SETTINGS, *(f"model.{each}" for each in sorted(of_networks)), *TABLES)

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
    return "docs/reference/training-settings.md and the config.toml of any run name them all"


def _as_meant(name: str, value: Any) -> Any:
    """What a person writes for a text or a list of words: 3000, "yes,no"."""
    kind = SETTINGS[name].base
    if kind is str and type(value) in (int, float):  # unknown = 3000, length = 1.0
        return str(value)
    if kind == tuple[str, ...] and isinstance(value, str):
        try:
            value = split_labels(value)
        except ValueError as error:
            raise TrainingError(
                f"{name}: {error}; expected a list such as yes,no, got {_shown(value)}"
            ) from error
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and any(unicodedata.category(letter) == "Cc" for letter in text):
            raise TrainingError(f"{name}: expected a text without control characters, got {_shown(text)}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
