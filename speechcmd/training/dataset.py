"""The Dataset: a batch is one gather from the memory-mapped store, not a loop over files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data_prep.store import Store
from data_prep.task import EVALUATION_SILENCE_DB, Indices, SplitTask, TaskConfig, draw_epoch, draw_recordings
from data_prep.window import place_around_word
from speechcmd.audio import INT16_SCALE, SAMPLE_RATE
from speechcmd.training.augment import AugmentConfig, draw_gain, draw_snr, draw_time_shift, mix_noise
from speechcmd.training.random import generator_for

Levels = npt.NDArray[np.float32]

NOISE_TABLE_SAMPLES = 2**18
SILENCE_GAIN_DB = (-30.0, 10.0)


class ItemKey(NamedTuple):
    """One example of one batch; all randomness of the batch follows from its seed, epoch and number."""

    epoch: int
    batch: int
    example: int


@dataclass(frozen=True)
class Batch:
    """Waveforms float32 (batch, n_samples) and labels int64 (batch,), on one device."""

    waveform: Tensor
    labels: Tensor
    epoch: int
    number: int


class ClipDataset(Dataset[Batch]):
    """Windows of `n_samples` samples from a store, for one split of a task.

    `__getitems__` is what a DataLoader calls with a whole batch of keys. The audio is mapped when
    the first batch is asked for, in each worker anew. With `device` set to a GPU the whole store
    lies there and batches are made there.
    """

    def __init__(
        self,
        store: Store,
        task: SplitTask,
        n_samples: int,
        augment: AugmentConfig,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self._store = store
        self._task = task
        self.n_samples = n_samples
        self._augment = augment
        self._seed = seed
        self._device = device or torch.device("cpu")
        self._audio: Tensor | None = None
        self._is_noise = np.zeros(len(task.examples), dtype=np.bool_)
        self._is_noise[task.noise] = True

    def __len__(self) -> int:
        return len(self._task.examples)

    def __getstate__(self) -> dict[str, Any]:
        # a mapped array would travel to a worker as a copy of the whole store
        unopened = Store(self._store.path, self._store.rows, self._store.info)
        return {**self.__dict__, "_audio": None, "_store": unopened}

    def __getitem__(self, key: ItemKey) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[ItemKey]) -> Batch:
        """Make one batch; all keys belong to the same batch."""
        epoch, number, _ = keys[0]
        indices = np.array([key.example for key in keys])
        rng = generator_for("augment", self._seed, epoch, number)
        shift = draw_time_shift(self._augment, len(indices), SAMPLE_RATE, rng)
        starts = place_windows(self._task, indices, self.n_samples, shift, rng)
        gain = self._draw_gain(indices, rng)
        waveform = self._gather(indices, starts, gain, epoch, number)
        self._mix_noise(waveform, epoch, number)
        labels = torch.from_numpy(self._task.examples.labels[indices]).to(self._device)
        return Batch(waveform, labels, epoch, number)

    @property
    def audio(self) -> Tensor:
        """The whole store as int16 on the device, mapped or copied once."""
        if self._audio is None:
            self._audio = _audio_on(self._store, self._device)
        return self._audio

    def _draw_gain(self, indices: Indices, rng: np.random.Generator) -> Levels:
        gain = draw_gain(self._augment, len(indices), rng)
        # silence is noise of any level; a fixed set keeps nearer to the recordings' own
        lowest, highest = SILENCE_GAIN_DB if self._augment.gain_db else EVALUATION_SILENCE_DB
        silence_gain = 10.0 ** (rng.uniform(lowest, highest, size=len(indices)) / 20.0)
        return np.where(self._is_noise[indices], silence_gain, gain).astype(np.float32)

    def _gather(self, indices: Indices, starts: Indices, gain: Levels, epoch: int, number: int) -> Tensor:
        waveform = gather_windows(self.audio, starts, self.n_samples, gain)
        rng = generator_for("padding", self._seed, epoch, number)
        self._fill_ends(waveform, indices, starts, gain, rng)
        return waveform

    def _fill_ends(
        self, waveform: Tensor, indices: Indices, starts: Indices, gain: Levels, rng: np.random.Generator
    ) -> None:
        examples = self._task.examples
        before = np.clip(examples.first[indices] - starts, 0, self.n_samples)
        after = np.clip(starts + self.n_samples - examples.end[indices], 0, self.n_samples)
        level = (10.0 ** (examples.floor_db[indices] / 20.0)).astype(np.float32)
        fill_ends(waveform, before, after, level, gain, rng)

    def _mix_noise(self, waveform: Tensor, epoch: int, number: int) -> None:
        if not self._augment.noise_percent or len(self._task.noise) == 0:
            return
        rng = generator_for("noise", self._seed, epoch, number)
        snr_db = draw_snr(self._augment, len(waveform), rng)
        noisy = np.flatnonzero(np.isfinite(snr_db))
        drawn = draw_recordings(self._task, self._task.noise, len(noisy), rng)
        starts = place_windows(self._task, drawn, self.n_samples, np.zeros(len(drawn), np.int64), rng)
        unit = np.ones(len(drawn), np.float32)
        noise = gather_windows(self.audio, starts, self.n_samples, unit)
        self._fill_ends(noise, drawn, starts, unit, rng)  # a noise shorter than the window
        rows = torch.from_numpy(noisy).to(self._device)
        waveform[rows] = mix_noise(waveform[rows], noise, torch.from_numpy(snr_db[noisy]).to(self._device))


@functools.lru_cache(maxsize=1)
def _audio_on(store: Store, device: torch.device) -> Tensor:
    """A store's audio on a device, one copy for all datasets of the store."""
    return torch.from_numpy(store.audio).to(device)


def place_windows(
    task: SplitTask, indices: Indices, n_samples: int, shift: Indices, rng: np.random.Generator
) -> Indices:
    """First sample of each window: around a word, or anywhere in a recording. Shape: (batch,)."""
    examples = task.examples
    word = examples.speech_start[indices], examples.speech_end[indices], examples.centre[indices]
    starts = place_around_word(*word, n_samples) + shift
    first, end = examples.first[indices], examples.end[indices]
    anywhere = first + np.floor(rng.uniform(size=len(indices)) * np.maximum(1, end - first - n_samples + 1))
    return np.where(examples.is_word[indices], starts, anywhere).astype(np.int64)


def gather_windows(audio: Tensor, starts: Indices, n_samples: int, gain: Levels) -> Tensor:
    """Cut windows out of the store and scale them.

    Shape: int16 (n_total,), (batch,) twice -> float32 (batch, n_samples).
    """
    # beyond the first and last sample of the store there is nothing to gather: what comes there is anything
    inside = np.clip(starts, 0, len(audio) - n_samples)
    # one pass for both factors; a power of two changes no bit
    scale = gain / np.float32(INT16_SCALE)
    gather = gather_rows if audio.device.type == "cpu" else gather_at_once
    waveform = gather(audio, inside, n_samples, scale)
    for row in np.flatnonzero(inside != starts):
        waveform[row] = waveform[row].roll(int(inside[row] - starts[row]))
    return waveform


def gather_rows(audio: Tensor, starts: Indices, n_samples: int, scale: Levels) -> Tensor:
    """Gather in memory: a row stays in the cache between its two steps, which halves the time."""
    samples = audio.numpy()
    waveform = np.empty((len(starts), n_samples), dtype=np.float32)
    for row, start, factor in zip(waveform, starts.tolist(), scale, strict=True):
        row[:] = samples[start : start + n_samples]
        row *= factor
    return torch.from_numpy(waveform)


def gather_at_once(audio: Tensor, starts: Indices, n_samples: int, scale: Levels) -> Tensor:
    """The same on a device where each call costs: one gather, one scaling."""
    windows = audio.unfold(0, n_samples, 1)[torch.from_numpy(starts).to(audio.device)]
    return windows.to(torch.float32).mul_(_column(scale, audio.device))


def fill_ends(
    waveform: Tensor, before: Indices, after: Indices, level: Levels, gain: Levels, rng: np.random.Generator
) -> None:
    """Fill what lies outside the clip, in place, with noise at the clip's own floor.

    Digital zero would be a class cue. `waveform`: (batch, n_samples); `before`, `after`: samples to
    fill at either end; `level`: root mean square of the noise before `gain`; (batch,) each.
    """
    fill = fill_rows if waveform.device.type == "cpu" else fill_at_once
    for n_filled, is_end in ((before, False), (after, True)):
        rows = np.flatnonzero(n_filled)
        if len(rows) == 0:
            continue
        offsets = rng.integers(0, NOISE_TABLE_SAMPLES - int(n_filled.max()), size=len(rows))
        fill(waveform, rows, n_filled[rows], offsets, np.stack([level[rows], gain[rows]]), is_end)


def fill_rows(
    waveform: Tensor, rows: Indices, n_filled: Indices, offsets: Indices, factors: Levels, is_end: bool
) -> None:
    """Fill one end of some rows in memory, each row alone. `factors`: (2, n_rows)."""
    samples, table = waveform.numpy(), _unit_noise(waveform.device).numpy()
    width, size = int(n_filled.max()), waveform.shape[1]
    for row, n, offset, level, gain in zip(
        rows.tolist(), n_filled.tolist(), offsets.tolist(), *factors, strict=True
    ):
        first = offset + width - n if is_end else offset
        target = samples[row, size - n :] if is_end else samples[row, :n]
        np.multiply(table[first : first + n], level, out=target)
        target *= gain


def fill_at_once(
    waveform: Tensor, rows: Indices, n_filled: Indices, offsets: Indices, factors: Levels, is_end: bool
) -> None:
    """The same on a device where each call costs: all rows as wide as the widest, under a mask."""
    device, width = waveform.device, int(n_filled.max())
    noise = _unit_noise(device).unfold(0, width, 1)[torch.from_numpy(offsets).to(device)]
    noise.mul_(_column(factors[0], device)).mul_(_column(factors[1], device))
    columns = torch.arange(width, device=device)
    filled = _column(n_filled, device)
    mask = columns >= width - filled if is_end else columns < filled
    part = slice(waveform.shape[1] - width, None) if is_end else slice(0, width)
    chosen = torch.from_numpy(rows).to(device)
    waveform[chosen, part] = torch.where(mask, noise, waveform[chosen, part])


@functools.cache
def _unit_noise(device: torch.device) -> Tensor:
    """A table of normal noise: cutting pieces out of it is many times faster than drawing them."""
    return torch.randn(NOISE_TABLE_SAMPLES, generator=torch.Generator().manual_seed(0)).to(device)


def _column(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(values).unsqueeze(1).to(device)


class EpochSampler(Sampler[list[ItemKey]]):
    """Batches of one training epoch after another, each in a new order; the last short batch is left out."""

    def __init__(self, task: SplitTask, config: TaskConfig, batch_size: int, seed: int) -> None:
        self._task, self._config, self._seed = task, config, seed
        self._batch_size = batch_size
        self.epoch = 0

    def __len__(self) -> int:
        drawn = draw_epoch(self._task, self._config, generator_for("epoch", self._seed, 0))
        return max(1, len(drawn) // self._batch_size)

    def __iter__(self) -> Iterator[list[ItemKey]]:
        drawn = draw_epoch(self._task, self._config, generator_for("epoch", self._seed, self.epoch))
        for number in range(max(1, len(drawn) // self._batch_size)):
            chosen = drawn[number * self._batch_size : (number + 1) * self._batch_size]
            yield [ItemKey(self.epoch, number, example) for example in chosen.tolist()]


class FixedSampler(Sampler[list[ItemKey]]):
    """The same indices in the same order each time; every one counts."""

    def __init__(self, indices: Indices, batch_size: int) -> None:
        self._indices, self._batch_size = indices, batch_size

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def __iter__(self) -> Iterator[list[ItemKey]]:
        for number in range(len(self)):
            chosen = self._indices[number * self._batch_size : (number + 1) * self._batch_size]
            yield [ItemKey(0, number, example) for example in chosen.tolist()]


def make_loader(
    dataset: ClipDataset, sampler: Sampler[list[ItemKey]], n_workers: int = 0
) -> DataLoader[Batch]:
    """A DataLoader that asks for whole batches and leaves them as they come."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=n_workers,
        collate_fn=_as_it_is,
        persistent_workers=n_workers > 0,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
