"""Hard negatives: cut where the scan heard them, drawn in every epoch, kept through a resume; and who has none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_checks import assert_same_run, failure, metrics_of
from toy_features import toy_cache_path
from toy_run import PLAIN, toy_config, toy_run, toy_store
from toy_speech import ToneNetwork, toy_speech

from data_prep.feature_store import FeatureStore
from data_prep.store import Store
from speechcmd.audio.samples import int16_to_float32
from speechcmd.training.augment.placement import without_long
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.sampler import ItemKey
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trainer import BatchReport, EpochMetrics, Trainer
from speechcmd.training.loop.whole_clip import WholeClips
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

HALF_ULP = 2.0**-8  # of float16 between 8 and 16
UNKNOWN = 2


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def config_of(cached: bool = False, **changes: Any) -> TrainConfig:
    changes = {"unknown": "0", "hard_percent": 25.0, "augment": PLAIN, **changes}
    return toy_config("mlp", feature_cache=str(toy_cache_path()) if cached else "", **changes)


def stores() -> list[Store]:
    return [toy_store(), toy_speech()]


@pytest.mark.parametrize(("n_steps", "late_ms"), [(1, 0.0), (4, 0.0), (4, 70.0)])
@pytest.mark.parametrize("cached", [False, True])
def test_a_window_is_cut_where_it_was_heard(
    tmp_path: Path, cached: bool, n_steps: int, late_ms: float
) -> None:
    """In the recording itself, the audio of which the test knows; with its neighbours around it."""
    trainer = Trainer(stores(), config_of(cached, n_steps=n_steps), tmp_path)
    trainer.data.trained.augment_as(replace(PLAIN, late_ms=late_ms))
    data, network = trainer.data, trainer.network
    assert [isinstance(store, FeatureStore) for store in data.source.stores] == [cached] * 2
    trainer.hard.find(network)
    mined = trainer.hard.mined
    assert len(data.sampler.hard) == data.sampler.n_hard == len(mined.start) > 5
    batch = data.trained.__getitems__([ItemKey(0, 0, int(index)) for index in data.sampler.hard])
    assert (batch.labels == UNKNOWN).all()
    log_mel = log_mel_of(network, batch)
    assert log_mel.shape[1] == network.window_frames + 4 * (n_steps - 1)
    n_before, n_crossing = 4 * (n_steps - 1) // 2, 0
    middles = batch.spans.mean(dim=1)  # as if a word filled the middle window
    assert torch.allclose(middles, torch.full_like(middles, n_before + network.window_samples / 320))
    for row, (example, start) in enumerate(zip(mined.example, mined.start, strict=True)):
        recording = next(
            row for row in toy_speech().rows if row.path == data.training.examples.paths[example]
        )
        whole = ToneNetwork().log_mel(toy_speech().samples_of(recording))
        first = start // 160 - n_before
        inside = slice(max(0, -first), min(len(whole) - first, log_mel.shape[1]))
        expected = whole[first + inside.start : first + inside.stop]
        assert torch.allclose(log_mel[row, inside], expected, atol=HALF_ULP + 1e-4 if cached else 1e-4)
        n_crossing += first // 128 != (first + log_mel.shape[1] - 1) // 128
    assert n_crossing > 0 or not cached  # of windows that lie in two pieces of the cache


def test_what_was_mined_is_nobodys_neighbour_at_any_speed(tmp_path: Path) -> None:
    """Played faster it is shorter than a window, and no word all the same."""
    augment = replace(PLAIN, speed_percent=20.0, neighbour_percent=100.0)
    trainer = Trainer(stores(), config_of(augment=augment), tmp_path)
    trainer.hard.find(trainer.network)
    batch = trainer.data.trained.__getitems__(
        [ItemKey(0, 0, int(index)) for index in trainer.data.sampler.hard]
    )
    assert batch.is_mined.all()
    spans = without_long(batch.spans, trainer.network.window_frames)
    assert not spans.isnan().all()  # their length does not tell
    _, neighbours = trainer.loss.make_features(batch)
    assert neighbours.isnan().all()
    words = trainer.data.trained.__getitems__([ItemKey(0, 0, n) for n in range(8)])
    assert not words.is_mined.any()


def test_windows_are_those_with_the_highest_scores(tmp_path: Path) -> None:
    """Whoever listens to them by hand hears words there."""
    trainer = Trainer(stores(), config_of(), tmp_path)
    trainer.network.head.weight.data *= 20
    trainer.hard.find(trainer.network)
    hard, network = trainer.hard.mined, trainer.network.eval()
    by_name = {row.path: int16_to_float32(toy_speech().samples_of(row)) for row in toy_speech().rows}
    means = []
    for example, start in zip(hard.example, hard.start, strict=True):
        samples = by_name[trainer.data.training.examples.paths[example]]
        heard = samples[start - 2 * 640 : start + 2 * 640 + network.window_samples]
        if len(heard) == 4 * 640 + network.window_samples:
            with torch.inference_mode():
                scores = network(torch.from_numpy(heard)[None]).softmax(dim=2)[0, :, :2]
            means.append((float(scores.mean(dim=0).max()), example, start))
    known = {(e, s): float(score) for e, s, score in zip(hard.example, hard.start, hard.score, strict=True)}
    assert len(means) > 5
    for mean, example, start in means:
        assert known[example, start] == pytest.approx(mean, abs=1e-4)


def test_an_epoch_has_the_mined_and_others(tmp_path: Path) -> None:
    trainer = Trainer(stores(), config_of(batch_size=4, hard_percent=120.0), tmp_path)
    data, sampler = trainer.data, trainer.data.sampler
    n_hard = int(np.ceil(1.2 * len(data.training.words)))
    assert sampler.n_hard == n_hard
    talks = set(data.training.speech.tolist())

    def drawn(epoch: int) -> list[int]:
        sampler.epoch = epoch
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert {len(batch) for batch in batches} == {4}
        assert {key.epoch for batch in batches for key in batch} == {epoch}
        return [key.example for batch in batches for key in batch]

    before = drawn(0)
    n_lost = 3  # of the last short batch
    n_talks = sum(index in talks for index in before)
    assert n_hard - n_lost <= n_talks <= n_hard  # speech as it comes, until some are found
    trainer.hard.find(trainer.network)
    n_found = len(sampler.hard)
    assert 10 < n_found < n_hard  # there is too little speech
    assert set(sampler.hard.tolist()) == set(
        range(len(data.training.examples), len(data.training.examples) + n_found)
    )
    for epoch in (1, 2):
        indices = drawn(epoch)
        assert len(indices) == len(before)
        count = Counter(indices)
        mined = sum(count[index] for index in sampler.hard.tolist())
        assert n_found - n_lost <= mined <= n_found
        assert max(count[index] for index in sampler.hard.tolist()) == 1
        others = sum(index in talks for index in indices)
        assert n_hard - n_found - n_lost <= others <= n_hard - n_found
        places = [place for place, index in enumerate(indices) if index in sampler.hard]
        assert min(places) < len(indices) / 4 < len(indices) * 3 / 4 < max(places)
    examples = data.trained._task.examples
    assert (examples.labels[sampler.hard] == UNKNOWN).all()
    assert len(data.trained) == len(examples) == len(data.training.examples) + n_found
    assert drawn(1) == drawn(1) != drawn(2)


def test_without_hard_negatives_an_epoch_is_what_it_was(tmp_path: Path) -> None:
    plain = Trainer(stores(), config_of(hard_percent=0.0), tmp_path).data.sampler
    assert plain.n_hard == 0
    assert not any(key.example in plain._task.speech for batch in plain for key in batch)


@pytest.mark.parametrize(
    ("hard_every", "initial", "epochs"), [(1, "", [1, 2, 3]), (2, "mlp", [0, 2]), (3, "", [3])]
)
def test_when_they_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_every: int, initial: str, epochs: list[int]
) -> None:
    """Each `hard_every` epochs, by a network that has learnt something."""
    config = config_of(epochs=4, hard_every=hard_every, initial=str(toy_run(initial)) if initial else "")
    trainer, seen = Trainer(stores(), config, tmp_path), []
    monkeypatch.setattr(trainer.hard, "find", lambda network, on_scan: seen.append(trainer.epoch))
    for trainer.epoch in range(4):
        trainer._find_hard()
    assert seen == epochs


# --- resume, and the best epoch by running speech


@pytest.mark.parametrize("cached", [False, True])
def test_resume_is_exact_with_all_that_is_for_streams(tmp_path: Path, cached: bool) -> None:
    """Stopped in an epoch that trains on windows found in the one before."""
    config = config_of(
        cached, n_steps=3, hard_every=2, focal=1.5, select="stream", ema=0.9, class_balance=0.5,
        augment=AugmentConfig(half_seen_percent=30.0), initial=str(toy_run("mlp")),
    )  # fmt: skip
    scans: list[tuple[int, int]] = []
    Trainer(stores(), config, tmp_path / "whole").fit(
        lambda report: None, lambda done, total: scans.append((done, total))
    )
    # before every second epoch the training speech is heard, after each epoch that of validation
    assert scans.count((1, scans[0][1])) >= config.epochs + -(-config.epochs // 2)
    assert all(1 <= done <= total for done, total in scans)

    def stop(seen: BatchReport | EpochMetrics) -> None:
        if isinstance(seen, BatchReport) and (seen.epoch, seen.batch) == (1, 2):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Trainer(stores(), config, tmp_path / "parts").fit(stop)
    resumed = Trainer(stores(), config, tmp_path / "parts", resume=True)
    assert len(resumed.data.sampler.hard) == resumed.data.sampler.n_hard > 5
    resumed.fit(lambda report: None)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    hard = load_checkpoint(tmp_path / "whole" / LAST)["hard"]
    assert len(hard["start"]) == resumed.data.sampler.n_hard
    assert all(0 <= entry["stream_recall"] <= 100 for entry in metrics_of(tmp_path / "parts"))


def test_the_best_epoch_is_the_one_that_finds_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies, recalls = [90.0, 80.0, 70.0, 95.0, 99.0], [10.0, 30.0, 60.0, 60.0, 50.0]
    config = config_of(epochs=5, hard_percent=0.0, select="stream", patience=2)
    trainer, seen = Trainer(stores(), config, tmp_path), []
    monkeypatch.setattr(trainer, "evaluate", lambda batches: (1.0, accuracies[trainer.epoch]))
    monkeypatch.setattr(trainer, "hear_whole_clips", lambda: WholeClips(1.0, accuracies[trainer.epoch]))
    monkeypatch.setattr(trainer, "stream_recall", lambda on_scan: recalls[trainer.epoch])
    trainer.fit(lambda report: seen.append(report) if isinstance(report, EpochMetrics) else None)
    best = load_checkpoint(tmp_path / BEST)
    assert (best["epoch"], best["best_score"], best["best_accuracy"]) == (3, 60.0, 70.0)
    assert (trainer.epoch, trainer.best.score, trainer.best_accuracy) == (5, 60.0, 70.0)
    assert [each.stream_recall for each in seen] == recalls


# --- who has no running speech


@pytest.mark.parametrize(
    ("changes", "split", "message"),
    [
        (
            {"hard_percent": 10.0},
            "training",
            "expected running speech of role train for hard_percent = 10, found none",
        ),
        (
            {"select": "stream"},
            "validation",
            "expected running speech of role calibrate for select = stream, found none",
        ),
    ],
)
def test_without_running_speech_there_is_one_line(
    tmp_path: Path, changes: dict[str, Any], split: str, message: str
) -> None:
    speech = toy_speech()
    others = tuple(row for row in speech.rows if row.split != split)
    config = config_of(**{"hard_percent": 0.0, **changes})
    for bare in ([toy_store()], [toy_store(), Store(speech.path, others, speech.info)]):
        said = failure(lambda bare=bare: Trainer(bare, config, tmp_path / "run"))  # type: ignore[misc]
        assert message in said
        assert said.endswith("; prepare a store with --speech and --roles, or leave the setting out")
    assert not (tmp_path / "run").exists()


def test_balanced_classes_count_the_mined(tmp_path: Path) -> None:
    """Each label has the same weight in an epoch, that of the windows that were found included."""
    trainer = Trainer(stores(), config_of(batch_size=2, hard_percent=60.0, class_balance=1.0), tmp_path)
    trainer.hard.find(trainer.network)
    labels = trainer.data.trained._task.examples.labels
    drawn = [labels[key.example] for batch in trainer.data.sampler for key in batch]
    shares = trainer._class_weights().numpy() * np.bincount(drawn, minlength=4)
    assert shares == pytest.approx(np.full(4, shares.mean()), rel=2 / min(Counter(drawn).values()))
