"""The Dataset: batches are what slicing the store by hand gives, and the same for any number of workers."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_run import WORDS, toy_store

from data_prep.store import Store
from data_prep.task import Examples, SplitTask, TaskConfig, draw_evaluation, make_split_task
from speechcmd.training.augment.placement import place_windows
from speechcmd.training.batch import Batch
from speechcmd.training.data.audio_gather import (
    fill_at_once,
    fill_ends,
    fill_rows,
    gather_at_once,
    gather_rows,
    gather_windows,
)
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import EpochSampler, FixedSampler, ItemKey
from speechcmd.training.settings.config import AugmentConfig

OFF = AugmentConfig.off()
N_SAMPLES = 6_000
TASK = TaskConfig(WORDS, unknown="20")


@pytest.fixture(scope="module")
def store() -> Store:
    return toy_store()


@pytest.fixture(scope="module")
def task(store: Store) -> SplitTask:
    return make_split_task(store, TASK, "training")


def keys(indices: list[int], epoch: int = 0, batch: int = 0) -> list[ItemKey]:
    return [ItemKey(epoch, batch, index) for index in indices]


def all_batches(dataset: ClipDataset, n_workers: int, epochs: tuple[int, ...] = (0,)) -> list[Batch]:
    sampler = EpochSampler(dataset._task, TASK, 16, seed=0)
    loader = make_loader(dataset, sampler, n_workers)
    batches: list[Batch] = []
    for sampler.epoch in epochs:
        batches += list(loader)
    return batches


def test_a_batch_is_the_store_sliced_by_hand(store: Store, task: SplitTask) -> None:
    dataset = ClipDataset(store, task, N_SAMPLES, OFF)
    chosen = task.words.tolist()[:20]
    batch = dataset.__getitems__(keys(chosen))
    assert batch.waveform.shape == (20, N_SAMPLES)
    assert batch.waveform.dtype == torch.float32
    assert batch.labels.tolist() == [WORDS.index(task.examples.paths[i].split("/")[0]) for i in chosen]
    rows = {row.path: row for row in store.rows}
    for waveform, index in zip(batch.waveform.numpy(), chosen, strict=True):
        row = rows[task.examples.paths[index]]
        lowest, highest = sorted((row.speech_start, row.speech_end - N_SAMPLES))
        start = min(max(row.centre - N_SAMPLES // 2, lowest), highest)
        first, end = max(0, start), min(row.n_samples, start + N_SAMPLES)
        expected = store.samples_of(row)[first:end].astype(np.float32) / 32_768
        assert np.array_equal(waveform[first - start : end - start], expected)


def test_the_word_lies_in_the_window(store: Store, task: SplitTask) -> None:
    chosen = task.words
    starts = place_windows(task, chosen, 9_000, np.zeros(len(chosen), np.int64), np.random.default_rng(0))
    examples = task.examples
    assert (starts <= examples.speech_start[chosen]).all()
    assert (starts + 9_000 >= examples.speech_end[chosen]).all()
    shifted = place_windows(task, chosen, 9_000, np.full(len(chosen), 700), np.random.default_rng(0))
    assert (shifted - starts == 700).all()


def test_where_a_faster_word_lies(store: Store, task: SplitTask) -> None:
    """Speed moves the ends of a word towards the middle of the window, or away, both alike."""
    plain, fast = (
        ClipDataset(store, task, N_SAMPLES, replace(OFF, speed_percent=percent))
        .__getitems__(keys(task.words.tolist()))
        .spans
        for percent in (0.0, 20.0)
    )
    middle = N_SAMPLES / 2 / 160
    factor = (plain - middle) / (fast - middle)
    torch.testing.assert_close(factor[:, 0], factor[:, 1], rtol=1e-3, atol=0.0)
    assert 0.8 <= float(factor.min()) < 0.9
    assert 1.1 < float(factor.max()) <= 1.2


def test_recordings_are_cut_anywhere_inside(task: SplitTask) -> None:
    chosen = np.repeat(task.silence, 300)
    starts = place_windows(task, chosen, N_SAMPLES, np.full(len(chosen), 10**6), np.random.default_rng(0))
    first, end = task.examples.first[chosen], task.examples.end[chosen]
    assert (starts >= first).all()
    assert (starts + N_SAMPLES <= end).all()
    spread = (starts - first) / (end - first - N_SAMPLES)
    assert spread.min() < 0.02
    assert spread.max() > 0.98


def test_padding_is_noise_at_the_clips_own_floor() -> None:
    waveform = torch.zeros(3, 8_000)
    before, after = np.array([3_000, 0, 8_000]), np.array([0, 2_000, 0])
    level = np.array([0.01, 0.001, 0.1], np.float32)
    gain = np.array([1, 10, 0.5], np.float32)
    fill_ends(waveform, before, after, level, gain, np.random.default_rng(0))
    filled = [waveform[0, :3_000], waveform[1, 6_000:], waveform[2]]
    for part, expected in zip(filled, level * gain, strict=True):
        assert (part == 0).sum() == 0
        rms = part.square().mean().sqrt()
        assert float(rms) == pytest.approx(float(expected), rel=0.08)  # 2000 samples: standard error 1.6 %
        assert abs(float(part.mean())) < 0.1 * float(expected)
    assert not waveform[0, 3_000:].any()
    assert not waveform[1, :6_000].any()


@pytest.mark.parametrize("n_samples", [N_SAMPLES, 24_000])
def test_no_window_holds_digital_zero_or_a_neighbour(store: Store, task: SplitTask, n_samples: int) -> None:
    """A window longer than the clip is padded at both ends; the neighbours in the store stay out."""
    dataset = ClipDataset(store, task, n_samples, replace(OFF, time_shift_ms=100), seed=1)
    chosen = task.words.tolist()
    batch = dataset.__getitems__(keys(chosen))
    shift_rng_batch = dataset.__getitems__(keys(chosen))
    assert torch.equal(batch.waveform, shift_rng_batch.waveform)
    runs = torch.nn.functional.avg_pool1d(batch.waveform.abs(), 64, stride=1)
    assert float(runs.min()) > 0
    if n_samples == 24_000:
        floors = 10 ** (task.examples.floor_db[chosen] / 20)
        ends = batch.waveform[:, :2_000].square().mean(1).sqrt().numpy()
        inside = task.examples.speech_start[chosen] - task.examples.first[chosen] > 0
        assert np.median(np.abs(20 * np.log10(ends / floors))[inside]) < 1.0


def test_windows_beyond_the_ends_of_the_store_keep_their_place() -> None:
    audio = torch.arange(1, 101, dtype=torch.int16)
    gain = np.full(3, 32_768, np.float32)
    windows = gather_windows(audio, np.array([-3, 50, 95]), 10, gain).numpy()
    assert windows[0, 3:].tolist() == list(range(1, 8))
    assert windows[1].tolist() == list(range(51, 61))
    assert windows[2, :5].tolist() == list(range(96, 101))


@pytest.mark.parametrize("start", [0, -4, 3])
def test_a_window_may_be_longer_than_the_store(start: int) -> None:
    audio = torch.arange(1, 6, dtype=torch.int16)
    window = gather_windows(audio, np.array([start]), 12, np.full(1, 32_768, np.float32))[0].tolist()
    inside = [sample for sample in range(5) if 0 <= sample - start < 12]
    assert [window[sample - start] for sample in inside] == [sample + 1 for sample in inside]


def test_memory_and_device_make_the_same_bits() -> None:
    """What a GPU does at once, run here on the processor, against the loop over rows."""
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(rng.integers(-(2**15), 2**15, 5_000).astype(np.int16))
    starts, scale = rng.integers(0, 4_000, 30), rng.uniform(1e-6, 1e-4, 30).astype(np.float32)
    by_row, at_once = (gather(audio, starts, 900, scale) for gather in (gather_rows, gather_at_once))
    assert torch.equal(by_row, at_once)
    rows, n_filled = np.arange(0, 30, 3), rng.integers(1, 901, 10)
    offsets, factors = rng.integers(0, 1_000, 10), rng.uniform(0.001, 0.1, (2, 10)).astype(np.float32)
    for is_end in (False, True):
        fill_rows(by_row, rows, n_filled, offsets, factors, is_end)
        fill_at_once(at_once, rows, n_filled, offsets, factors, is_end)
        assert torch.equal(by_row, at_once)


def test_gathering_leaves_the_store_alone(store: Store, task: SplitTask) -> None:
    before = store.audio.copy()
    dataset = ClipDataset(store, task, N_SAMPLES, AugmentConfig())
    for batch in all_batches(dataset, 0):
        batch.waveform.zero_()
    assert np.array_equal(store.audio, before)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on fork beside threads
def test_same_seed_same_batches_whatever_the_workers(store: Store, task: SplitTask) -> None:
    made = {
        n_workers: all_batches(
            ClipDataset(store, task, N_SAMPLES, AugmentConfig(), 7), n_workers, epochs=(0, 1)
        )
        for n_workers in (0, 1, 2)
    }
    assert len(made[0]) > 4
    for n_workers in (1, 2):
        for a, b in zip(made[0], made[n_workers], strict=True):
            assert torch.equal(a.waveform, b.waveform)
            assert torch.equal(a.labels, b.labels)
            assert (a.epoch, a.number) == (b.epoch, b.number)
    (again,) = [
        b
        for b in all_batches(ClipDataset(store, task, N_SAMPLES, AugmentConfig(), 7), 0, (1,))
        if not b.number
    ]
    assert torch.equal(again.waveform, next(b for b in made[0] if (b.epoch, b.number) == (1, 0)).waveform)
    other = all_batches(ClipDataset(store, task, N_SAMPLES, AugmentConfig(), 8), 0)
    assert not torch.equal(other[0].waveform, made[0][0].waveform)
    assert not torch.equal(
        made[0][0].labels, next(b for b in made[0] if (b.epoch, b.number) == (1, 0)).labels
    )


def test_everything_off_is_the_same_every_epoch(store: Store, task: SplitTask) -> None:
    dataset = ClipDataset(store, task, 12_000, OFF)
    chosen = task.words.tolist()
    first, second = (dataset.__getitems__(keys(chosen, epoch)).waveform for epoch in (0, 5))
    inside = (task.examples.end - task.examples.first)[chosen] == 16_000
    middle = slice(5_500, 6_500)  # padding is drawn anew; the word is not
    assert inside.all()
    assert torch.equal(first[:, middle], second[:, middle])


@pytest.mark.parametrize(
    "change",
    [
        {"time_shift_ms": 50.0},
        {"noise_percent": 100.0},
        {"gain_db": 6.0},
        {"noise_percent": 100.0, "noise_tilt_db": 20.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_switch_matters(store: Store, task: SplitTask, change: dict[str, float]) -> None:
    chosen = keys(task.words.tolist()[:8])
    plain = ClipDataset(store, task, N_SAMPLES, OFF).__getitems__(chosen).waveform
    changed = ClipDataset(store, task, N_SAMPLES, replace(OFF, **change)).__getitems__(chosen).waveform
    assert all(not torch.equal(a, b) for a, b in zip(plain, changed, strict=True))


@pytest.mark.parametrize("tilt_db", [0.0, 20.0])
def test_mixed_noise_has_the_asked_ratio(store: Store, task: SplitTask, tilt_db: float) -> None:
    chosen = keys(task.words.tolist()[:8])
    noisy = replace(OFF, noise_percent=100.0, noise_snr_db=(12.0, 12.0), noise_tilt_db=tilt_db)
    plain = ClipDataset(store, task, N_SAMPLES, OFF).__getitems__(chosen).waveform
    added = ClipDataset(store, task, N_SAMPLES, noisy).__getitems__(chosen).waveform - plain
    snr_db = 10 * torch.log10(plain.square().mean(1) / added.square().mean(1))
    assert torch.allclose(snr_db, torch.full((8,), 12.0), atol=0.02)


@pytest.mark.parametrize(("percent", "expected"), [(0.0, {1.0}), (50.0, {1.0, -1.0}), (100.0, {-1.0})])
def test_babble_is_made_of_running_speech(percent: float, expected: set[float]) -> None:
    """A noise above zero, speech below it and a word: the sign of what is mixed in tells where it is from."""
    audio = np.repeat(np.array([100, -3_000, 20_000], np.int16), 4_000)
    first = np.array([0, 4_000, 8_000])
    examples = Examples(
        ("n", "s", "w"), np.array([2, 1, 0]), first=first, end=first + 4_000, speech_start=first,
        speech_end=first + 4_000, centre=np.full(3, 2_000), floor_db=np.full(3, -50, np.float32),
        is_word=np.array([False, False, True]), source=np.zeros(3, np.int64), is_mined=np.zeros(3, np.bool_),
    )  # fmt: skip
    none = np.zeros(0, np.int64)
    task = SplitTask(examples, np.array([2]), none, np.array([0]), np.array([1]), np.array([0]))
    noisy = replace(OFF, noise_percent=100.0, noise_snr_db=(20.0, 20.0), babble_percent=percent)
    store = Store.__new__(Store)
    store.__dict__["audio"] = audio  # a cached property: nothing is read
    batch = ClipDataset(store, task, 2_000, noisy).__getitems__(keys([2] * 16))
    added = batch.waveform - 20_000 / 32_768
    assert set(added.sign().mean(dim=1).tolist()) == expected


def test_noise_shorter_than_the_window_brings_no_neighbour_along() -> None:
    """The store holds 100 samples of noise and then a loud clip: only the noise may be mixed in."""
    audio = np.concatenate([np.full(100, 100), np.full(5_000, 20_000)]).astype(np.int16)

    columns = {"first": [0, 100], "end": [100, 5_100], "speech_start": [0, 100], "speech_end": [100, 5_100]}
    positions = {name: np.array(values) for name, values in columns.items()}
    examples = Examples(
        ("n", "w"), np.array([2, 0]), **positions, centre=np.array([50, 2_600]),
        floor_db=np.array([-50, -50], np.float32), is_word=np.array([False, True]),
        source=np.zeros(2, np.int64), is_mined=np.zeros(2, np.bool_),
    )  # fmt: skip
    none = np.zeros(0, np.int64)
    both = SplitTask(examples, np.array([1]), none, np.array([0]), none, np.array([0]))
    noisy = replace(OFF, noise_percent=100.0, noise_snr_db=(20.0, 20.0))
    store = Store.__new__(Store)
    store.__dict__["audio"] = audio  # a cached property: nothing is read
    batch = ClipDataset(store, both, 2_000, noisy).__getitems__(keys([1] * 4))
    noise = batch.waveform - 20_000 / 32_768
    assert noise[:, 100:].std() > 0  # filled at the noise's floor
    assert noise[:, 200:].abs().max() < 6 * noise[:, 200:].std()  # Gaussian, not a constant of a clip


def test_silence_is_noise_of_many_levels(store: Store, task: SplitTask) -> None:
    chosen = keys(np.repeat(task.silence, 100).tolist())
    for config, lowest, highest in ((AugmentConfig(noise_percent=0), -30, 10), (OFF, -20, 0)):
        waveform = ClipDataset(store, task, N_SAMPLES, config).__getitems__(chosen).waveform
        level_db = 20 * torch.log10(waveform.square().mean(1).sqrt() / 0.05)  # the toy's noises have rms 0.05
        assert level_db.max() - level_db.min() > 0.8 * (highest - lowest)
        assert level_db.min() > lowest - 4  # brown noise wanders
        assert level_db.max() < highest + 4


def test_epoch_sampler_sizes(task: SplitTask) -> None:
    n_drawn = len(task.words) + 20 + task.count_official()
    sampler = EpochSampler(task, TASK, 16, seed=0)
    batches = list(sampler)
    assert len(sampler) == len(batches) == n_drawn // 16
    assert all(len(batch) == 16 for batch in batches)
    assert [batch[0].batch for batch in batches] == list(range(len(batches)))
    large = EpochSampler(task, TASK, 10_000, seed=0)
    assert len(large) == 1
    (whole,) = large
    assert len(whole) == n_drawn
    words = [key.example for key in whole if key.example in set(task.words.tolist())]
    assert sorted(words) == task.words.tolist()


def test_every_validation_clip_counts_once(store: Store) -> None:
    task = make_split_task(store, TASK, "validation")
    drawn = draw_evaluation(task, TASK)
    sampler = FixedSampler(drawn, 7)
    seen = [key.example for batch in sampler for key in batch]
    assert seen == drawn.tolist()
    assert len(sampler) == -(-len(drawn) // 7)
    assert set(task.words.tolist()) <= set(seen)
    dataset = ClipDataset(store, task, N_SAMPLES, OFF)
    loader = make_loader(dataset, sampler)
    first, second = ([b.waveform for b in loader] for _ in range(2))
    assert sum(map(len, first)) == len(drawn)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_worker_gets_no_copy_of_the_audio(store: Store, task: SplitTask) -> None:
    dataset = ClipDataset(store, task, N_SAMPLES, AugmentConfig(), 3)
    chosen = keys(task.words.tolist()[:5])
    batch = dataset.__getitems__(chosen)
    packed = pickle.dumps(dataset)
    assert len(packed) < store.audio.nbytes / 10
    assert torch.equal(pickle.loads(packed).__getitems__(chosen).waveform, batch.waveform)


def test_one_item_is_a_batch_of_one(store: Store, task: SplitTask) -> None:
    dataset = ClipDataset(store, task, N_SAMPLES, AugmentConfig())
    assert len(dataset) == len(task.examples)
    key = ItemKey(2, 3, int(task.words[0]))
    assert torch.equal(dataset[key].waveform, dataset.__getitems__([key]).waveform)
