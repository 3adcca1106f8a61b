"""A tiny store, tiny runs and their model files, made once for all tests of a process."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from toy_line import command

from data_prep.store import Store
from data_prep.synthetic import make_corpus
from models.registry import find_architecture
from speechcmd.training.export.onnx_export import ExportConfig, ExportReport, export_run
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

WORDS = ("no", "up")
OTHER_WORDS = ("bird", "zero")


def temporary_folder() -> Path:
    """A folder that is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="speechcmd-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def toy_store_path() -> Path:
    """A store of four words by ten speakers, thirty clips each, and three noises."""
    folder = temporary_folder()
    make_corpus(folder / "corpus", (*WORDS, *OTHER_WORDS), n_speakers=10, clips_per_word=30, noise_s=4.0)
    command("prepare", folder / "corpus", "--store", folder / "store", "--workers", "1")
    return folder / "store"


def toy_store() -> Store:
    """The store, opened."""
    return Store.open(toy_store_path())


SEEN_WHOLE = replace(AugmentConfig(), half_seen_percent=0.0, room_percent=0.0)


def toy_config(architecture: str = "cnn", **changes: Any) -> TrainConfig:
    """Settings of a training of a second or two."""
    config = TrainConfig(
        architecture, WORDS, unknown="all", speech_percent=0.0, epochs=2, batch_size=16, learning_rate=0.01, patience=15, augment=SEEN_WHOLE,
        n_threads=1, device="cpu", model=dict(find_architecture(architecture).toy),
    )  # fmt: skip
    return replace(config, **changes)


def train(folder: Path, config: TrainConfig, draws: bool = False, **options: Any) -> Trainer:
    """Train without a report and return the trainer; the picture takes as long as the training."""
    trainer = Trainer(toy_store(), config, folder, **options)
    if not draws:
        trainer.run.draw_curves = lambda: None  # type: ignore[method-assign]
    trainer.fit(lambda report: None)
    return trainer


@functools.cache
def toy_run(architecture: str) -> Path:
    """A finished run; do not write into it."""
    folder = temporary_folder() / f"run-{architecture}"
    train(folder, toy_config(architecture), draws=architecture == "cnn")
    return folder


@functools.cache
def toy_export(architecture: str) -> ExportReport:
    """The model file of that run; do not write into its folder."""
    return export_run(toy_run(architecture), temporary_folder() / f"{architecture}.onnx", ExportConfig())


PLAIN = AugmentConfig.off()


def lose_stores(run: Path) -> None:
    """Let the description of a copied run name a store that is nowhere."""
    file = run / "run.json"
    gone = {"stores": ["../gone"], "stores_absolute": [str(run.parent / "gone")]}
    file.write_text(json.dumps(json.loads(file.read_text()) | gone))
