"""Hard negatives: windows of running speech that the network itself took for words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_prep.task import Examples, SplitTask
from speechcmd.arrays import IntArray
from speechcmd.training.mining.scan import Found


def add_windows(task: SplitTask, found: Found, n_window: int) -> tuple[SplitTask, IntArray]:
    """The task with one more example for each window that was found, and the numbers of the new ones.

    Each is placed as if a word filled the window, of the label that its recording has.
    """
    examples, own = task.examples, found.example
    begin = examples.first[own] + found.start
    added = Examples(
        paths=tuple(examples.paths[example] for example in own.tolist()),
        labels=examples.labels[own],
        first=examples.first[own],
        end=examples.end[own],
        speech_start=begin,
        speech_end=begin + n_window,
        centre=begin + n_window // 2,
        floor_db=examples.floor_db[own],
        is_word=np.ones(len(own), dtype=np.bool_),
        source=examples.source[own],
        is_mined=np.ones(len(own), dtype=np.bool_),
    )
    columns = {
        name: np.concatenate([getattr(examples, name), getattr(added, name)])
        for name in Examples.__dataclass_fields__
        if name != "paths"
    }
    joined = Examples(paths=examples.paths + added.paths, **columns)
    return replace(task, examples=joined), len(examples) + np.arange(len(own))
