"""The windows of a batch, from as many stores as a training has: waveforms of audio, log-mel of features."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore
from data_prep.store import Store
from data_prep.task import SplitTask
from models.frontend import FrontEndConfig, LogMel
from speechcmd.arrays import BoolArray, FloatArray, IntArray
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.data.audio_gather import fill_ends, gather_windows
from speechcmd.training.data.frame_gather import FrameSource


class StoreWindows:
    """Cuts windows out of the stores of a task: waveforms of audio, log-mel of features.

    `has_frames` says which examples lie in stores of features. `upper` estimates bands that they lack.
    """

    def __init__(
        self,
        stores: tuple[AnyStore, ...],
        task: SplitTask,
        device: torch.device,
        frontend: FrontEndConfig,
        upper: UpperBands | None = None,
    ) -> None:
        self.task, self._stores, self._device, self._frontend = task, stores, device, frontend
        self._upper = upper
        is_features = np.array([isinstance(store, FeatureStore) for store in stores])
        self.has_frames: BoolArray = is_features[task.examples.source]

    def order(self, indices: IntArray) -> IntArray:
        """The order that sorts examples by store, those of audio first, and else leaves them as they are."""
        return np.lexsort((self.task.examples.source[indices], self.has_frames[indices]))

    def cut_audio(
        self, indices: IntArray, starts: IntArray, n_samples: int, gain: FloatArray, rng: np.random.Generator
    ) -> Tensor:
        """Scaled windows, their ends filled with noise at the clip's floor. Shape: (batch, n_samples)."""
        parts = [torch.zeros(0, n_samples, device=self._device)]
        for store, part in self._by_store(indices):
            audio = audio_on(store, self._device)
            waveform = gather_windows(audio, starts[part], n_samples, gain[part])
            self._fill_ends(waveform, indices[part], starts[part], gain[part], rng)
            parts.append(waveform)
        return torch.cat(parts) if len(parts) > 2 else parts[-1]

    def cut_frames(
        self, indices: IntArray, starts: IntArray, n_frames: int, rng: np.random.Generator
    ) -> Tensor:
        """Log-mel of windows that begin at the nearest frame, with bands that are not stored as estimated.

        Shape: (batch, n_frames, n_mels).
        """
        parts = [torch.zeros(0, n_frames, self._frontend.n_mels, device=self._device)]
        examples, frontend = self.task.examples, self._frontend
        clips = examples.first[indices]  # of a feature store: the clip's number
        first = np.rint((starts - clips) / frontend.hop_length).astype(np.int64)
        n_valid = np.array([frontend.n_frames(n) for n in (examples.end[indices] - clips).tolist()], np.int64)
        for store, part in self._by_store(indices):
            source = frames_on(store, self._device, frontend.log_floor)
            log_mel = source.cut(clips[part], n_valid[part], first[part], n_frames, rng)
            if self._upper is not None and log_mel.shape[2] < frontend.n_mels:
                log_mel = self._upper.extend(log_mel)
            parts.append(log_mel)
        return torch.cat(parts) if len(parts) > 2 else parts[-1]

    def is_image(self, indices: IntArray) -> BoolArray:
        """Whether each clip is an image already. Shape: (batch,)."""
        image = np.zeros(len(indices), dtype=np.bool_)
        for store, part in self._by_store(indices):
            image[part] = frames_on(store, self._device, self._frontend.log_floor).is_image
        return image

    def front_end(self, waveform: Tensor) -> Tensor:
        """Log-mel of windows of audio. Shape: (batch, n_samples) -> (batch, n_frames, n_mels)."""
        log_mel: Tensor = _front_end_on(self._frontend, self._device)(waveform)
        return log_mel

    def _fill_ends(
        self,
        waveform: Tensor,
        indices: IntArray,
        starts: IntArray,
        gain: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        examples, n_samples = self.task.examples, waveform.shape[1]
        before = np.clip(examples.first[indices] - starts, 0, n_samples)
        after = np.clip(starts + n_samples - examples.end[indices], 0, n_samples)
        level = (10.0 ** (examples.floor_db[indices] / 20.0)).astype(np.float32)
        fill_ends(waveform, before, after, level, gain, rng)

    def _by_store(self, indices: IntArray) -> Iterator[tuple[AnyStore, slice]]:
        """Each store with its part of a batch that is sorted by store."""
        source = self.task.examples.source[indices]
        edges = np.searchsorted(source, np.arange(len(self._stores) + 1))
        for number, store in enumerate(self._stores):
            if edges[number] < edges[number + 1]:
                yield store, slice(int(edges[number]), int(edges[number + 1]))


@functools.cache
def audio_on(store: Store, device: torch.device) -> Tensor:
    """A store's audio on a device, one copy for all datasets of the store."""
    return torch.from_numpy(store.audio).to(device)


@functools.cache
def frames_on(store: FeatureStore, device: torch.device, log_floor: float) -> FrameSource:
    """A store's log-mel on a device, one copy for all datasets of the store."""
    return FrameSource(store, device, log_floor)


def release_stores() -> None:
    """Let go of what earlier trainings of this process hold on devices."""
    audio_on.cache_clear()
    frames_on.cache_clear()


@functools.lru_cache(maxsize=2)
def _front_end_on(frontend: FrontEndConfig, device: torch.device) -> LogMel:
    """A front end of its own, for what must become log-mel before it reaches a network."""
    return LogMel(frontend).to(device)
