"""Windows of recordings of a task, such as its noise, from whichever of its stores have some."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from data_prep.task import draw_recordings
from speechcmd.arrays import IntArray
from speechcmd.training.augment.placement import place_windows
from speechcmd.training.data.windows import StoreWindows
from speechcmd.training.to_device import to_device


class RecordingWindows:
    """Windows of `n_samples` of the recordings `among` the examples of a task."""

    def __init__(self, windows: StoreWindows, among: IntArray, n_samples: int) -> None:
        self._windows, self._n_samples = windows, n_samples
        is_frames = windows.has_frames[among]
        self._of_audio, self._of_frames = among[~is_frames], among[is_frames]

    @property
    def has_audio(self) -> bool:
        """Whether there are recordings of audio."""
        return len(self._of_audio) > 0

    @property
    def has_any(self) -> bool:
        """Whether there are recordings at all."""
        return len(self._of_audio) + len(self._of_frames) > 0

    def waveforms(self, n_drawn: int, rng: np.random.Generator) -> Tensor:
        """Windows of audio. Shape: (n_drawn, n_samples)."""
        drawn, starts, order = self._draw(self._of_audio, n_drawn, rng)
        gain = np.ones(n_drawn, np.float32)
        return _put_back(self._windows.cut_audio(drawn, starts, self._n_samples, gain, rng), order)

    def log_mel(self, n_drawn: int, n_frames: int, rng: np.random.Generator) -> Tensor:
        """Windows of feature stores, else of audio stores through the front end.

        Shape: (n_drawn, n_frames, n_mels).
        """
        if len(self._of_frames) == 0:
            return self._windows.front_end(self.waveforms(n_drawn, rng))
        drawn, starts, order = self._draw(self._of_frames, n_drawn, rng)
        return _put_back(self._windows.cut_frames(drawn, starts, n_frames, rng), order)

    def _draw(
        self, among: IntArray, n_drawn: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Recordings sorted by store, where to begin in each, and the order that sorted them."""
        task = self._windows.task
        drawn = draw_recordings(task, among, n_drawn, rng)
        order = self._windows.order(drawn)
        starts = place_windows(task, drawn[order], self._n_samples, np.zeros(n_drawn, np.int64), rng)
        return drawn[order], starts, order


def _put_back(noise: Tensor, order: IntArray) -> Tensor:
    """Noise in the order of its drawing: sorted by store, a store's clips would meet that store's noise."""
    if (order[1:] > order[:-1]).all():
        return noise
    return noise[to_device(np.argsort(order), noise.device)]
