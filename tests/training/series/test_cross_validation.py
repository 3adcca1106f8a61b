"""Cross-validation: who is validated when, what is refused, what the figures mean, and resuming."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import WORDS, temporary_folder, toy_config, toy_store

from data_prep.store import Row, Store
from speechcmd.errors import TrainingError
from speechcmd.training.data.folds import speakers_of, split_by_fold
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.export.run_clips import draw_run_clips
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.series.cross_validation import (
    FOLDS_FILE,
    CrossValidation,
    Fold,
    cross_validate,
    plan_folds,
)
from speechcmd.training.series.training_series import Member, Watcher
from speechcmd.training.settings.config import TrainConfig

N_FOLDS = 2
QUIET = Watcher(lambda *_: None, lambda *_: None)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of each run costs more time than a toy training."""
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def row(word: str, speaker: str, split: str, number: int = 0, kind: str = "word") -> Row:
    path = f"{word}/{speaker}_nohash_{number}.wav"
    return Row(kind, word, speaker, split, "", path, 0, 16_000, 4_000, 12_000, 8_000, -60.0, (), "")


def store_of(rows: Sequence[Row]) -> Store:
    return Store(Path("store"), tuple(rows), {})


def config_of(words: str, **changes: object) -> TrainConfig:
    return replace(TrainConfig(words=tuple(words.split()), unknown="all"), **changes)  # type: ignore[arg-type]


def failure(stores: Sequence[Store], config: TrainConfig, n_folds: int) -> str:
    with pytest.raises(TrainingError) as caught:
        plan_folds(stores, config, n_folds)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def many_clips(words: str, speakers: str, split: str = "training") -> list[Row]:
    return [row(word, speaker, split) for word in words.split() for speaker in speakers.split()]


clips = st.builds(
    row,
    st.sampled_from(["no", "up"]),
    st.sampled_from("abcdefgh"),
    st.sampled_from(["training", "validation"]),
)
testing_clips = st.builds(row, st.sampled_from(["no", "up"]), st.sampled_from("xyz"), st.just("testing"))
stores_of_clips = st.lists(
    st.lists(st.one_of(clips, testing_clips), min_size=1, max_size=30), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(stores_of_clips, st.integers(2, 6))
def test_each_speaker_is_validated_once_and_never_trained_on_then(
    given: list[list[Row]], n_folds: int
) -> None:
    stores = [store_of(rows) for rows in given]
    validated: Counter[str] = Counter()
    sizes = []
    for number in range(1, n_folds + 1):
        folded = [row for store in split_by_fold(stores, f"{number}/{n_folds}") for row in store.rows]
        speakers = {
            split: {row.speaker for row in folded if row.split == split}
            for split in ("training", "validation", "testing")
        }
        # over all stores: nobody is trained on in one and validated in another
        assert not speakers["training"] & speakers["validation"]
        assert speakers["testing"] == {
            row.speaker for rows in given for row in rows if row.split == "testing"
        }
        assert [row.path for row in folded] == [row.path for rows in given for row in rows]
        validated.update(speakers["validation"])
        sizes.append(len(speakers["validation"]))
    assert set(validated) == set(speakers_of(stores))
    assert set(validated.values()) <= {1}
    assert max(sizes) - min(sizes) <= 1


def test_recordings_stay_where_they_are() -> None:
    rows = [
        *many_clips("no up", "a b"),
        row("", "a", "training", kind="noise"),
        row("", "a", "validation", kind="speech"),
    ]
    folded = split_by_fold([store_of(rows)], "1/2")[0]
    assert folded.rows[-2:] == tuple(rows[-2:])


def test_the_members_are_the_folds() -> None:
    members = plan_folds([store_of(many_clips("no up", "a b c"))], config_of("no up"), 3)
    assert [(member.name, member.config.fold) for member in members] == [
        ("fold-1", "1/3"), ("fold-2", "2/3"), ("fold-3", "3/3"),
    ]  # fmt: skip
    assert all(replace(member.config, fold="") == config_of("no up") for member in members)


def test_too_few_speakers_are_refused() -> None:
    rows = [*many_clips("no up", "a b"), *many_clips("no up", "x y", "testing")]
    assert "4 folds: expected at least as many speakers" in failure([store_of(rows)], config_of("no up"), 4)
    assert "got 2; use 2 folds or fewer" in failure([store_of(rows)], config_of("no up"), 4)
    alone = failure([store_of(many_clips("no up", "a"))], config_of("no up"), 5)
    assert "got 1; folds are made of speakers: train without --folds" in alone
    assert "anna_1.wav and ben_1.wav" in alone


def test_words_are_compared_in_one_form_wherever_they_come_from() -> None:
    config = TrainConfig(words=(" cafe\u0301 ", "no"))
    assert config.words == ("caf\u00e9", "no")
    assert replace(config, seed=1).words == TrainConfig.from_json(config.to_json()).words == config.words


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*many_clips("no up", "a b"), *many_clips("no", "c")], "no validation clip of up"),
        ([*many_clips("no", "a b"), *many_clips("up", "a")], "clip of up"),
        ([*many_clips("no up", "a b"), *many_clips("bird", "a")], "clip of _unknown_"),
    ],
)  # fmt: skip
def test_a_label_without_clips_in_a_fold_is_refused(rows: list[Row], message: str) -> None:
    n_folds = len({row.speaker for row in rows})
    text = failure([store_of(rows)], config_of("no up"), n_folds)
    assert text.startswith("fold ")
    assert message in text
    assert "use fewer folds" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size: expected at least 2, or 0 to follow the number of clips, got 1"),
        ({"seed": -1}, "seed: expected a whole number from 0 to "),
        ({"fold": "1/2"}, "fold: expected none in a cross-validation, got 1/2"),
        (
            {"initial": "runs/a"},
            "initial: expected none in a series of trainings, got runs/a; it may have heard",
        ),
        (
            {"teacher": "runs/b"},
            "teacher: expected none in a series of trainings, got runs/b; it may have heard",
        ),
    ],
)
def test_what_is_no_setting_or_would_make_the_figures_too_good_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    assert message in failure([store_of(many_clips("no up", "a b"))], config_of("no up", **changes), 2)


def test_figures_by_hand() -> None:
    folds = tuple(
        Fold(f"fold-{n}", 10, 900, 1800, 5, accuracy)
        for n, accuracy in enumerate((88.0, 90.0, 92.0), start=1)
    )
    result = CrossValidation(folds)
    assert result.mean == pytest.approx(90)
    assert result.deviation == pytest.approx(2)  # sqrt((4 + 0 + 4) / 2)
    assert result.chance_deviation == pytest.approx(100 * math.sqrt(0.9 * 0.1 / 900))  # 1 point
    assert "about 90.0 %" in result.reading
    assert (
        "groups of 10 of them that differs by 2.0 points; chance alone, in so many clips, would make it 1.0"
        in result.reading
    )
    written = json.loads(result.to_json())
    assert [fold["accuracy"] for fold in written["folds"]] == [88, 90, 92]
    assert written["standard_deviation"] == pytest.approx(2)


def toy_config_of_folds() -> TrainConfig:
    return toy_config("mlp", epochs=1)


@functools.cache
def toy_folds() -> tuple[Path, CrossValidation, list[TrainingData]]:
    """A finished cross-validation and its data; do not write into its folder."""
    folder, data = temporary_folder() / "folds", []
    watcher = replace(QUIET, begin=lambda _, __, ___, trainer: data.append(trainer.data))
    result = cross_validate([toy_store()], toy_config_of_folds(), N_FOLDS, folder, False, watcher)
    return folder, result, data


def test_each_fold_is_a_run_of_its_own_speakers() -> None:
    folder, result, data = toy_folds()
    rows = [row for row in toy_store().rows if row.kind == "word" and row.split != "testing"]
    names = [row.path for row in rows if row.word in WORDS]
    seen: list[str] = []
    for number, fold in enumerate(result.folds, start=1):
        best = load_checkpoint(folder / fold.name / BEST)
        assert best["best_accuracy"] == fold.accuracy
        config = TrainConfig.from_json(best["config"])
        assert config == replace(toy_config_of_folds(), fold=f"{number}/{N_FOLDS}")
        # what an export is checked and calibrated with
        clips = draw_run_clips(folder / fold.name, config, "validation", best["n_samples"])
        assert clips.n_clips == fold.n_clips
        assert torch.equal(
            torch.cat([torch.from_numpy(waveforms) for waveforms, _ in clips]),
            torch.cat([batch.waveform for batch in data[number - 1].validation_batches]),
        )
        task = data[number - 1].validation
        seen += [task.examples.paths[index] for index in task.words]
        assert fold.n_training_clips == len(rows) - len(task.words) - len(task.unknown)
    assert sorted(seen) == sorted(names)
    assert sum(fold.n_speakers for fold in result.folds) == len({row.speaker for row in rows})
    assert json.loads((folder / FOLDS_FILE).read_text()) == json.loads(result.to_json())


def test_resuming_skips_what_is_finished(tmp_path: Path) -> None:
    _, whole, _ = toy_folds()

    def cut(number: int, n_members: int, member: Member, trainer: Trainer) -> None:
        assert (n_members, member.name) == (N_FOLDS, f"fold-{number}")
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(
            [toy_store()], toy_config_of_folds(), N_FOLDS, tmp_path, False, replace(QUIET, begin=cut)
        )
    assert not (tmp_path / FOLDS_FILE).exists()
    first = (tmp_path / "fold-1" / LAST).read_bytes()
    with pytest.raises(TrainingError, match="holds fold-1 already; go on with --resume"):
        cross_validate([toy_store()], toy_config_of_folds(), N_FOLDS, tmp_path, False, QUIET)
    trained: list[str] = []

    def note(trainer: Trainer, report: BatchReport | EpochMetrics) -> None:
        if isinstance(report, EpochMetrics):
            trained.append(trainer.run.path.name)

    again = cross_validate(
        [toy_store()], toy_config_of_folds(), N_FOLDS, tmp_path, True, replace(QUIET, report=note)
    )
    assert trained == ["fold-2"]
    assert again == whole
    assert (tmp_path / "fold-1" / LAST).read_bytes() == first


def test_a_single_run_is_not_mixed_with_a_series(tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes(b"")
    with pytest.raises(TrainingError, match="holds a single run; choose another --run"):
        cross_validate([toy_store()], toy_config_of_folds(), 2, tmp_path, True, QUIET)


def test_a_series_tells_how_much_speech_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(self: Trainer, report: object, on_scan: Callable[[int, int], None]) -> None:
        on_scan(3, 7)
        raise InterruptedError

    heard: list[tuple[int, int]] = []
    watcher = replace(QUIET, on_scan=lambda done, total: heard.append((done, total)))
    monkeypatch.setattr(Trainer, "fit", hear)
    with pytest.raises(InterruptedError):
        cross_validate([toy_store()], toy_config_of_folds(), N_FOLDS, tmp_path, False, watcher)
    assert heard == [(3, 7)]
