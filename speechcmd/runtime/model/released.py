"""The models that come with the package: their cards and their measured figures."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from speechcmd.errors import ModelError
from speechcmd.runtime.model import model_file
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.figures import Figures


@dataclass(frozen=True, slots=True)
class ReleasedModel:
    """A model of the package."""

    name: str
    n_bytes: int
    sha256: str
    card: ModelCard
    figures: Figures | None
    """None: nothing was measured on this very file."""


def describe_released() -> list[ReleasedModel]:
    """Describe every released model, the default first, the others by name.

    Raises
    ------
    ModelError
        If one cannot be read, or its figures were measured on another file.
    """
    names = sorted(model_file.released_models(), key=lambda name: (name != model_file.DEFAULT_MODEL, name))
    return [_describe(name) for name in names]


def _describe(name: str) -> ReleasedModel:
    model_bytes, card = model_file.load_model_file(name)
    sha256 = hashlib.sha256(model_bytes).hexdigest()
    return ReleasedModel(name, len(model_bytes), sha256, card, read_figures(name, sha256))


def read_figures(name: str, sha256: str) -> Figures | None:
    """Read the figures that lie beside a released model; None if there are none.

    Parameters
    ----------
    sha256
        Digest of the model file, which the figures must bear.

    Raises
    ------
    ModelError
        If the file cannot be read, or holds figures of another model file.
    """
    path = model_file.ASSETS / f"{name}.json"
    if not path.is_file():
        return None
    try:
        figures = Figures.from_json(path.read_text(encoding="utf-8"))
    except (ModelError, OSError, UnicodeDecodeError) as error:
        raise ModelError(str(error), path=path) from error
    if figures.sha256 != sha256:
        raise ModelError(
            f"figures of another model file (sha256 {figures.sha256:.12}, expected {sha256:.12})",
            path=path,
            advice="measure this one, or install speechcmd again",
        )
    return figures
