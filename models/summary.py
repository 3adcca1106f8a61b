"""An architecture in figures and one line: what one chooses it by."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.cost import Cost, count_multiplies
from models.registry import check_settings, create_model, find_architecture, list_settings

_ARXIV = re.compile(r"arXiv\s+(\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class NetworkSummary:
    """What `summarise` finds; `settings` are all there are, with the values of this network."""

    architecture: str
    description: str
    arxiv: tuple[str, ...]
    kind: str
    window_s: float
    step_s: float
    parameters: int
    cost: Cost
    settings: dict[str, Any]


def summarise(
    architecture: str, n_labels: int, n_samples: int, settings: Mapping[str, Any]
) -> NetworkSummary:
    """Build a network as `create_model` does and say what it is.

    Raises
    ------
    ModelError
        If no such network can be built.
    """
    check_settings(architecture, settings)  # before the call: "n_labels" is none
    network = create_model(architecture, n_labels, n_samples, **settings)
    description, arxiv = describe_architecture(architecture)
    sample_rate = network.frontend.config.sample_rate
    return NetworkSummary(
        architecture=architecture,
        description=description,
        arxiv=arxiv,
        kind=network.kind,
        window_s=network.window_samples / sample_rate,
        step_s=network.step_samples / sample_rate,
        parameters=network.count_parameters(),
        cost=count_multiplies(network),
        settings=list_settings(architecture) | dict(settings),
    )


def describe_architecture(name: str) -> tuple[str, tuple[str, ...]]:
    """First line of an architecture's documentation, and the arXiv numbers that it cites."""
    documentation = sys.modules[find_architecture(name).network.__module__].__doc__ or ""
    line = documentation.strip().partition("\n")[0].rstrip(".")
    return line, tuple(dict.fromkeys(_ARXIV.findall(documentation)))
