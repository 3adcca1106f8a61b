"""Which epoch of a training is kept, when it stops, and how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from toy_run import toy_config, toy_store, train

from speechcmd.training.loop.best_epoch import best_of
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.loop.whole_clip import WholeClips
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.duration import fill_duration


def answer_with(
    patch: pytest.MonkeyPatch, trainer: Trainer, accuracies: Sequence[float], losses: Sequence[float]
) -> None:
    """Let the validation of each epoch end so, in windows and in whole clips."""
    patch.setattr(trainer, "evaluate", lambda batches: (losses[trainer.epoch], accuracies[trainer.epoch]))
    patch.setattr(
        trainer, "hear_whole_clips", lambda: WholeClips(losses[trainer.epoch], accuracies[trainer.epoch])
    )


def test_of_equally_right_epochs_that_of_the_least_loss_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies, losses = [100.0, 100.0, 90.0, 100.0, 100.0], [0.9, 0.5, 0.1, 0.3, 0.4]
    trainer = Trainer(toy_store(), toy_config(epochs=5), tmp_path)
    answer_with(monkeypatch, trainer, accuracies, losses)
    trainer.fit(lambda report: None)
    best = load_checkpoint(tmp_path / BEST)
    assert (best["epoch"], best["best_score"], best["best_loss"]) == (4, 100.0, 0.3)
    assert best["least_loss"] == 0.1
    assert best_of(trainer.run.read_metrics())["epoch"] == 3


def test_patience_is_not_lost_while_the_loss_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies, losses = [100.0, 90.0, 90.0, 90.0, 90.0, 90.0], [0.9, 0.8, 0.7, 0.7, 0.8, 0.1]
    trainer = Trainer(toy_store(), toy_config(epochs=6, patience=2), tmp_path)
    answer_with(monkeypatch, trainer, accuracies, losses)
    trainer.fit(lambda report: None)
    assert trainer.epoch == 5  # 0.7 and 0.8 are no longer less than 0.7
    assert load_checkpoint(tmp_path / BEST)["epoch"] == 1


def test_windows_and_whole_clips_choose_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(toy_store(), toy_config(epochs=1), tmp_path)
    monkeypatch.setattr(trainer, "evaluate", lambda batches: (1.0, 100.0))
    monkeypatch.setattr(trainer, "hear_whole_clips", lambda: WholeClips(3.0, 50.0))
    trainer.fit(lambda report: None)
    n_windows, n_whole = len(trainer.data.validation_clips), trainer.n_whole_clips
    assert 0 < n_whole < n_windows  # silence is no clip
    assert trainer.best.score == pytest.approx((100 * n_windows + 50 * n_whole) / (n_windows + n_whole))
    assert trainer.best.loss == pytest.approx((n_windows + 3 * n_whole) / (n_windows + n_whole))


def test_what_is_not_given_is_that_of_the_run_when_it_goes_on(tmp_path: Path) -> None:
    train(tmp_path, toy_config("mlp", epochs=2, batch_size=7, patience=1))
    open_ended = toy_config("mlp", epochs=0, batch_size=0, patience=0)
    resumed = Trainer(toy_store(), open_ended, tmp_path, resume=True)
    assert (resumed.config.epochs, resumed.config.batch_size, resumed.config.patience) == (2, 7, 1)


@pytest.mark.parametrize(
    ("n_clips", "least_steps"), [(20, 200), (45, 400), (110, 600), (700, 600), (30_000, 600)]
)
def test_there_are_some_hundred_steps_however_few_clips(n_clips: int, least_steps: int) -> None:
    filled = fill_duration(TrainConfig(), n_clips)
    assert n_clips // filled.batch_size * filled.epochs >= least_steps
    assert filled.patience >= 15
    assert filled.batch_size <= n_clips
    given = TrainConfig(epochs=3, batch_size=9, patience=2)
    assert fill_duration(given, n_clips) == given


def test_early_stopping_and_best_against_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = [50.0, 70.0, 60.0, 70.0, 65.0, 99.0]
    trainer = Trainer(toy_store(), toy_config(epochs=6, patience=3), tmp_path)
    answer_with(monkeypatch, trainer, accuracies, losses=[1.0] * 6)
    trainer.fit(lambda report: None)
    assert trainer.epoch == 5  # 70 in the second epoch, then three without a better one
    best, last = load_checkpoint(tmp_path / BEST), load_checkpoint(tmp_path / LAST)
    assert (best["epoch"], best["best_accuracy"]) == (2, 70.0)
    assert (last["epoch"], last["best_accuracy"], last["epochs_since_best"]) == (5, 70.0, 3)
    assert not torch.equal(best["network"]["head.weight"], last["network"]["head.weight"])
    assert "optimizer" in last
    assert "optimizer" not in best
    resumed = Trainer(toy_store(), toy_config(epochs=6, patience=3), tmp_path, resume=True)
    resumed.fit(lambda report: None)
    assert resumed.epoch == 5  # stopped is stopped
