"""The architectures by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.bc_resnet import BcResNet
from models.cnn import Cnn
from models.crnn import Crnn
from models.ds_cnn import DsCnn
from models.frontend import FrontEndConfig
from models.gru import Gru
from models.lstm import Lstm
from models.matchboxnet import MatchboxNet
from models.mlp import Mlp
from models.network import KeywordNetwork
from models.rnn import Rnn
from models.tc_resnet import TcResNet
from speechcmd.errors import ModelError


@dataclass(frozen=True)
class Architecture:
    """A network class, the most parameters its defaults may have, and configurations for tests.

    `toy` is tiny, `variants` are settings by name that change more than sizes.
    """

    network: type[KeywordNetwork]
    budget: int
    toy: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)


_ARCHITECTURES = {
    "mlp": Architecture(Mlp, 165_000, {"hidden": 12}),
    "rnn": Architecture(Rnn, 50_000, {"hidden": 12}),
    "lstm": Architecture(Lstm, 180_000, {"hidden": 12}),
    "gru": Architecture(Gru, 250_000, {"channels": (4, 6), "width": 16, "hidden": 12}),
    "crnn": Architecture(Crnn, 250_000, {"channels": 4, "hidden": 6, "width": 10}),
    "cnn": Architecture(Cnn, 250_000, {"channels": (4, 6, 8), "width": 16, "dilations": (1, 2)}),
    "ds_cnn": Architecture(
        DsCnn, 40_000, {"channels": 6, "n_blocks": 1}, {"padded": {"time_padding": True, "channels": 6}}
    ),
    "tc_resnet": Architecture(TcResNet, 79_000, {"width": 0.2}),
    "matchboxnet": Architecture(
        MatchboxNet,
        90_000,
        {"channels": 6, "outer_channels": 8, "kernels": (3, 5), "repeats": 2},
        {"padded": {"time_padding": True, "channels": 6, "outer_channels": 8}},
    ),
    "bc_resnet": Architecture(
        BcResNet,
        13_000,
        {"tau": 0.5, "n_blocks": (2, 1, 1, 1)},
        {"padded": {"time_padding": True, "tau": 0.5, "n_blocks": (2, 1, 1, 1)}},
    ),
}


def list_architectures() -> tuple[str, ...]:
    """Names that `create_model` knows."""
    return tuple(_ARCHITECTURES)


def find_architecture(name: str) -> Architecture:
    """Entry of an architecture.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    if name not in _ARCHITECTURES:
        raise ModelError(f"architecture: expected one of {', '.join(_ARCHITECTURES)}, got {name!r:.60}")
    return _ARCHITECTURES[name]


def list_settings(architecture: str) -> dict[str, Any]:
    """Settings of an architecture with their defaults: what `create_model` takes by name.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    parameters = inspect.signature(find_architecture(architecture).network).parameters
    given = ("n_labels", "window_frames", "frontend")
    return {name: parameter.default for name, parameter in parameters.items() if name not in given}


def check_settings(architecture: str, settings: Mapping[str, Any]) -> None:
    """Refuse what is no setting of the architecture, and values of another type than the default's.

    Raises
    ------
    ModelError
        Naming the first such setting, or if there is no such architecture.
    """
    known = list_settings(architecture)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ModelError(
            f"{architecture}: unknown setting {unknown[0]!r:.60}; it has {', '.join(sorted(known))}"
        )
    for name, value in settings.items():
        if not _is_like(value, known[name]):
            raise ModelError(f"{architecture}: {name}: expected {_kind_of(known[name])}, got {value!r:.60}")


def create_model(
    architecture: str,
    n_labels: int,
    n_samples: int = 16_000,
    frontend: FrontEndConfig = FrontEndConfig(),
    **config: Any,
) -> KeywordNetwork:
    """Build a network for `n_labels` whose window is the one nearest to `n_samples` samples.

    `config` goes to the architecture (channels, width, dropout ...).

    Raises
    ------
    ModelError
        If the architecture or one of its settings is not known, or a value makes no network.
    """
    network = find_architecture(architecture).network
    check_settings(architecture, config)
    try:
        window_frames = network.fit_window(frontend.n_frames(n_samples), **config)
        return network(n_labels=n_labels, window_frames=window_frames, frontend=frontend, **config)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        settings = ", ".join(f"{name}={value}" for name, value in config.items())
        raise ModelError(f"{architecture}: no network can be built with {settings}: {error}") from error


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value has the type of its default: a text is no flag, though Python would take it for one."""
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple) and all(_is_like(each, default[0]) for each in value)
    if isinstance(default, float):
        return type(value) in (int, float) and abs(value) < math.inf
    return type(value) is type(default)


def _kind_of(default: Any) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    return kinds.get(type(default), "a list of whole numbers")
