"""The learning curve: trainings on ever more of the clips, each of the same number of optimiser steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from data_prep.row_source import AnyStore
from speechcmd.errors import TrainingError
from speechcmd.files import write_text
from speechcmd.training.data.shipped_negatives import add_negatives
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.series.curve_picture import draw_learning_curve
from speechcmd.training.series.curve_reading import Answer, LearningPoint, read_curve, summarise
from speechcmd.training.series.training_series import Member, Watcher, check_not_taught, run_series
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.limits import check_limits

SHARES_PERCENT = (12.5, 25.0, 50.0, 100.0)
KNOWN_CLIPS = 2_000  # of those trained on: enough for an interval of a point
CURVE_FILE = "learning_curve.json"
PICTURE_FILE = "learning_curve.png"


@dataclass(frozen=True)
class LearningCurve:
    """The points of the curve, from few clips to all, and what they say."""

    points: tuple[LearningPoint, ...]

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What would help and what not."""
        return read_curve(self.points)

    @property
    def reading(self) -> tuple[str, ...]:
        """The same in lines for people, the sum of it first."""
        return summarise(self.answers), *(str(answer) for answer in self.answers)

    def to_json(self) -> str:
        """All figures."""
        values = {
            "points": [asdict(point) for point in self.points],
            "answers": [asdict(answer) for answer in self.answers],
            "reading": self.reading,
        }
        return json.dumps(values, indent=1) + "\n"


def trace_learning_curve(
    stores: Sequence[AnyStore], config: TrainConfig, folder: Path, resume: bool, watcher: Watcher
) -> LearningCurve:
    """Train on each share of the clips into `folder`; figures and picture go there too.

    Raises
    ------
    TrainingError
        If a share lacks clips of a word or a training fails.
    """
    points = []
    for member, trainer in run_series(stores, plan_shares(stores, config), folder, resume, watcher):
        points.append(_measure(member, trainer))
        epochs = trainer.run.read_metrics()  # those of the last, on all clips, are drawn
    curve = LearningCurve(tuple(points))
    write_text(folder / CURVE_FILE, curve.to_json())
    draw_learning_curve(curve.points, epochs, curve.reading, folder / PICTURE_FILE)
    return curve


def plan_shares(stores: Sequence[AnyStore], config: TrainConfig) -> list[Member]:
    """The trainings of a learning curve: fewer clips, as many more epochs; none stops early.

    Raises
    ------
    TrainingError
        If a setting makes no sense or a share lacks clips of a word.
    """
    check_limits(config)
    stores = add_negatives(stores, config)
    if config.clips_percent != 100:
        raise TrainingError(
            f"clips_percent: expected 100 for a learning curve, got {config.clips_percent:g}; "
            "it draws its own shares"
        )
    check_not_taught(config, "it may have been trained on the clips that a share leaves out")
    all_clips = TrainingData(stores, config, torch.device("cpu"))
    config = all_clips.config  # with the epochs and the batches of all clips
    n_steps = config.epochs * len(all_clips.sampler)
    members = []
    for percent in SHARES_PERCENT:
        share = replace(config, clips_percent=percent, unknown=_share_unknown(config.unknown, percent))
        n_epochs = round(n_steps / _steps_of_epoch(stores, share))
        settings = replace(share, epochs=n_epochs, patience=n_epochs)
        members.append(Member(f"share-{int(percent)}", settings, f"{percent:g} % of the clips"))
    return members


def _share_unknown(unknown: str, percent: float) -> str:
    """A number of clips shrinks with the share, or the balance of labels would change along the curve."""
    if not unknown.isdecimal() or int(unknown) == 0:
        return unknown
    return str(max(1, round(int(unknown) * percent / 100)))


def _steps_of_epoch(stores: Sequence[AnyStore], config: TrainConfig) -> int:
    return len(TrainingData(stores, config, torch.device("cpu")).sampler)


def _measure(member: Member, trainer: Trainer) -> LearningPoint:
    trainer.answering.load_state_dict(load_checkpoint(trainer.run.path / BEST)["network"])
    batches, n_known = trainer.data.known_batches(KNOWN_CLIPS)
    _, training_accuracy = trainer.evaluate(batches)
    return LearningPoint(
        clips_percent=member.config.clips_percent,
        n_clips=trainer.data.count_training_clips(),
        n_epochs=trainer.epoch,
        n_steps=trainer.epoch * len(trainer.data.sampler),
        n_known=n_known,
        training_accuracy=training_accuracy,
        n_validation=len(trainer.data.validation_clips),
        validation_accuracy=trainer.best_accuracy,
    )
