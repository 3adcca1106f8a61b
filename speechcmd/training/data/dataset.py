"""The Dataset: a batch is a gather from memory-mapped stores, not a loop over files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.task import SplitTask
from models.frontend import FrontEndConfig
from speechcmd.training.augment.pipeline import Background, BatchNumber, WindowAugmentation
from speechcmd.training.augment.placement import word_spans
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import Batch
from speechcmd.training.counter_random import generator_for
from speechcmd.training.data.loader_process import LONGEST_BATCH_S, check_shared_memory
from speechcmd.training.data.recordings import RecordingWindows
from speechcmd.training.data.sampler import ItemKey
from speechcmd.training.data.windows import StoreWindows
from speechcmd.training.settings.config import AugmentConfig
from speechcmd.training.to_device import to_device


class ClipDataset(Dataset[Batch]):
    """Windows of `n_samples` samples from stores, for one split of a task.

    `__getitems__` is what a DataLoader calls with a whole batch of keys. The audio is mapped when
    the first batch is asked for, in each worker anew. With `device` set to a GPU all stores lie
    there and batches are made there.

    With `n_placed` it is windows of that length that are placed, and what comes reaches beyond them on
    both sides: cropped to the middle, a batch is that of a dataset of `n_placed` samples. Noise and
    rooms are those of the whole window, so is the ratio of noise. `upper` estimates bands that a store of
    features does not have.
    """

    def __init__(
        self,
        store: AnyStore | JoinedStores,
        task: SplitTask,
        n_samples: int,
        augment: AugmentConfig,
        seed: int = 0,
        device: torch.device | None = None,
        frontend: FrontEndConfig = FrontEndConfig(),
        n_placed: int | None = None,
        upper: UpperBands | None = None,
    ) -> None:
        self._stores = store.stores if isinstance(store, JoinedStores) else (store,)
        self.n_samples, self._seed, self._frontend, self._upper = n_samples, seed, frontend, upper
        self._n_placed = n_samples if n_placed is None else n_placed
        self._device = device or torch.device("cpu")
        self.augment_as(augment)
        self.use_task(task)

    def augment_as(self, augment: AugmentConfig) -> None:
        """Change clips like this from now on."""
        self._augmentation = WindowAugmentation(
            augment, self._seed, self._frontend, self.n_samples, self._n_placed, self._device
        )

    def use_task(self, task: SplitTask) -> None:
        """Take the examples of this task from now on; a DataLoader's workers keep the one they began with."""
        self._task = task
        self._is_noise = np.zeros(len(task.examples), dtype=np.bool_)
        self._is_noise[task.noise] = True
        self._windows = StoreWindows(self._stores, task, self._device, self._frontend, self._upper)
        noise, speech = (
            RecordingWindows(self._windows, among, self.n_samples) for among in (task.noise, task.speech)
        )
        self.background = Background(noise, speech)

    def __len__(self) -> int:
        return len(self._task.examples)

    def __getstate__(self) -> dict[str, Any]:
        # a mapped array would travel to a worker as a copy of the whole store
        unopened = tuple(type(each)(each.path, each.rows, each.info) for each in self._stores)
        without = ("_windows", "background")
        return {name: value for name, value in self.__dict__.items() if name not in without} | {
            "_stores": unopened
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.use_task(self._task)

    def __getitem__(self, key: ItemKey) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[ItemKey]) -> Batch:
        """Make one batch, to which all keys belong. Clips come sorted by store, those of audio first."""
        at = BatchNumber(keys[0].epoch, keys[0].batch)
        indices = np.array([key.example for key in keys])
        indices = indices[self._windows.order(indices)]
        n_audio = int(np.count_nonzero(~self._windows.has_frames[indices]))
        audio, frames = slice(0, n_audio), slice(n_audio, None)
        augmentation, hop = self._augmentation, self._frontend.hop_length
        placed = augmentation.place(self._task, indices, self._is_noise[indices], n_audio, at)
        gain, speed = placed.gain, placed.speed

        n_longer = augmentation.n_longer_samples
        starts = placed.starts[audio] - (n_longer - self.n_samples) // 2
        padding = generator_for("padding", self._seed, *at)
        waveform = self._windows.cut_audio(indices[audio], starts, n_longer, gain[audio], padding)
        waveform = augmentation.change_audio(waveform, speed[audio], self.background, at)

        n_longer = augmentation.n_longer_frames
        starts = placed.starts[frames] - (n_longer - augmentation.n_frames) // 2 * hop
        padding = generator_for("frame_padding", self._seed, *at)
        log_mel = self._windows.cut_frames(indices[frames], starts, n_longer, padding)
        log_mel = augmentation.change_frames(log_mel, speed[frames], gain[frames], self.background, at)

        is_image = np.zeros(len(indices), dtype=np.bool_)
        is_image[frames] = self._windows.is_image(indices[frames])
        examples = self._task.examples
        spans = word_spans(examples, indices, placed.starts, self._n_placed, hop)
        middle = self.n_samples / 2 / hop
        spans = middle + (spans - np.float32(middle)) / speed[:, None]
        labels, is_mined = to_device(examples.labels[indices], self._device), examples.is_mined[indices]
        return Batch(waveform, log_mel, labels, is_image, is_mined, to_device(spans, self._device), *at)


def make_loader(
    dataset: ClipDataset, sampler: Sampler[list[ItemKey]], n_workers: int = 0
) -> DataLoader[Batch]:
    """A DataLoader that asks for whole batches and leaves them as they come.

    Raises
    ------
    TrainingError
        If loader processes cannot hand over their batches here.
    """
    if n_workers:
        check_shared_memory(dataset.__getitems__(next(iter(sampler))), n_workers)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=n_workers,
        collate_fn=_as_it_is,
        persistent_workers=n_workers > 0,
        timeout=LONGEST_BATCH_S if n_workers else 0,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
