"""Training input: clips per second of our DataLoader against a Dataset that opens a wav for each clip.

usage: python benchmarks/loader.py STORE CLIPS [--batch-size 256] [--batches 40] [--workers 0] [--rounds 5]

STORE was prepared from the folder CLIPS. Both sides deliver the same words in the same order as float32
batches of the store's mean length, without training on them. The plain Dataset is the usual one:
soundfile opens the clip, the window is cut where ours lies and padded with zeros, DataLoader and its
collate do the rest. Rounds are interleaved, the median counts, the first round is a warm-up (page cache).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_prep.store import Store
from data_prep.task import SplitTask, TaskConfig, make_split_task
from models.registry import create_model
from speechcmd.training.augment.placement import place_windows
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.settings.config import AugmentConfig

LABELLED = 10  # words of the task; the same for both sides


class WavDataset(Dataset[tuple[Tensor, int]]):
    """A word for each index: opens its wav, cuts or pads it to the window."""

    def __init__(self, paths: list[Path], starts: list[int], labels: list[int], n_samples: int) -> None:
        self._paths, self._starts, self._labels, self._n_samples = paths, starts, labels, n_samples

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        clip, _ = soundfile.read(self._paths[index], dtype="float32")
        start = self._starts[index]
        window = clip[max(0, start) : max(0, start + self._n_samples)]
        before = max(0, -start)
        after = self._n_samples - before - len(window)
        return torch.from_numpy(np.pad(window, (before, after))), self._labels[index]


def choose_words(task: SplitTask, n_clips: int) -> np.ndarray:
    """Words in random order, repeated if there are too few."""
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(np.concatenate([task.words, task.unknown])) for _ in range(8)]
    return np.concatenate(drawn)[:n_clips]


def make_wav_dataset(clips: Path, task: SplitTask, chosen: np.ndarray, n_samples: int) -> WavDataset:
    """The plain Dataset over the chosen words."""
    no_shift = np.zeros(len(chosen), np.int64)
    starts = place_windows(task, chosen, n_samples, no_shift, np.random.default_rng(0))
    starts = starts - task.examples.first[chosen]
    paths = [clips / task.examples.paths[index] for index in chosen]
    return WavDataset(paths, starts.tolist(), task.examples.labels[chosen].tolist(), n_samples)


def clips_per_s(batches: Iterable[object], n_clips: int) -> float:
    """Deliver everything once."""
    began = time.perf_counter()
    for _ in batches:
        pass
    return n_clips / (time.perf_counter() - began)


def measure(sides: dict[str, Callable[[], float]], n_rounds: int) -> dict[str, list[float]]:
    """Rounds of every side in turn, after one that does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(n_rounds + 1):
        for name, run in sides.items():
            speed = run()
            if number:
                speeds[name].append(speed)
    return speeds


def print_table(speeds: dict[str, list[float]], baseline: str) -> None:
    """Median, range and the ratio within each round."""
    print(f"{'loader':<32} {'clips/s':>9} {'lowest':>9} {'highest':>9} {'times':>7}")
    for name, values in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(values, speeds[baseline], strict=True))
        figures = statistics.median(values), min(values), max(values)
        print(f"{name:<32} " + " ".join(f"{figure:9,.0f}" for figure in figures) + f" {ratio:7.1f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    store = Store.open(options.store)
    words = sorted({row.word for row in store.rows if row.kind == "word" and row.split == "training"})
    task = make_split_task(store, TaskConfig(tuple(words[:LABELLED])), "training")
    n_samples = create_model("cnn", 2, store.length_samples("mean")).window_samples
    chosen = choose_words(task, options.batch_size * options.batches)
    plain = make_wav_dataset(options.clips, task, chosen, n_samples)
    shift_only = replace(AugmentConfig.off(), time_shift_ms=100)

    def ours(config: AugmentConfig) -> Callable[[], float]:
        loader = make_loader(
            ClipDataset(store, task, n_samples, config),
            FixedSampler(chosen, options.batch_size),
            options.workers,
        )
        return lambda: clips_per_s(loader, len(chosen))

    wavs = DataLoader(
        plain, options.batch_size, num_workers=options.workers, persistent_workers=options.workers > 0
    )
    sides = {
        "a wav a clip": lambda: clips_per_s(wavs, len(chosen)),
        "ours, time shift": ours(shift_only),
        "ours, all augmentation": ours(AugmentConfig()),
    }
    print(
        f"{len(chosen)} clips of {n_samples} samples in batches of {options.batch_size}, "
        f"{options.workers} workers, {torch.get_num_threads()} threads, median of {options.rounds}"
    )
    print_table(measure(sides, options.rounds), "a wav a clip")
    return 0


if __name__ == "__main__":
    sys.exit(main())
