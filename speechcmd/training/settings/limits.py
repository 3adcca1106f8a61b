"""Which settings a training may have: each by itself, and together."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from speechcmd.errors import TrainingError
from speechcmd.training.settings.catalogue import SETTINGS
from speechcmd.training.settings.config import STANDARD_BANDS, TrainConfig
from speechcmd.typed import as_type

_MOST_DB = 100
_LONGEST_FOLD = 20  # letters: Python reads no number of thousands of digits


def check_limits(config: TrainConfig) -> None:
    """Refuse values that no training can have.

    Raises
    ------
    TrainingError
        Naming the first of them and what was expected.
    """
    try:
        as_type(asdict(config), TrainConfig)
    except ValueError as error:
        raise TrainingError(str(error)) from None
    for name, setting in SETTINGS.items():
        if value_of(config, name) == math.inf:  # however large, but a number
            raise TrainingError(f"{name}: expected {setting.expected}, got inf")
    if config.batch_size == 1:
        raise TrainingError("batch_size: expected at least 2, or 0 to follow the number of clips, got 1")
    parse_fold(config.fold)
    _check_together(config)


def parse_fold(fold: str) -> tuple[int, int] | None:
    """The number of a fold, from 0, and of all folds; None if there are none.

    >>> parse_fold("2/5"), parse_fold("")
    ((1, 5), None)

    Raises
    ------
    TrainingError
        If it is neither "" nor like "1/5".
    """
    if not fold:
        return None
    number, _, total = fold.partition("/") if len(fold) <= _LONGEST_FOLD else ("", "", "")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total) >= 2):
        raise TrainingError(f"fold: expected one like 1/5, got {fold!r:.60}")
    return int(number) - 1, int(total)


def _check_together(config: TrainConfig) -> None:
    augment = config.augment
    lowest_db, highest_db = augment.noise_snr_db
    if not -_MOST_DB <= lowest_db <= highest_db <= _MOST_DB:
        raise TrainingError(
            f"augment.noise_snr_db: expected {SETTINGS['augment.noise_snr_db'].expected}, "
            f"got {lowest_db:g}, {highest_db:g}"
        )
    for name, plain in (("n_steps", 1), ("augment.half_seen_percent", 0), ("augment.neighbour_percent", 0)):
        asked = value_of(config, name)
        if asked != plain and config.mixup:
            raise TrainingError(
                f"mixup: expected 0 beside {name} = {asked:g}, which must know where the one word of a clip "
                f"lies, got {config.mixup:g}; set mixup=0 or {name}={plain}"
            )
    if augment.late_ms > augment.time_shift_ms:
        raise TrainingError(
            f"augment.late_ms: expected at most augment.time_shift_ms = {augment.time_shift_ms:g}, as "
            f"validation has words in the middle of its windows, got {augment.late_ms:g}; set a larger "
            "augment.time_shift_ms"
        )
    if augment.narrow_percent and config.n_mels == STANDARD_BANDS:
        raise TrainingError(
            f"augment.narrow_percent: expected 0 with n_mels = {STANDARD_BANDS}, above which is nothing, "
            f"got {augment.narrow_percent:g}; set a larger n_mels"
        )
    if config.hard_percent and config.n_workers:
        raise TrainingError(
            f"n_workers: expected 0 beside hard_percent = {config.hard_percent:g}, as loader processes keep "
            f"the windows they began with, got {config.n_workers}; set n_workers=0 or hard_percent=0"
        )


def value_of(config: TrainConfig, name: str) -> Any:
    """The value of a setting by its name."""
    table, _, inner = name.rpartition(".")
    return getattr(config.augment, inner) if table else getattr(config, inner)
