"""The learning curve: shares and steps, the rule that reads it by hand-made curves, figures and picture."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from toy_run import temporary_folder, toy_config, toy_store

from data_prep.row_source import JoinedStores
from data_prep.store import Store
from data_prep.task import TaskConfig, make_split_task
from speechcmd.errors import TrainingError
from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.training.data.training_data import TrainingData, take_share
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.series.curve_picture import draw_learning_curve
from speechcmd.training.series.curve_reading import (
    MORE_CAPACITY,
    MORE_DATA,
    MORE_REGULARISATION,
    LearningPoint,
    accuracy_interval,
    difference_interval,
    read_curve,
    summarise,
)
from speechcmd.training.series.learning_curve import (
    CURVE_FILE,
    PICTURE_FILE,
    LearningCurve,
    plan_shares,
    trace_learning_curve,
)
from speechcmd.training.series.training_series import Watcher
from speechcmd.training.settings.config import TrainConfig

QUIET = Watcher(lambda *_: None, lambda *_: None)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of each run costs more time than a toy training."""
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def curve(
    *accuracies: tuple[float, float], n_validation: int = 4_000, n_known: int = 2_000
) -> list[LearningPoint]:
    """Points of training and validation accuracy, from an eighth of 32,000 clips to all."""
    return [
        LearningPoint(share, round(320 * share), 10, 1_000, n_known, training, n_validation, validation)
        for share, (training, validation) in zip((12.5, 25.0, 50.0, 100.0), accuracies, strict=True)
    ]


def helped_by(points: list[LearningPoint]) -> list[bool | None]:
    answers = read_curve(points)
    assert [answer.remedy for answer in answers] == [MORE_DATA, MORE_CAPACITY, MORE_REGULARISATION]
    return [answer.helps for answer in answers]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        # still rising by 3 points, fits, gap of 5
        (curve((100, 80), (99.9, 87), (99.8, 91.8), (99.7, 94.8)), [True, False, True]),
        # still rising, fits, little gap
        (curve((99.9, 90), (99.8, 94), (99.6, 96.5), (99.2, 98.0)), [True, False, False]),
        # flat over so many clips that a flat line can be told, little gap, underfitted
        (curve((92, 89), (91, 89.5), (90.5, 90.0), (90.0, 90.0), n_validation=400_000), [False, True, False]),
        # flat, fits, gap of 6: learnt by heart
        (curve((100, 92), (100, 93), (100, 94), (100, 94), n_validation=400_000), [False, False, True]),
        # flat, fits, no gap: at its ceiling
        (curve((99, 98), (99, 98.4), (99, 98.5), (99, 98.5), n_validation=400_000), [False, False, False]),
        # +0.4 points: neither rising nor flat with 4,000 clips (+-0.9)
        (curve((99, 90), (99, 93), (99, 94.6), (99, 95.0)), [None, False, True]),
        # falling, and surely so
        (curve((99, 95), (99, 95), (99, 95), (99, 92)), [False, False, True]),
        # 97 % is the limit itself
        (curve((99, 90), (99, 92), (98, 94), (97, 96.5)), [True, None, False]),
        # underfitted and a gap, the gap the smaller part: capacity first
        (curve((99, 70), (97, 76), (94, 81), (90, 85)), [True, True, False]),
        # underfitted and a gap, the gap the larger part: both
        (curve((99, 40), (98, 60), (97, 70), (95, 80)), [True, True, True]),
        # with 20 clips nothing is known of slope and gap
        (curve((99, 70), (99, 75), (99, 80), (99, 95), n_validation=20), [None, False, None]),
        (curve((100, 70), (100, 75), (100, 90), (100, 90), n_validation=20, n_known=20), [None, None, None]),
    ],
)  # fmt: skip
def test_the_rule_by_hand_made_curves(points: list[LearningPoint], expected: list[bool | None]) -> None:
    assert helped_by(points) == expected


def test_what_cannot_be_told_says_with_how_many_clips() -> None:
    answers = read_curve(curve((99, 90), (99, 93), (97, 94.6), (97, 95.0)))
    assert str(answers[0]).startswith(
        "more data: cannot be told with 4,000 validation clips; from 16,000 to 32,000"
    )
    assert "changed by +0.4 points (-0.6 to +1.4)" in str(answers[0])
    assert str(answers[1]).startswith(f"{MORE_CAPACITY}: cannot be told with 2,000 training clips; 97.0 % (")
    assert str(answers[2]).startswith(f"{MORE_REGULARISATION}: yes; training lies +2.0 points (")


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (curve((100, 80), (99.9, 87), (99.8, 91.8), (99.7, 94.8)),
         "What would help: more data; more regularisation."),
        (curve((99, 70), (99, 75), (99, 80), (99, 95), n_validation=20),
         "What would help cannot be told: more data (with 20 validation clips); "
         "more regularisation (with 20 validation clips)."),
        (curve((99, 98), (99, 98.4), (99, 98.5), (99, 98.5), n_validation=400_000),
         "None of the three would help much; listen to the clips that go wrong, and check their labels."),
    ],
)  # fmt: skip
def test_the_sum_in_one_line(points: list[LearningPoint], expected: str) -> None:
    reading = LearningCurve(tuple(points)).reading
    assert reading[0] == expected == summarise(read_curve(points))
    assert len(reading) == 4


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_of_an_accuracy(counts: tuple[int, int]) -> None:
    n_right, n_all = counts
    expected = [100 * bound for bound in wilson_interval(n_right, n_all)]
    assert accuracy_interval(100 * n_right / n_all, n_all) == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_a_difference() -> None:
    # the example of Newcombe 1998: 56/70 - 48/80 = 0.2 (0.0524 to 0.3339)
    low, high = difference_interval(60.0, 80, 80.0, 70)
    assert (low, high) == pytest.approx((5.24, 33.39), abs=0.005)
    assert difference_interval(80.0, 70, 60.0, 80) == pytest.approx((-high, -low))
    low, high = difference_interval(100.0, 50, 100.0, 50)
    assert low == pytest.approx(-high)
    assert high > 5  # all right twice says little of fifty clips


def steps_of(config: TrainConfig) -> int:
    return config.epochs * len(data_of(config).sampler)


def data_of(config: TrainConfig) -> TrainingData:
    return TrainingData([toy_store()], config, torch.device("cpu"))


def test_shares_are_nested_and_trained_for_the_same_number_of_steps() -> None:
    members = plan_shares([toy_store()], toy_config(epochs=6, batch_size=5, patience=2))
    assert [member.name for member in members] == ["share-12", "share-25", "share-50", "share-100"]
    n_steps = steps_of(toy_config(epochs=6, batch_size=5))
    clips: set[str] = set()
    for member in members:
        config = member.config
        # a whole number of epochs: half of one may be missing
        assert abs(steps_of(config) - n_steps) <= steps_of(replace(config, epochs=1)) / 2
        assert config.patience == config.epochs  # none stops early
        training = data_of(config).training
        names = {training.examples.paths[index] for index in [*training.words, *training.unknown]}
        assert clips < names
        clips = names
    assert members[-1].config == toy_config(epochs=6, batch_size=5, patience=6)
    assert len(clips) == 72  # all of them


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"clips_percent": 50.0},
            "clips_percent: expected 100 for a learning curve, got 50; it draws its own",
        ),
        (
            {"initial": "runs/a"},
            "initial: expected none in a series of trainings, got runs/a; it may have been",
        ),
        ({"teacher": "runs/b"}, "teacher: expected none in a series of trainings, got runs/b"),
        ({"batch_size": 1}, "batch_size: expected at least 2, or 0 to follow the number of clips, got 1"),
        ({"seed": -1}, "seed: expected a whole number from 0 to "),
    ],
)
def test_what_makes_no_curve_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        plan_shares([toy_store()], toy_config(**changes))


def test_a_share_without_a_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechcmd.training.series.learning_curve.SHARES_PERCENT", (0.1, 100.0))
    with pytest.raises(TrainingError, match=r"clips_percent = 0.1 leaves no training clip of no, up"):
        plan_shares([toy_store()], toy_config())


def test_a_share_without_a_rare_word_is_refused() -> None:
    store = toy_store()
    first = next(row for row in store.select("word", "training") if row.word == "up")
    rows = [row for row in store.rows if row is first or (row.word, row.split) != ("up", "training")]
    rare = type(store)(store.path, tuple(rows), store.info)
    with pytest.raises(TrainingError, match=r"clips_percent = 12.5 leaves no training clip of up; take a"):
        plan_shares([rare], toy_config(seed=seed_that_leaves_out(rare)))


def seed_that_leaves_out(store: Store) -> int:
    """A seed by which the smallest share has a clip of one word and none of the other."""
    config = toy_config(clips_percent=12.5)
    task = make_split_task(JoinedStores([store]), TaskConfig(config.words), "training")
    for seed in range(20):
        words = take_share(task, replace(config, seed=seed)).words
        if set(task.examples.labels[words].tolist()) == {0}:
            return seed
    raise ValueError("no seed")


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [
        ("30", ["4", "8", "15", "30"]),  # 3.75, 7.5
        ("2", ["1", "1", "1", "2"]),
        ("0", ["0", "0", "0", "0"]),
        ("all", ["all"] * 4),
        ("official", ["official"] * 4),
    ],
)
def test_a_number_of_unknown_clips_follows_the_share(unknown: str, expected: list[str]) -> None:
    members = plan_shares([toy_store()], toy_config(unknown=unknown))
    assert [member.config.unknown for member in members] == expected


def toy_curve_config() -> TrainConfig:
    return toy_config("mlp", epochs=1)


@functools.cache
def toy_curve() -> tuple[Path, LearningCurve]:
    """A finished learning curve; do not write into its folder."""
    folder = temporary_folder() / "curve"
    return folder, trace_learning_curve([toy_store()], toy_curve_config(), folder, False, QUIET)


def test_each_share_is_a_run_and_its_point_is_that_of_its_best() -> None:
    folder, traced = toy_curve()
    assert json.loads((folder / CURVE_FILE).read_text())["points"] == [
        asdict(point) for point in traced.points
    ]
    assert json.loads((folder / CURVE_FILE).read_text())["reading"] == list(traced.reading)
    assert imread(folder / PICTURE_FILE).shape[:2] == (594, 1100)
    for name, point in zip(("share-12", "share-25", "share-50", "share-100"), traced.points, strict=True):
        best = load_checkpoint(folder / name / BEST)
        config = TrainConfig.from_json(best["config"])
        assert (config.clips_percent, config.epochs) == (point.clips_percent, point.n_epochs)
        assert point.validation_accuracy == best["best_accuracy"]
        assert point.n_steps == point.n_epochs * len(data_of(config).sampler)
        assert len(RunFolder(folder / name).read_metrics()) == point.n_epochs
    last = traced.points[-1]
    assert (last.n_clips, last.n_epochs, last.n_steps) == (72, 1, 4)
    assert (
        last.n_known == 36 + 4 + 4
    )  # words, and by the official rule a tenth of unknown words and of silence


def test_the_training_accuracy_is_that_of_the_best_checkpoint_on_its_own_clips(tmp_path: Path) -> None:
    folder, traced = toy_curve()
    trainer = Trainer([toy_store()], toy_curve_config(), tmp_path)
    trainer.network.load_state_dict(load_checkpoint(folder / "share-100" / BEST)["network"])
    batches, n_known = trainer.data.known_batches(2_000)
    network = trainer.network.eval()
    right = [(network(b.waveform)[:, 0].argmax(1) == b.labels).numpy() for b in batches]
    assert n_known == sum(map(len, right))
    assert 100 * np.concatenate(right).mean() == pytest.approx(traced.points[-1].training_accuracy)
    _, n_few = trainer.data.known_batches(7)
    assert n_few == 7 == sum(len(batch.labels) for batch in trainer.data.known_batches(7)[0])


def test_resuming_a_finished_curve_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, traced = toy_curve()
    monkeypatch.setattr("speechcmd.training.series.learning_curve.draw_learning_curve", lambda *_: None)
    before = (folder / "share-100" / BEST).read_bytes()
    reports: list[object] = []
    watcher = replace(QUIET, report=lambda member, report: reports.append(report))
    again = trace_learning_curve([toy_store()], toy_curve_config(), folder, True, watcher)
    assert again == traced
    assert reports == []
    assert (folder / "share-100" / BEST).read_bytes() == before


def test_the_picture_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: (drawn.append(self), path.write(b"picture"))
    )
    points = curve((99.4, 88.3), (99.0, 91.9), (98.6, 94.2), (98.1, 95.6))
    epochs = [
        {"epoch": n, "train_accuracy": 90 - 60 * math.exp(-n), "validation_accuracy": 95 - 50 * math.exp(-n)}
        for n in range(5)
    ]
    draw_learning_curve(points, epochs, ["First line.", "word " * 50], tmp_path / "curve.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    clips, over_epochs = drawn[0].axes
    assert clips.get_xscale() == "log"
    assert [text.get_text() for text in clips.get_xticklabels()] == ["4,000", "8,000", "16,000", "32,000"]
    values = [text.get_text() for text in clips.texts]
    assert values == ["99.4", "99.0", "98.6", "98.1", "88.3", "91.9", "94.2", "95.6"]
    assert [text.get_text() for text in clips.get_legend().get_texts()] == [
        "training clips as they are",
        "validation",
    ]
    assert "training, augmented, while it learns" in [
        text.get_text() for text in over_epochs.get_legend().get_texts()
    ]
    assert over_epochs.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    lines = drawn[0].get_supxlabel().splitlines()
    assert lines[0] == "First line."
    assert len(lines) == 4
    assert max(map(len, lines)) <= 118
