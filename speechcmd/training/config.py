"""The settings of a training run, resolved and written into its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from speechcmd.errors import TrainingError
from speechcmd.training.augment import AugmentConfig

TEN_COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


@dataclass(frozen=True)
class TrainConfig:
    """All that decides the weights, but for the store and the machine.

    `length` is "mean", "p95" or seconds; `unknown` as in `data_prep.task.TaskConfig`;
    `initial` is a run whose best weights the training begins with, "" for random ones; `precision`
    "auto", "32-true" or "bf16-mixed"; `patience` epochs without a better validation
    accuracy end the training.
    """

    architecture: str = "cnn"
    words: tuple[str, ...] = TEN_COMMANDS
    length: str = "mean"
    unknown: str = "official"
    speech_percent: float = 10.0
    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_percent: float = 10.0
    label_smoothing: float = 0.1
    patience: int = 15
    seed: int = 0
    initial: str = ""
    device: str = "auto"
    precision: str = "auto"
    n_workers: int = 0
    n_threads: int = 0
    deterministic: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def to_json(self) -> str:
        """One line that says everything: two runs of the same line are the same training."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what `to_json` wrote.

        Raises
        ------
        TrainingError
            If it was another version that wrote it, with other settings.
        """
        try:
            values = json.loads(text)
            augment = values.pop("augment")
            augment["noise_snr_db"] = tuple(augment["noise_snr_db"])
            values["words"] = tuple(values["words"])
            return cls(**values, augment=AugmentConfig(**augment))
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(
                f"the settings of this training cannot be read ({error}); use the version that trained it"
            ) from error

    def to_toml(self) -> str:
        """The same for people."""
        values = json.loads(self.to_json())
        tables = {name: values.pop(name) for name in ("augment", "model")}
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A string, number, flag or list of them: JSON but for escaped surrogates, which TOML forbids."""
    return json.dumps(value, ensure_ascii=False)
