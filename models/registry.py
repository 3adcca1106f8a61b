"""The architectures by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from models.cnn import Cnn
from models.frontend import FrontEndConfig
from models.gru import Gru
from models.network import KeywordNetwork
from speechcmd.errors import ModelError


@dataclass(frozen=True)
class Architecture:
    """A network class, the most parameters its defaults may have, and a tiny configuration for tests."""

    network: type[KeywordNetwork]
    budget: int
    toy: dict[str, Any] = field(default_factory=dict)


_ARCHITECTURES = {
    "cnn": Architecture(Cnn, 250_000, {"channels": (4, 6, 8), "width": 16, "dilations": (1, 2)}),
    "gru": Architecture(Gru, 250_000, {"channels": (4, 6), "width": 16, "hidden": 12}),
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
        raise ModelError(f"architecture: expected one of {', '.join(_ARCHITECTURES)}, got {name!r}")
    return _ARCHITECTURES[name]


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
    known = set(inspect.signature(network).parameters) - {"n_labels", "window_frames", "frontend"}
    unknown = sorted(set(config) - known)
    if unknown:
        raise ModelError(f"{architecture}: unknown setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    window_frames = network.fit_window(frontend.n_frames(n_samples))
    try:
        return network(n_labels=n_labels, window_frames=window_frames, frontend=frontend, **config)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        settings = ", ".join(f"{name}={value}" for name, value in config.items())
        raise ModelError(f"{architecture}: no network can be built with {settings}: {error}") from error
