"""Which values the settings of a training may have."""

from __future__ import annotations

import math
from typing import Any

from data_prep.task import check_unknown
from speechcmd.errors import TrainingError
from speechcmd.training.settings.config import MOST_BANDS, STANDARD_BANDS, TrainConfig

_ANY = math.inf  # however large, but a number
_MOST_DB = 100
_LONGEST_FOLD = 20  # letters: Python reads no number of thousands of digits
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (0, _ANY), "batch_size": (0, _ANY), "learning_rate": (1e-12, _ANY), "momentum": (0, 0.9999),
    "warmup_percent": (0, 100), "weight_decay": (0, _ANY), "l1": (0, _ANY), "gradient_clip": (0, _ANY),
    "ema": (0, 0.99999), "label_smoothing": (0, 0.5), "mixup": (0, _ANY), "class_balance": (0, 1),
    "teacher_weight": (0, 1), "teacher_temperature": (0.1, 100), "patience": (0, _ANY),
    "n_steps": (1, 100), "hard_percent": (0, _ANY), "hard_every": (1, _ANY),
    "focal": (0, 10), "speech_percent": (0, _ANY), "silence_percent": (0, _ANY), "clips_percent": (0.1, 100),
    "seed": (0, 2**32 - 1), "n_workers": (0, 1024), "n_threads": (0, 1024), "augment.gain_db": (0, 60),
    "augment.time_shift_ms": (0, 1000), "augment.late_ms": (0, 1000), "augment.noise_percent": (0, 100),
    "augment.time_masks": (0, 100), "augment.time_mask_frames": (0, _ANY),
    "augment.band_masks": (0, 100), "augment.band_mask_bands": (0, _ANY), "augment.speed_percent": (0, 20),
    "augment.room_percent": (0, 100), "augment.image_percent": (0, 100),
    "augment.half_seen_percent": (0, 100), "augment.warp_percent": (0, 30),
    "augment.neighbour_percent": (0, 100), "augment.tilt_db": (0, 60), "augment.noise_tilt_db": (0, 60),
    "augment.babble_percent": (0, 100), "augment.narrow_percent": (0, 100),
    "n_mels": (STANDARD_BANDS, MOST_BANDS),
}  # fmt: skip
_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("adamw", "adam", "sgd", "rmsprop"),
    "schedule": ("cosine", "linear", "step", "constant"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "32-true", "bf16-mixed"),
    "select": ("accuracy", "stream"),
    "negatives": ("auto", "shipped", "none"),
}


def check_limits(config: TrainConfig) -> None:
    """Refuse values that no training can have.

    Raises
    ------
    TrainingError, StoreError
        Naming the first of them and what was expected.
    """
    for name, (lowest, highest) in _RANGES.items():
        value = _value_of(config, name)
        if not lowest <= value <= highest or value == math.inf:
            expected = f"at least {lowest:g}" if highest == _ANY else f"{lowest:g} to {highest:g}"
            raise TrainingError(f"{name}: expected {expected}, got {value}")
    for name, choices in _CHOICES.items():
        if _value_of(config, name) not in choices:
            raise TrainingError(
                f"{name}: expected one of {', '.join(choices)}, got {_value_of(config, name)!r:.60}"
            )
    lowest_db, highest_db = config.augment.noise_snr_db
    if not -_MOST_DB <= lowest_db <= highest_db <= _MOST_DB:
        raise TrainingError(
            f"augment.noise_snr_db: expected two ratios from -{_MOST_DB} to {_MOST_DB} dB, the lower first, "
            f"got {lowest_db:g}, {highest_db:g}"
        )
    if config.batch_size == 1:
        raise TrainingError("batch_size: expected at least 2, or 0 to follow the number of clips, got 1")
    parse_fold(config.fold)
    check_unknown(config.unknown)
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
    for name, plain in (("n_steps", 1), ("augment.half_seen_percent", 0), ("augment.neighbour_percent", 0)):
        asked = _value_of(config, name)
        if asked != plain and config.mixup:
            raise TrainingError(
                f"mixup: expected 0 beside {name} = {asked:g}, which must know where the one word of a clip "
                f"lies, got {config.mixup:g}; set mixup=0 or {name}={plain}"
            )
    augment = config.augment
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


def _value_of(config: TrainConfig, name: str) -> Any:
    table, _, inner = name.rpartition(".")
    return getattr(config.augment, inner) if table else getattr(config, inner)
