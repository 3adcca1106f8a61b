"""All architectures by the same recipe and number of optimiser steps: accuracy, size, cost.

usage: python benchmarks/architectures.py AUDIO IMAGES --runs DIR --cache DIR
           [--names cnn,gru] [--seeds 3] [--epochs 3] [--no-training]

AUDIO and IMAGES are stores of the shared data. Each architecture is trained on both with each seed into
DIR/NAME-SEED (finished ones are left, interrupted ones go on; processes may share the work by --names), then
all that are finished are classified on the testing clips of AUDIO, by the official 12-class rule, one window
of a second each. Intervals are Wilson's at 95 %, for the seed in the middle. The time of a step is that of
onnxruntime on one thread: a minute of audio divided by its steps, median of five.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arguments import trainings
from runs import RECIPE, answer_clips, open_stores, train_whole, with_changes

from data_prep.store import Store
from models.cost import count_multiplies
from models.registry import create_model, list_architectures
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.runtime.model.session import Session
from speechcmd.training.export.onnx_export import convert
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trained_network import load_network


class Row(NamedTuple):
    """What is trained: an architecture and its settings."""

    architecture: str
    model: dict[str, Any] = {}  # noqa: RUF012 - never changed


# what the papers pad along time and we need not, the other way round; and the sizes between
VARIANTS = {
    "bc_resnet-padded": Row("bc_resnet", {"time_padding": True}),
    "ds_cnn-padded": Row("ds_cnn", {"time_padding": True}),
    "matchboxnet-padded": Row("matchboxnet", {"time_padding": True}),
    **{f"bc_resnet-tau{tau}": Row("bc_resnet", {"tau": tau}) for tau in (2, 3, 6, 8)},
}
MINUTE_SAMPLES = 60 * SAMPLE_RATE


def all_rows() -> dict[str, Row]:
    """Rows of the table by name."""
    return {name: Row(name) for name in list_architectures()} | VARIANTS


def train_all(arguments: argparse.Namespace, names: list[str]) -> None:
    stores = open_stores(arguments.audio, arguments.images)
    for seed in range(arguments.seeds):
        for name in names:
            row = all_rows()[name]
            config = with_changes(
                RECIPE, **row._asdict(), seed=seed, epochs=arguments.epochs, feature_cache=str(arguments.cache),
            )  # fmt: skip
            train_whole(stores, config, arguments.runs / f"{name}-{seed}")


def finished(folder: Path, name: str, epochs: int) -> Iterator[Path]:
    """Runs of a row, seed by seed."""
    for run in sorted(folder.glob(f"{name}-[0-9]")):
        if (run / "curves.png").exists() and load_checkpoint(run / "last.pt")["epoch"] == epochs:
            yield run


def step_ms(run: Path) -> float:
    """Milliseconds of a step within a long recording, onnxruntime on one thread."""
    network = load_network(load_checkpoint(run / BEST))
    session = Session(convert(network).SerializeToString())
    audio = 0.05 * np.random.default_rng(0).standard_normal((1, MINUTE_SAMPLES)).astype(np.float32)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        n_steps = session.run(audio).shape[1]
        times.append(1000 * (time.perf_counter() - began) / n_steps)
    return statistics.median(times[1:])  # the first one warms up


def describe(name: str) -> str:
    """The columns that need no training."""
    row = all_rows()[name]
    n_samples = round(float(RECIPE.length) * SAMPLE_RATE)
    network = create_model(row.architecture, len(RECIPE.words) + 2, n_samples, **row.model)
    cost = count_multiplies(network)
    window_s = network.window_samples / SAMPLE_RATE
    return (
        f"| {name} | {network.kind} | {window_s:.2f} | {network.count_parameters():,} | "
        f"{cost.window / 1e6:.1f} | {cost.second / 1e6:.1f} |"
    )


def print_row(name: str, runs: list[Path], audio: Store) -> None:
    if not runs:
        print(f"{describe(name)} | not trained | | |", flush=True)
        return
    found = sorted(
        (answer_clips(run, audio, "testing") for run in runs), key=lambda answers: answers.accuracy()
    )
    accuracies = [answers.accuracy() for answers in found]
    middle = found[len(found) // 2]
    low, high = wilson_interval(int((middle.labels == middle.given).sum()), len(middle.labels))
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
    print(
        f"{describe(name)} {len(runs)} | {statistics.mean(accuracies):.2f}{spread} | "
        f"{100 * low:.1f}–{100 * high:.1f} | {step_ms(runs[0]):.3f} |",
        flush=True,
    )


def parse_arguments() -> argparse.Namespace:
    parser = trainings(__doc__, RECIPE.epochs)
    parser.add_argument("--names", default=",".join(all_rows()))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--no-training", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    names = arguments.names.split(",")
    if not arguments.no_training:
        train_all(arguments, names)
    print(
        "| architecture | kind | window s | parameters | M MACs a window | M MACs a second | seeds | testing % | "
        "interval | step ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        print_row(name, list(finished(arguments.runs, name, arguments.epochs)), Store.open(arguments.audio))


if __name__ == "__main__":
    main()
