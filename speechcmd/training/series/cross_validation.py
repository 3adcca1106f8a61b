"""Cross-validation by speaker: each speaker is validated by a training that has not heard them."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from data_prep.row_source import AnyStore
from speechcmd.errors import TrainingError
from speechcmd.files import write_text
from speechcmd.labels import UNKNOWN
from speechcmd.training.data.folds import speakers_of, split_by_fold
from speechcmd.training.series.training_series import Member, Watcher, check_not_taught, run_series
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.limits import check_limits

FOLDS_FILE = "folds.json"
_SPLITS = ("training", "validation")


@dataclass(frozen=True)
class Fold:
    """What one fold brought. `n_clips` are validated, `_silence_` among them; accuracy in percent."""

    name: str
    n_speakers: int
    n_clips: int
    n_training_clips: int
    n_epochs: int
    accuracy: float


@dataclass(frozen=True)
class CrossValidation:
    """All folds: accuracies are the best of each on its own speakers, in percent."""

    folds: tuple[Fold, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy; each fold counts alike."""
        return statistics.mean(fold.accuracy for fold in self.folds)

    @property
    def deviation(self) -> float:
        """Standard deviation from fold to fold (n - 1), in points."""
        return statistics.stdev(fold.accuracy for fold in self.folds)

    @property
    def chance_deviation(self) -> float:
        """Standard deviation that the number of clips alone would bring (binomial), in points."""
        mean = self.mean / 100
        return 100 * math.sqrt(statistics.mean(mean * (1 - mean) / fold.n_clips for fold in self.folds))

    @property
    def reading(self) -> str:
        """What mean and deviation mean, in one line."""
        n_speakers = round(statistics.mean(fold.n_speakers for fold in self.folds))
        return (
            f"Speakers who were not trained on are understood at about {self.mean:.1f} %. Between groups of "
            f"{n_speakers:,} of them that differs by {self.deviation:.1f} points; chance alone, in so many "
            f"clips, would make it {self.chance_deviation:.1f}."
        )

    def to_json(self) -> str:
        """All figures."""
        values = {
            "folds": [asdict(fold) for fold in self.folds],
            "mean_accuracy": self.mean,
            "standard_deviation": self.deviation,
            "chance_deviation": self.chance_deviation,
            "reading": self.reading,
        }
        return json.dumps(values, indent=1) + "\n"


def cross_validate(
    stores: Sequence[AnyStore],
    config: TrainConfig,
    n_folds: int,
    folder: Path,
    resume: bool,
    watcher: Watcher,
) -> CrossValidation:
    """Train each of `n_folds` folds by speaker into `folder`; the figures go to folds.json there.

    Raises
    ------
    TrainingError
        If there are too few speakers, a fold lacks clips of a label or a training fails.
    """
    members = plan_folds(stores, config, n_folds)
    folds: list[Fold] = []
    for member, trainer in run_series(stores, members, folder, resume, watcher):
        held_out = speakers_of(stores)[len(folds) :: n_folds]
        data, n_speakers = trainer.data, len(held_out)
        n_clips, n_training = len(data.validation_clips), data.count_training_clips()
        folds.append(Fold(member.name, n_speakers, n_clips, n_training, trainer.epoch, trainer.best_accuracy))
    result = CrossValidation(tuple(folds))
    write_text(folder / FOLDS_FILE, result.to_json())
    return result


def plan_folds(stores: Sequence[AnyStore], config: TrainConfig, n_folds: int) -> list[Member]:
    """The trainings of a cross-validation.

    Raises
    ------
    TrainingError
        If a setting makes no sense, there are too few speakers, or a fold lacks clips of a label.
    """
    check_limits(config)
    if config.fold:
        raise TrainingError(f"fold: expected none in a cross-validation, got {config.fold}; all are trained")
    check_not_taught(
        config,
        "it may have heard the speakers of a fold; train each alone, with --set fold=1/5 for both runs",
    )
    n_speakers = len(speakers_of(stores))
    if n_speakers < n_folds:
        raise TrainingError(
            f"{n_folds} folds: expected at least as many speakers of training and validation, "
            f"got {n_speakers}; {_advise(n_speakers)}"
        )
    members = [
        Member(f"fold-{number}", replace(config, fold=f"{number}/{n_folds}"), f"fold {number}/{n_folds}")
        for number in range(1, n_folds + 1)
    ]
    for member in members:
        _check_labels(stores, member.config)
    return members


def _advise(n_speakers: int) -> str:
    """What to do where speakers are fewer than folds."""
    if n_speakers > 1:
        return f"use {n_speakers} folds or fewer"
    return (
        "folds are made of speakers: train without --folds, which tests one voice on other takes, or name "
        "clips after who speaks, as in anna_1.wav and ben_1.wav, and prepare the store again"
    )


def _check_labels(stores: Sequence[AnyStore], config: TrainConfig) -> None:
    """Each word needs clips in both splits of a fold, and `_unknown_` if the stores have other words."""
    counts: Counter[tuple[str, str]] = Counter()
    for store in split_by_fold(stores, config.fold):
        counts.update(
            (row.word if row.word in config.words else UNKNOWN, row.split) for row in store.select("word")
        )
    labels = [*config.words, UNKNOWN] if any(counts[UNKNOWN, split] for split in _SPLITS) else config.words
    for label in labels:
        for split in _SPLITS:
            if not counts[label, split]:
                raise TrainingError(
                    f"fold {config.fold}: no {split} clip of {label}; use fewer folds, or add clips of it by "
                    "more speakers"
                )
