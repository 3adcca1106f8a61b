"""Networks that hear more bands than images have: the bands are learnt from audio, and nothing else changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from run_checks import assert_same_run, failure, metrics_of
from toy_features import FRONT_END, toy_features, toy_images
from toy_run import PLAIN, WORDS, toy_config, toy_store

from data_prep.row_source import JoinedStores
from data_prep.task import TaskConfig, make_split_task
from models.frontend import FrontEndConfig, LogMel
from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.training.augment.image_channel import through_image
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.missing_bands import learn_upper_bands
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.data.store_checks import check_front_end
from speechcmd.training.export.label_balance import balance_labels
from speechcmd.training.export.onnx_export import export_run
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.run_folder import RunFolder
from speechcmd.training.loop.trained_network import load_network
from speechcmd.training.loop.trainer import BatchReport, Trainer
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

WIDE = FRONT_END.with_bands(48)
SILENT = math.log(FRONT_END.log_floor)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "draw_curves", lambda self: None)


def joined() -> JoinedStores:
    return JoinedStores([toy_images(), toy_store()])


def wide_config(**changes: object) -> TrainConfig:
    augment = replace(PLAIN, image_percent=50.0, tilt_db=10.0, narrow_percent=20.0)
    return toy_config("cnn", n_mels=48, augment=augment, **changes)


def network_of(frontend: FrontEndConfig) -> KeywordNetwork:
    return create_model("mlp", 4, 8_000, frontend, hidden=4)


# --- the estimate


def test_bands_that_follow_from_the_others_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    lower = torch.randn(5_000, 6, generator=generator) * 3 - 5
    upper = lower @ torch.randn(6, 3, generator=generator) / 6 - 4
    learnt = UpperBands.learn(torch.cat([lower, upper], dim=1), 6, lowest=-20.0)
    assert learnt.n_lower == 6
    new = torch.randn(2, 7, 6, generator=generator) * 3 - 5
    assert learnt.extend(new).shape == (2, 7, 9)
    assert torch.equal(learnt.extend(new)[..., :6], new)
    expected = learnt.extend(lower.unsqueeze(0))[0, :, 6:]
    assert float((expected - upper).abs().max()) < 0.05
    # what stood above them does not matter
    assert torch.equal(learnt.extend(torch.cat([new, torch.full((2, 7, 3), 9.0)], dim=2)), learnt.extend(new))


def test_noise_above_is_its_mean_and_never_below_the_floor() -> None:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(20_000, 5, generator=generator)
    learnt = UpperBands.learn(frames + torch.tensor([0.0, 0.0, 0.0, 2.0, -2.0]), 3, lowest=-1.5)
    upper = learnt.extend(frames[None, :, :3])[0, :, 3:]
    assert upper[:, 0].mean() == pytest.approx(2.0, abs=0.05)
    assert float(upper[:, 0].std()) < 0.1
    assert float((upper[:, 1] + 1.5).abs().max()) == 0


# --- in stores and batches


def test_images_get_bands_and_audio_keeps_its_own() -> None:
    source = joined()
    task = make_split_task(source, TaskConfig(WORDS), "training")
    upper = learn_upper_bands(source, task, network_of(WIDE))
    assert upper is not None
    assert upper.n_lower == 40
    dataset = ClipDataset(source, task, 8_000, AugmentConfig.off(), frontend=WIDE, upper=upper)
    (batch,) = make_loader(dataset, FixedSampler(task.words, 1_000))
    audio = LogMel(WIDE)(batch.waveform)
    assert batch.log_mel.shape[2] == 48
    plain = ClipDataset(source, task, 8_000, AugmentConfig.off())
    (narrow,) = make_loader(plain, FixedSampler(task.words, 1_000))
    assert torch.equal(batch.log_mel[..., :40], narrow.log_mel)
    # the pictures are of the same clips: nearer to what these have than their mean is
    error, spread = (
        (other - audio[..., 40:].mean(dim=1)).square().mean()
        for other in (batch.log_mel[..., 40:].mean(dim=1), audio[..., 40:].mean(dim=(0, 1)))
    )
    assert float(error) < 0.5 * float(spread)


def test_nothing_is_learnt_where_nothing_is_missing() -> None:
    source = joined()
    task = make_split_task(source, TaskConfig(WORDS), "training")
    assert learn_upper_bands(source, task, network_of(FRONT_END)) is None
    alone = JoinedStores([toy_store()])
    assert (
        learn_upper_bands(alone, make_split_task(alone, TaskConfig(WORDS), "training"), network_of(WIDE))
        is None
    )


def test_words_of_images_alone_have_nothing_to_learn_from() -> None:
    source = joined()
    task = make_split_task(source, TaskConfig(WORDS), "training")
    words, unknown = (part[task.examples.source[part] == 0] for part in (task.words, task.unknown))
    pictured = replace(task, words=words, unknown=unknown)
    assert failure(lambda: learn_upper_bands(source, pictured, network_of(WIDE))).endswith(
        "40 of 48 bands, and no clip with all to learn the others from; give a store of audio too, or set "
        "n_mels=40"
    )


def test_a_part_of_the_bands_is_no_other_front_end() -> None:
    for store in (toy_images(), toy_features()):
        check_front_end(store, WIDE)
        message = failure(lambda store=store: check_front_end(store, replace(WIDE, f_max_hz=6_000.0)))  # type: ignore[misc]
        assert "features of a front end with n_mels = 40, the network's has 48;" in message
        message = failure(lambda store=store: check_front_end(store, FRONT_END.with_bands(20)))  # type: ignore[misc]
        assert "features of a front end with n_mels = 40, the network's has 20;" in message


# --- in training


def test_copies_through_the_image_channel_get_bands_as_images_do(tmp_path: Path) -> None:
    config = toy_config("cnn", n_mels=48, augment=replace(PLAIN, image_percent=100.0))
    trainer = Trainer([toy_images(), toy_store()], config, tmp_path)
    step, batch = trainer.loss, next(iter(trainer.data.train_batches))
    before = log_mel_of(trainer.network, batch).clone()
    given = step.make_features(batch)[0]
    upper = step._augmentation._upper
    torch.testing.assert_close(given, upper.extend(given))
    assert torch.equal(given[batch.is_image], before[batch.is_image])
    own = ~batch.is_image
    phases = [through_image(before[own][..., :40], phase=torch.full((int(own.sum()),), p)) for p in range(8)]
    matches = torch.stack([(each == given[own][..., :40]).flatten(1).all(dim=1) for each in phases])
    assert bool(matches.any(dim=0).all())
    assert float((given - before)[own][..., 40:].abs().mean()) > 0.1


def test_clips_are_cut_off_at_many_bands_above_the_lower_ones(tmp_path: Path) -> None:
    config = toy_config("cnn", n_mels=48, augment=replace(PLAIN, narrow_percent=50.0), batch_size=64)
    trainer = Trainer(toy_store(), config, tmp_path)
    batch = next(iter(trainer.data.train_batches))
    before = log_mel_of(trainer.network, batch).clone()
    given = trainer.loss.make_features(batch)[0]
    is_cut = (given == SILENT).all(dim=1) & ~(before == SILENT).all(dim=1)
    n_cut = is_cut.sum(dim=1)
    assert torch.equal(given[..., :40], before[..., :40])
    assert 0.25 < float((n_cut > 0).float().mean()) < 0.75
    assert set(n_cut.tolist()) - {0} <= set(range(1, 9))
    assert len(set(n_cut.tolist())) > 4
    assert all(bool(row[48 - n :].all()) for row, n in zip(is_cut, n_cut.tolist(), strict=True) if n)


def test_a_wide_network_is_resumed_exactly_and_exported(tmp_path: Path) -> None:
    """Trained with images and audio; the file answers the waveform as the network does."""
    stores, config = [toy_images(), toy_store()], wide_config(epochs=2)

    def stop(seen: object) -> None:
        if isinstance(seen, BatchReport) and seen.epoch == 1:
            raise InterruptedError

    Trainer(stores, config, tmp_path / "whole").fit(lambda report: None)
    with pytest.raises(InterruptedError):
        Trainer(stores, config, tmp_path / "parts").fit(stop)
    Trainer(stores, config, tmp_path / "parts", resume=True).fit(lambda report: None)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert len(metrics_of(tmp_path / "whole")) == 2
    network = load_network(load_checkpoint(tmp_path / "whole" / BEST))
    assert network.frontend.config == WIDE
    assert balance_labels(network, tmp_path / "whole", config).n_clips > 10
    path = tmp_path / "wide.onnx"
    export_run(tmp_path / "whole", path)
    waveform = np.random.default_rng(0).normal(0, 0.05, 16_000).astype(np.float32)
    network = load_network(load_checkpoint(tmp_path / "whole" / BEST))
    with torch.no_grad():
        expected = network(torch.from_numpy(waveform)[None])[0]
    np.testing.assert_allclose(
        Recognizer.load(path)._session.run(waveform[None])[0], expected.numpy(), atol=1e-4
    )


def test_a_cache_of_features_has_all_bands(tmp_path: Path) -> None:
    config = wide_config(epochs=1, feature_cache=str(tmp_path / "cache"))
    trainer = Trainer([toy_images(), toy_store()], config, tmp_path / "run")
    batch = next(iter(trainer.data.train_batches))
    assert len(batch.waveform) == 0
    assert batch.log_mel.shape[2] == 48
    trainer.fit(lambda report: None)


@pytest.mark.parametrize(("own", "taught"), [(48, 40), (40, 48)])
def test_a_teacher_may_hear_fewer_bands_but_not_more(tmp_path: Path, own: int, taught: int) -> None:
    plain = toy_config("cnn", n_mels=taught, epochs=1, augment=PLAIN)
    Trainer(toy_store(), plain, tmp_path / "teacher").fit(lambda report: None)
    config = replace(plain, n_mels=own, teacher=str(tmp_path / "teacher"))
    if taught > own:
        message = failure(lambda: Trainer(toy_store(), config, tmp_path / "run"))
        assert message.endswith(
            "expected a teacher of n_mels = 40 or less, got one of 48; train with as many"
        )
        return
    Trainer(toy_store(), config, tmp_path / "run").fit(lambda report: None)
    assert len(metrics_of(tmp_path / "run")) == 1
