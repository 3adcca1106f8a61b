"""All settings of a training by name, with what stands beside their fields: type, default, purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from speechcmd.labels import join_labels
from speechcmd.training.settings.config import AugmentConfig, Automatic, TrainConfig
from speechcmd.typed import describe

TABLES = ("augment", "model")  # of a recipe: their settings are named "augment.NAME" and "model.NAME"


@dataclass(frozen=True)
class Setting:
    """One setting: `kind` is its type with its constraints, `automatic` what nothing or zero stands for."""

    name: str
    kind: Any
    default: Any
    purpose: str
    automatic: str

    @property
    def base(self) -> Any:
        """Its type without constraints."""
        return get_args(self.kind)[0]

    @property
    def expected(self) -> str:
        """What values it may have, in words."""
        return describe(self.kind)

    @property
    def shown_default(self) -> str:
        """Its default for people."""
        if self.automatic and not self.default:
            return self.automatic
        if isinstance(self.default, bool):
            return "true" if self.default else "false"
        if isinstance(self.default, tuple):
            is_text = all(isinstance(each, str) for each in self.default)
            return join_labels(self.default) if is_text else str(list(self.default))
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def _settings_of(kind: type, table: str) -> Iterator[Setting]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        if field.name in TABLES:
            continue
        hint = hints[field.name]
        texts = [extra for extra in get_args(hint)[1:] if isinstance(extra, str)]
        purposes = [text for text in texts if not isinstance(text, Automatic)]
        automatic = next((str(text) for text in texts if isinstance(text, Automatic)), "")
        yield Setting(f"{table}{field.name}", hint, field.default, purposes[0], automatic)


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for kind, table in ((TrainConfig, ""), (AugmentConfig, "augment."))
    for setting in _settings_of(kind, table)
}
"""Every setting but the network's own, in the order of their fields."""
