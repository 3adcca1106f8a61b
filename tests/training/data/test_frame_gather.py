"""Feature stores in a training: windows against slicing by hand, beside audio, through every augmentation."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toy_features import FRONT_END, IMAGE_FRONT_END, toy_features, toy_images, write_images
from toy_run import WORDS, toy_config, toy_store

from data_prep.feature_store import write_feature_store
from data_prep.row_source import AnyStore, JoinedStores
from data_prep.task import SplitTask, TaskConfig, make_split_task
from models.frontend import LogMel
from models.registry import create_model
from speechcmd.arrays import AnyArray
from speechcmd.training.augment.features import change_floor, shift_level
from speechcmd.training.augment.image_channel import through_image
from speechcmd.training.augment.placement import place_windows
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.frame_gather import (
    FrameSource,
    fill_frames,
    gather_at_once,
    gather_frames,
    gather_rows,
)
from speechcmd.training.data.sampler import FixedSampler, ItemKey
from speechcmd.training.data.windows import StoreWindows
from speechcmd.training.loop.batch_loss import BatchLoss
from speechcmd.training.settings.config import AugmentConfig

CPU = torch.device("cpu")
OFF = AugmentConfig.off()
TASK = TaskConfig(WORDS)
N_FRAMES = 24
N_SAMPLES = FRONT_END.n_samples(N_FRAMES)
ALL = replace(OFF, noise_percent=50.0, gain_db=6.0, speed_percent=10.0, room_percent=50.0, time_shift_ms=50.0)


def keys(indices: Any, batch: int = 0) -> list[ItemKey]:
    return [ItemKey(0, batch, int(index)) for index in indices]


def dataset_of(source: AnyStore | JoinedStores, augment: AugmentConfig = OFF, seed: int = 0) -> ClipDataset:
    return ClipDataset(source, make_split_task(source, TASK, "training"), N_SAMPLES, augment, seed)


def log_mel_batch(source: AnyStore | JoinedStores, augment: AugmentConfig = OFF, n_clips: int = 8) -> Tensor:
    """Features of the first words of a store."""
    dataset = dataset_of(source, augment)
    return dataset.__getitems__(keys(dataset._task.words[:n_clips])).log_mel


# --- cutting


def test_frames_gathered_by_hand() -> None:
    stored = torch.arange(3 * 5 * 2, dtype=torch.uint8).reshape(3, 5, 2)
    clips, first = np.array([2, 0, 1, 1, 0, 2, 0, 1]), np.array([1, -2, 3, 9, -7, 1, -2, 3])
    n_valid = np.array([5, 5, 5, 5, 5, 3, 1, 2])  # of the last three clips the rest is filling
    frames = gather_frames(stored, clips, n_valid, first, 4)
    assert frames.dtype == torch.float32
    expected = [[22, 24, 26, 28], [0, 0, 0, 2], [16, 18, 18, 18], [18] * 4, [0] * 4]
    expected += [[22, 24, 24, 24], [0] * 4, [12] * 4]
    assert frames[:, :, 0].tolist() == expected
    assert torch.equal(frames[:, :, 1], frames[:, :, 0] + 1)


@pytest.mark.parametrize("n_frames", [1, 5, 9, 30])
def test_memory_and_device_gather_the_same_frames(n_frames: int) -> None:
    """What a GPU does at once, run here on the processor, against the loop over windows."""
    stored = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(0)).half()
    first = np.arange(-35, 15)
    clips, n_valid = np.arange(len(first)) % 4, 1 + np.arange(len(first)) % 9
    by_row, at_once = (
        gather(stored, clips, n_valid, first, n_frames) for gather in (gather_rows, gather_at_once)
    )
    assert torch.equal(by_row, at_once)


def test_what_lies_outside_is_filled_with_quiet_frames() -> None:
    log_mel = torch.arange(4 * 40.0).reshape(4, 40, 1).expand(4, 40, 4)  # each frame louder than the last
    # 15 frames too early, 10 too late, inside, and the whole of a clip that is 25 frames long
    first, n_valid = np.array([-15, 10, 0, 0]), np.array([40, 40, 40, 25])
    filled, again = log_mel.clone(), log_mel.clone()
    fill_frames(filled, first, n_valid, np.random.default_rng(0))
    fill_frames(again, first, n_valid, np.random.default_rng(1))
    assert torch.equal(filled[0, 15:], log_mel[0, 15:])
    assert torch.equal(filled[1, :30], log_mel[1, :30])
    assert torch.equal(filled[2], log_mel[2])
    assert torch.equal(filled[3, :25], log_mel[3, :25])
    for clip, outside, quiet in (
        (0, slice(0, 15), range(15, 25)), (1, slice(30, 40), range(40, 50)),
        (3, slice(25, 40), range(120, 130)),
    ):  # fmt: skip
        found = set(filled[clip, outside, 0].tolist())
        assert found <= set(quiet)
        assert len(found) > 3  # no constant, not even the quiet frame at the border
        assert not torch.equal(filled[clip], again[clip])


def test_a_clip_that_lies_wholly_outside_gives_its_nearest_frame() -> None:
    frames = torch.full((1, 12, 3), -7.0)
    for first in (-12, 20):
        fill_frames(frames, np.array([first]), np.array([20]), np.random.default_rng(0))
        assert bool((frames == -7.0).all())


def by_hand(source: JoinedStores, task: SplitTask, index: int, start: int) -> tuple[AnyArray, slice]:
    """True log-mel of a window of a feature store and which of its frames lie inside the clip."""
    store = source.stores[task.examples.source[index]]
    row = next(r for r in store.rows if r.path == task.examples.paths[index])
    log_mel = store.log_mel_of(row)[: FRONT_END.n_frames(row.n_samples)]  # the rest is filling
    first = round((start - row.offset) / 160)
    inside = slice(max(0, first), max(0, first, min(len(log_mel), first + N_FRAMES)))
    return log_mel[inside], slice(inside.start - first, inside.stop - first)


@pytest.mark.parametrize("shift", [0, 5_000, -8_000])
def test_windows_of_feature_stores_are_slices(shift: int) -> None:
    source = JoinedStores([toy_images(), toy_features()])
    task = make_split_task(source, TASK, "training")
    frontend = IMAGE_FRONT_END  # the pictures' own floor: what is stored is what comes
    chosen = np.concatenate([task.words[::3], task.silence])
    starts = place_windows(task, chosen, N_SAMPLES, np.full(len(chosen), shift), np.random.default_rng(0))
    rng = np.random.default_rng(0)
    windows = StoreWindows(source.stores, task, CPU, frontend)
    cut = windows.cut_frames(chosen, starts, N_FRAMES, rng).numpy()
    assert cut.shape == (len(chosen), N_FRAMES, 40)
    assert windows.is_image(chosen).tolist() == (task.examples.source[chosen] == 0).tolist()
    n_inside = 0
    for given, index, start in zip(cut, chosen, starts, strict=True):
        expected, place = by_hand(source, task, index, start)
        if task.examples.source[index]:
            expected = change_floor(torch.from_numpy(expected), 1e-6, frontend.log_floor).numpy()
        n_inside += len(expected)
        assert np.allclose(given[place], expected, atol=1e-5)
        assert np.isfinite(given).all()
    assert n_inside > 0.2 * cut[..., 0].size


def test_filling_is_not_trained_on(tmp_path: Path) -> None:
    """Of a clip of 50 frames, kept with zeros behind it, a longer window holds none of the zeros."""
    place = (FRONT_END.n_samples(50), 0, FRONT_END.n_samples(50), 4_000)
    row = replace(toy_features().select("word", "training")[0], word=WORDS[0])
    row = replace(row, **dict(zip(("n_samples", "speech_start", "speech_end", "centre"), place, strict=True)))
    frames = np.zeros((1, 98, 40), np.float16)
    frames[0, :50] = np.random.default_rng(0).uniform(-13, -5, (50, 40))
    store = write_feature_store(
        tmp_path / "one", [row], [frames], scale=1, offset=0, front_end=asdict(FRONT_END), info={}
    )
    task = make_split_task(store, TaskConfig((WORDS[0],)), "training", needs_noise=False)
    given = ClipDataset(store, task, FRONT_END.n_samples(98), OFF).__getitems__(keys([0])).log_mel[0]
    sound = {tuple(frame) for frame in frames[0, :50].astype(np.float32).tolist()}
    assert all(tuple(frame) in sound for frame in given.tolist())


def test_another_floor_is_exchanged(tmp_path: Path) -> None:
    """Powers of pictures with floor 5e-7 come back with the network's 1e-6."""
    row = toy_images().rows[0]
    pixels = np.arange(0, 240, dtype=np.uint8).reshape(1, 6, 40)
    store = write_images(tmp_path / "one", [row], pixels)
    source = FrameSource(store, CPU, FRONT_END.log_floor)
    given = source.cut(np.array([0]), np.array([6]), np.array([0]), 6, np.random.default_rng(0)).numpy()[0]
    power = np.maximum(np.exp((pixels[0].astype(float) - 146.3) / 10) - 5e-7, 0)
    assert np.allclose(given, np.log(power + 1e-6), atol=1e-5)
    assert source.is_image


# --- beside audio


def joined() -> JoinedStores:
    return JoinedStores([toy_images(), toy_store(), toy_features()])


def test_a_batch_of_all_stores_is_what_each_store_gives() -> None:
    source = joined()
    task = make_split_task(source, TASK, "training")
    shuffled = np.random.default_rng(0).permutation(task.words)[:40]
    batch = ClipDataset(source, task, N_SAMPLES, OFF).__getitems__(keys(shuffled))
    order = np.argsort([(1, 0, 2)[number] for number in task.examples.source[shuffled]], kind="stable")
    chosen = shuffled[order]  # audio first, then features in the order of the stores
    assert batch.labels.tolist() == task.examples.labels[chosen].tolist()
    words = [task.examples.paths[index].split("/")[0] for index in chosen]
    assert batch.labels.tolist() == [WORDS.index(word) for word in words]
    assert batch.is_image.tolist() == (task.examples.source[chosen] == 0).tolist()
    n_audio = int((task.examples.source[chosen] == 1).sum())
    assert (len(batch.waveform), len(batch.log_mel)) == (n_audio, 40 - n_audio)
    assert 0 < n_audio < 40

    rows = itertools.chain(batch.waveform, batch.log_mel)
    for index, given in zip(chosen, rows, strict=True):
        store = source.stores[task.examples.source[index]]
        alone = make_split_task(store, TASK, "training", needs_noise=False)
        place = alone.examples.paths.index(task.examples.paths[index])
        own = ClipDataset(store, alone, N_SAMPLES, OFF).__getitems__(keys([place]))
        expected = own.waveform[0] if len(own.waveform) else own.log_mel[0]
        assert float((given == expected).float().mean()) > 0.7  # but for what is filled


def test_log_mel_of_a_mixed_batch() -> None:
    """Rows of features stand behind those of audio, as the labels do."""
    batch = dataset_of(joined()).__getitems__(keys([0, 30, 60, 90, 1]))
    network = create_model("mlp", 4, N_SAMPLES, hidden=4)
    log_mel = log_mel_of(network, batch)
    n_audio = len(batch.waveform)
    assert log_mel.shape == (5, N_FRAMES, 40)
    assert torch.equal(log_mel[:n_audio], network.features(batch.waveform))
    assert torch.equal(log_mel[n_audio:], batch.log_mel)


def test_cached_features_are_what_audio_gives() -> None:
    """The same windows of a word: from its audio through the front end, and from the cache."""
    audio, features = toy_store(), toy_features()
    task, other = (make_split_task(store, TASK, "training") for store in (audio, features))
    chosen = task.words
    same = [other.examples.paths.index(task.examples.paths[index]) for index in chosen]
    first = np.minimum(task.examples.centre[chosen] - task.examples.first[chosen], 16_000 - N_SAMPLES)
    first = np.maximum(0, first - N_SAMPLES // 2) // 160 * 160  # at a frame, inside the clip
    rng = np.random.default_rng(0)
    cut = StoreWindows((audio,), task, CPU, FRONT_END).cut_audio(
        chosen, task.examples.first[chosen] + first, N_SAMPLES, np.ones(len(chosen), np.float32), rng
    )
    kept = StoreWindows((features,), other, CPU, FRONT_END).cut_frames(
        np.array(same), other.examples.first[same] + first, N_FRAMES, rng
    )
    # float16 keeps 11 bits: half a step of a number between 8 and 16 is 2^-8
    assert float((LogMel(FRONT_END)(cut) - kept).abs().max()) < 2**-8 + 1e-4


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on fork beside threads
def test_batches_are_the_same_whatever_the_workers() -> None:
    dataset = dataset_of(
        JoinedStores([toy_images(), toy_store()]), ALL, seed=3
    )  # noise: through the front end
    sampler = FixedSampler(np.random.default_rng(0).permutation(dataset._task.words)[:48], 16)
    made = [list(make_loader(dataset, sampler, n_workers)) for n_workers in (0, 2)]
    assert len(made[0]) == 3
    for one, other in zip(*made, strict=True):
        for name in ("waveform", "log_mel", "labels", "is_image"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


# --- augmentation


@pytest.mark.parametrize(
    "change",
    [{"time_shift_ms": 100.0}, {"noise_percent": 100.0}, {"gain_db": 6.0}, {"speed_percent": 20.0},
     {"room_percent": 100.0}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
@pytest.mark.parametrize("store", [toy_features, toy_store], ids=["features", "audio"])
def test_each_switch_changes_every_clip(store: Any, change: dict[str, Any]) -> None:
    made = []
    for augment in (OFF, replace(OFF, **change)):
        dataset = dataset_of(store(), augment)
        batch = dataset.__getitems__(keys(dataset._task.words[:8]))
        made.append(batch.log_mel if len(batch.log_mel) else batch.waveform)
    plain, changed = made
    assert changed.shape == plain.shape
    assert bool(changed.isfinite().all())
    differs = (plain - changed).abs().flatten(1).amax(dim=1) > 1e-4
    assert int(differs.sum()) >= (7 if "time_shift_ms" in change else 8)  # a shift may round to no frame


def test_gain_and_speed_of_feature_rows() -> None:
    dataset = dataset_of(toy_features(), replace(OFF, gain_db=6.0))
    chosen = dataset._task.words[:8]
    plain = dataset_of(toy_features()).__getitems__(keys(chosen)).log_mel
    given = dataset.__getitems__(keys(chosen)).log_mel
    loud = plain > -6  # far over the floor, where a gain is a sum
    shift_db = [
        float((b - a)[c].median()) * 10 / np.log(10) for a, b, c in zip(plain, given, loud, strict=True)
    ]
    assert all(0.05 < abs(each) < 6.05 for each in shift_db)
    assert min(shift_db) < 0 < max(shift_db)
    expected = shift_level(plain, torch.tensor(shift_db))
    assert torch.allclose(given, expected, atol=1e-3)


@pytest.mark.parametrize("through_front_end", [False, True])
def test_noise_of_feature_rows_has_the_asked_ratio(through_front_end: bool) -> None:
    """From the noise of feature stores, or where they have none, from audio."""
    stores: list[AnyStore] = (
        [toy_images(), toy_store()] if through_front_end else [toy_images(), toy_store(), toy_features()]
    )
    source = JoinedStores(stores)
    noisy = replace(OFF, noise_percent=100.0, noise_snr_db=(3.0, 3.0))
    task = make_split_task(source, TASK, "training")
    pictures = task.words[task.examples.source[task.words] == 0]
    has_frames = task.examples.source[task.noise] == 2
    assert has_frames.any() is np.bool_(not through_front_end)
    plain, given = (
        ClipDataset(source, task, N_SAMPLES, augment).__getitems__(keys(pictures)).log_mel
        for augment in (OFF, noisy)
    )
    added, power = (given.exp() - plain.exp()).mean(dim=(1, 2)), (plain.exp() - 1e-6).mean(dim=(1, 2))
    assert torch.allclose(10 * torch.log10(power / added), torch.full((len(given),), 3.0), atol=0.02)


def test_noise_is_dealt_out_whatever_the_store_of_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips come sorted by store; were the noise too, a network could hear from it which store a clip is of."""
    rng = np.random.default_rng(0)
    for make_store, cut in ((toy_store, "cut_audio"), (toy_features, "cut_frames")):
        source = JoinedStores([make_store(), make_store()])
        dataset = dataset_of(source)
        store_of = dataset._task.examples.source
        # a window says which store it is of
        monkeypatch.setattr(
            StoreWindows, cut, lambda self, drawn, *rest, of=store_of: torch.from_numpy(of[drawn])
        )
        dealt = (
            dataset.background.noise.waveforms(200, rng)
            if cut == "cut_audio"
            else dataset.background.noise.log_mel(200, N_FRAMES, rng)
        ).float()
        assert 60 < float(dealt.sum()) < 140  # both stores' noise
        assert abs(float(dealt[:100].mean() - dealt[100:].mean())) < 0.25  # standard error 0.07


def test_silence_of_features_has_many_levels() -> None:
    dataset = dataset_of(toy_features(), replace(OFF, gain_db=6.0))
    repeated = np.repeat(dataset._task.silence, 20)
    levels = dataset.__getitems__(keys(repeated)).log_mel.exp().mean(dim=(1, 2)).log10() * 10
    assert float(levels.max() - levels.min()) > 25  # of the forty decibels of `SILENCE_GAIN_DB`


# --- images


def test_the_image_channel_leaves_images_alone() -> None:
    batch = dataset_of(joined()).__getitems__(keys(range(0, 120, 6)))
    assert bool(batch.is_image.any())
    assert not bool(batch.is_image.all())
    network = create_model("mlp", 4, N_SAMPLES, hidden=4)
    before = log_mel_of(network, batch).clone()
    steps = [
        BatchLoss(network, toy_config("mlp", augment=replace(OFF, image_percent=percent)))
        for percent in (0.0, 100.0)
    ]
    unchanged, given = (
        step.make_features(batch._replace(log_mel=batch.log_mel.clone()))[0] for step in steps
    )
    assert torch.equal(unchanged, before)
    assert torch.equal(given[batch.is_image], before[batch.is_image])
    phases = torch.stack([through_image(before, phase=torch.full((len(before),), p)) for p in range(8)])
    matches = (phases == given).flatten(2).all(dim=2)
    assert bool(matches[:, ~batch.is_image].any(dim=0).all())  # coded, at some place of the grid
    assert len(set(matches[:, ~batch.is_image].float().argmax(dim=0).tolist())) > 3
    half = BatchLoss(network, toy_config("mlp", augment=replace(OFF, image_percent=50.0)))
    coded = (
        (half.make_features(batch._replace(log_mel=batch.log_mel.clone()))[0] != before).flatten(1).any(dim=1)
    )
    assert 0 < int(coded.sum()) < int((~batch.is_image).sum())
