"""A series: several trainings in one folder that are looked at together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data_prep.row_source import AnyStore
from speechcmd.errors import TrainingError
from speechcmd.progress import Progress
from speechcmd.training.loop.checkpoint import LAST
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.settings.config import TrainConfig


@dataclass(frozen=True)
class Member:
    """One training of a series: the name of its folder, its settings, and what it is, for people."""

    name: str
    config: TrainConfig
    what: str


@dataclass(frozen=True)
class Watcher:
    """Who hears how a series goes.

    `begin` gets the number of a training, from 1, and of all trainings before each of them; `report`
    what it reports; `on_progress` how far its feature cache is, `on_scan` how much of the running speech is
    heard.
    """

    begin: Callable[[int, int, Member, Trainer], None]
    report: Callable[[Trainer, BatchReport | EpochMetrics], None]
    on_progress: Progress | None = None
    on_scan: Progress | None = None


def run_series(
    stores: Sequence[AnyStore], members: Sequence[Member], folder: Path, resume: bool, watcher: Watcher
) -> Iterator[tuple[Member, Trainer]]:
    """Train one member after another, each into its folder in `folder`; yield each when it is trained.

    With `resume` an interrupted training goes on, and a finished one is done at once.

    Raises
    ------
    TrainingError
        If the folder holds other trainings, or one of them fails.
    """
    _check_folder(folder, members, resume)
    for number, member in enumerate(members, start=1):
        path = folder / member.name
        trainer = Trainer(stores, member.config, path, resume and (path / LAST).exists(), watcher.on_progress)
        watcher.begin(number, len(members), member, trainer)
        trainer.fit(partial(watcher.report, trainer), watcher.on_scan)
        yield member, trainer


def check_not_taught(config: TrainConfig, why: str) -> None:
    """Refuse weights and answers of other runs, which may have heard what a series holds out.

    Raises
    ------
    TrainingError
        Saying `why`.
    """
    for name in ("initial", "teacher"):
        if getattr(config, name):
            raise TrainingError(
                f"{name}: expected none in a series of trainings, got {getattr(config, name)}; {why}"
            )


def _check_folder(folder: Path, members: Sequence[Member], resume: bool) -> None:
    if (folder / LAST).exists():
        raise TrainingError(
            "holds a single run", path=folder, advice="choose another --run for a series of trainings"
        )
    begun = [member.name for member in members if (folder / member.name / LAST).exists()]
    if begun and not resume:
        raise TrainingError(
            f"holds {', '.join(begun)} already",
            path=folder,
            advice="go on with --resume or choose another --run",
        )
