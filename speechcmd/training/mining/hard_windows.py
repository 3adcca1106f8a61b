"""Hard negatives: windows of running speech that the network itself took for words, given to its training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from data_prep.task import Examples, SplitTask
from models.network import KeywordNetwork
from speechcmd.arrays import IntArray
from speechcmd.progress import Progress
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.mining.speech_scan import MinedWindows, scan_speech


class HardWindows:
    """The hard negatives of one training; `mined` are those that it has now."""

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        self._data, self._device = data, device
        self.mined = MinedWindows.nothing()

    def find(self, network: KeywordNetwork, on_scan: Progress | None = None) -> None:
        """Let the epochs to come train on what the network takes for words in running speech."""
        data = self._data
        mined = scan_speech(network, data.source.stores, data.training, self._device, on_scan)
        self.use(mined.hardest(data.sampler.n_hard), network.window_samples)

    def use(self, mined: MinedWindows, n_window: int) -> None:
        """Let the epochs to come train on these windows of running speech, of `n_window` samples."""
        self.mined = mined
        self._data.train_on(*add_windows(self._data.training, mined, n_window))


def add_windows(task: SplitTask, mined: MinedWindows, n_window: int) -> tuple[SplitTask, IntArray]:
    """The task with one more example for each mined window, and the numbers of the new ones.

    Each is placed as if a word filled the window, of the label that its recording has.
    """
    examples, own = task.examples, mined.example
    begin = examples.first[own] + mined.start
    is_there = np.ones(len(own), dtype=np.bool_)
    added = {
        "speech_start": begin,
        "speech_end": begin + n_window,
        "centre": begin + n_window // 2,
        "is_word": is_there,
        "is_mined": is_there,
    }
    columns = {
        name: np.concatenate([column, added.get(name, column[own])])
        for name, column in vars(examples).items()
        if name != "paths"
    }
    paths = tuple(examples.paths[example] for example in own.tolist())
    joined = Examples(paths=examples.paths + paths, **columns)
    return replace(task, examples=joined), len(examples) + np.arange(len(own))
