"""What each part of the augmentation and each regulariser adds, one changed at a time.

usage: python benchmarks/recipe_parts.py AUDIO IMAGES --runs DIR --cache DIR
           [--architecture tc_resnet] [--rows "no noise;mixup 0.2"] [--seeds 2] [--epochs 3] [--no-training]

Trains like benchmarks/architectures.py, on both stores, each row with each seed into DIR/ROW-SEED. Accuracy is on
the validation clips of AUDIO by the official 12-class rule: as they are, and with noise kept for validation
mixed in at 5 dB. (Choosing a recipe by the testing clips would spoil them.) Training accuracy is that of the last
epoch, augmented. A difference is to the first row, seed by seed; two standard errors of the accuracy are printed. Training is on
log-mel: speed changes tempo without pitch, noise and rooms add up as powers.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from arguments import trainings
from runs import RECIPE, answer_clips, open_stores, train_whole, with_changes

from data_prep.store import Store
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

PLAIN = "as it is"
OFF = {"time_shift_ms": 0.0, "noise_percent": 0.0, "gain_db": 0.0, "time_masks": 0, "band_masks": 0}
NOISY = replace(AugmentConfig.off(), noise_percent=100, noise_snr_db=(5, 5))


class Row(NamedTuple):
    """What a row changes: settings of the augmentation, and others."""

    augment: dict[str, Any] = {}  # noqa: RUF012 - never changed
    other: dict[str, Any] = {}  # noqa: RUF012


ROWS: dict[str, Row] = {
    PLAIN: Row(),
    "no augmentation": Row(OFF),
    "no time shift": Row({"time_shift_ms": 0.0}),
    "no noise": Row({"noise_percent": 0.0}),
    "no gain": Row({"gain_db": 0.0}),
    "no SpecAugment": Row({"time_masks": 0, "band_masks": 0}),
    "speed 10 %": Row({"speed_percent": 10.0}),
    "rooms 30 %": Row({"room_percent": 30.0}),
    "image channel 50 %": Row({"image_percent": 50.0}),
    "no label smoothing": Row(other={"label_smoothing": 0.0}),
    "no weight decay": Row(other={"weight_decay": 0.0}),
    "no dropout": Row(other={"model": {"dropout": 0.0}}),
    "L1 1e-6": Row(other={"l1": 1e-6}),
    "mixup 0.2": Row(other={"mixup": 0.2}),
    "class balance 0.5": Row(other={"class_balance": 0.5}),
    "gradient clip 1": Row(other={"gradient_clip": 1.0}),
    "EMA 0.99": Row(other={"ema": 0.99}),
    "SGD 0.1, L2 1e-4": Row(other={"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 1e-4}),
    "RMSprop 0.001, L2 1e-5": Row(
        other={"optimizer": "rmsprop", "learning_rate": 1e-3, "momentum": 0.0, "weight_decay": 1e-5}
    ),
}


def run_of(folder: Path, name: str, seed: int) -> Path:
    """Where a row's run lies."""
    return folder / f"{name.replace(' ', '_').replace(',', '').replace('%', '').replace('.', '')}-{seed}"


def config_of(row: Row, arguments: argparse.Namespace, seed: int) -> TrainConfig:
    return with_changes(
        RECIPE, row.augment, architecture=arguments.architecture, seed=seed, epochs=arguments.epochs,
        feature_cache=str(arguments.cache), **row.other,
    )  # fmt: skip


def measure(run: Path, audio: Store) -> tuple[float, float, float]:
    """Training, validation and noisy validation accuracy in percent."""
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    clean = answer_clips(run, audio, "validation").accuracy()
    return last["train_accuracy"], clean, answer_clips(run, audio, "validation", NOISY).accuracy()


def print_table(arguments: argparse.Namespace, names: list[str]) -> None:
    audio = Store.open(arguments.audio)
    print("| change | training % | validation % | difference | at 5 dB % | difference |")
    print("|---|---|---|---|---|---|")
    plain: dict[int, tuple[float, float, float]] = {}
    for name in names:
        found = {
            seed: measure(run_of(arguments.runs, name, seed), audio)
            for seed in range(arguments.seeds)
            if (run_of(arguments.runs, name, seed) / "curves.png").exists()
        }
        if not found:
            print(f"| {name} | not trained |")
            continue
        plain = plain or found
        train, clean, noisy = (statistics.mean(values) for values in zip(*found.values(), strict=True))
        differences = [
            statistics.mean(found[seed][k] - plain[seed][k] for seed in found if seed in plain)
            for k in (1, 2)
        ]
        print(
            f"| {name} | {train:.1f} | {clean:.2f} | {differences[0]:+.2f} | {noisy:.2f} | "
            f"{differences[1]:+.2f} |",
            flush=True,
        )
    n_clips = len(answer_clips(run_of(arguments.runs, names[0], 0), audio, "validation").labels)
    print(f"\n{n_clips} clips: two standard errors at 90 % are {200 * math.sqrt(0.09 / n_clips):.2f} points")


def main() -> None:
    parser = trainings(__doc__, RECIPE.epochs)
    parser.add_argument("--architecture", default="tc_resnet")
    parser.add_argument("--rows", default=";".join(ROWS), help="separated by ;")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--no-training", action="store_true")
    arguments = parser.parse_args()
    names = arguments.rows.split(";")
    if not arguments.no_training:
        stores = open_stores(arguments.audio, arguments.images)
        for seed in range(arguments.seeds):
            for name in names:
                train_whole(
                    stores, config_of(ROWS[name], arguments, seed), run_of(arguments.runs, name, seed)
                )
    print_table(arguments, names)


if __name__ == "__main__":
    main()
