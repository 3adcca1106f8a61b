"""Training speed on a processor: ours in several arithmetics against the plain loop, and what a step is made of.

usage: python benchmarks/training_speed.py STORE CLIPS --cache DIR [--networks cnn,bc_resnet]
           [--batch-size 128] [--batches 8] [--rounds 5] [--threads 2]

STORE was prepared from the folder CLIPS. The plain loop is the usual one: a Dataset that opens a wav for each
item, torchaudio's MelSpectrogram on each item, DataLoader, forward, backward, AdamW. Ours does more: time shift,
noise, gain, SpecAugment. All in one process, rounds interleaved, the median counts, the first round warms up.
bf16 is autocast; channels_last is the layout of weights and images. Then the parts of a step of each kind of input.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_prep.row_source import AnyStore
from data_prep.store import Store
from data_prep.task import SplitTask, TaskConfig, make_split_task
from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.training.batch import Batch, log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.feature_cache import take_cached
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.loop.batch_loss import BatchLoss
from speechcmd.training.loop.optimisation import make_optimizer
from speechcmd.training.settings.config import TrainConfig

WORDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """Opens a wav, pads it to a second, computes its log-mel."""

    def __init__(self, clips: Path, task: SplitTask, chosen: np.ndarray, n_frames: int) -> None:
        from torchaudio.transforms import MelSpectrogram

        self._paths = [clips / task.examples.paths[index] for index in chosen]
        self._labels = task.examples.labels[chosen].tolist()
        self._n_samples = 512 + (n_frames - 1) * 160
        self._mel = MelSpectrogram(
            16_000, n_fft=512, win_length=480, hop_length=160, n_mels=40, f_max=4000.0, center=False
        )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        clip, _ = soundfile.read(self._paths[index], dtype="float32")
        waveform = torch.from_numpy(np.pad(clip, (0, max(0, self._n_samples - len(clip)))))[: self._n_samples]
        return torch.log(self._mel(waveform) + 1e-6).T, self._labels[index]


class Trained:
    """A network with its optimiser, trained on batches of one kind."""

    def __init__(self, architecture: str, precision: str = "fp32", channels_last: bool = False) -> None:
        torch.manual_seed(0)
        self.config = TrainConfig(architecture=architecture, words=WORDS)
        self.network = create_model(architecture, len(WORDS) + 2, 16_000)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.step = BatchLoss(self.network, self.config).train()
        self.optimizer = make_optimizer(self.network, self.config)
        self.autocast: Callable[[], object] = (
            nullcontext if precision == "fp32" else lambda: torch.autocast("cpu", torch.bfloat16)
        )

    def train(self, batch: Batch) -> None:
        with self.autocast():  # type: ignore[attr-defined]
            loss, _ = self.step(batch)
        self._update(loss)

    def train_plain(self, log_mel: Tensor, labels: Tensor) -> None:
        self._update(torch.nn.functional.cross_entropy(self.network.classify(log_mel)[:, 0], labels))

    def _update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def dataset_of(
    store: AnyStore, config: TrainConfig, network: KeywordNetwork
) -> tuple[ClipDataset, SplitTask]:
    task = make_split_task(store, TaskConfig(config.words), "training")
    return ClipDataset(store, task, network.window_samples, config.augment), task


def choose(task: SplitTask, n_clips: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(task.words)[:n_clips]


def sides_of(
    name: str, options: argparse.Namespace, audio: Store, cached: AnyStore
) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is compared for one architecture: each trains on the same number of clips."""
    network = create_model(name, len(WORDS) + 2, 16_000)
    n_clips = options.batch_size * options.batches
    for source, store in (("audio", audio), ("feature cache", cached)):
        dataset, task = dataset_of(store, TrainConfig(words=WORDS), network)
        loader = make_loader(dataset, FixedSampler(choose(task, n_clips), options.batch_size))
        for precision, last in (("fp32", False), ("fp32", True), ("bf16", False), ("bf16", True)):
            trained = Trained(name, precision, last)
            title = f"ours, {source}, {precision}{', channels_last' if last else ''}"
            yield title, lambda loader=loader, trained=trained: [trained.train(batch) for batch in loader]  # type: ignore[misc]
    task = make_split_task(audio, TaskConfig(WORDS), "training")
    plain = PlainDataset(options.clips, task, choose(task, n_clips), network.window_frames)
    for n_workers in (0, 1):
        loader = DataLoader(plain, options.batch_size, num_workers=n_workers)
        trained = Trained(name)
        yield (
            f"plain loop, {n_workers} workers",
            lambda loader=loader, trained=trained: [trained.train_plain(*batch) for batch in loader],  # type: ignore[misc]
        )


def compare(name: str, options: argparse.Namespace, audio: Store, cached: AnyStore) -> None:
    sides = dict(sides_of(name, options, audio, cached))
    times: dict[str, list[float]] = {title: [] for title in sides}
    for number in range(options.rounds + 1):
        for title, run in sides.items():
            began = time.perf_counter()
            run()
            if number:
                times[title].append(time.perf_counter() - began)
    n_clips = options.batch_size * options.batches
    baseline = times["plain loop, 0 workers"]
    print(f"{name:<44} clips/s   times the plain loop")
    for title, values in times.items():
        ratio = statistics.median(b / a for a, b in zip(values, baseline, strict=True))
        print(f"  {title:<42} {n_clips / statistics.median(values):7,.0f}   {ratio:5.1f}", flush=True)


def print_parts(name: str, options: argparse.Namespace, store: AnyStore, title: str) -> None:
    """Milliseconds of the parts of a step in a training of `store`."""
    trained = Trained(name)
    dataset, task = dataset_of(store, trained.config, trained.network)
    keys = list(FixedSampler(choose(task, options.batch_size * options.batches), options.batch_size))
    parts: dict[str, list[float]] = {"load": [], "features": [], "whole": []}
    for batch_keys in keys:
        began = time.perf_counter()
        batch = dataset.__getitems__(batch_keys)
        loaded = time.perf_counter()
        with torch.no_grad():
            log_mel_of(trained.network, batch)
        computed = time.perf_counter()
        trained.train(batch)
        ended = time.perf_counter()
        parts["load"].append(loaded - began)
        parts["features"].append(computed - loaded)
        parts["whole"].append(loaded - began + ended - computed)
    load, features, whole = (1000 * statistics.median(values) for values in parts.values())
    print(
        f"  {name}, {title}: step {whole:.0f} ms, of it loading {load:.1f} ms ({100 * load / whole:.1f} %), "
        f"front end {features:.1f} ms",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--networks", default="cnn,bc_resnet")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # torchaudio's own
    audio = Store.open(options.store)
    frontend = create_model("cnn", 2, 16_000).frontend.config
    (cached,) = take_cached([audio], frontend, 98, options.cache)
    for name in options.networks.split(","):
        compare(name, options, audio, cached)
    print("parts of a step, median")
    for name in options.networks.split(","):
        print_parts(name, options, audio, "audio")
        print_parts(name, options, cached, "feature cache")
    return 0


if __name__ == "__main__":
    sys.exit(main())
