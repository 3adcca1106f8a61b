"""The folder of a training run: what was asked, what came of it, epoch by epoch."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.shipped_negatives import ShippedStore
from data_prep.task import digest_of_names, draw_unknown
from speechcmd import __version__
from speechcmd.errors import TrainingError
from speechcmd.files import open_binary, write_text
from speechcmd.json_toml import parse_json
from speechcmd.training.data.shipped_negatives import record_shipped
from speechcmd.training.data.training_data import TrainingData, note_heard_voices
from speechcmd.training.loop.checkpoint import BEST, LAST
from speechcmd.training.settings.config import TrainConfig

SOURCE_FOLDER = Path(__file__).resolve().parents[3]
METRICS_FILE = "metrics.jsonl"
RUN_FILE = "run.json"


class RunFolder:
    """Writes config.toml, run.json, metrics.jsonl, curves.png and the lists of drawn clips."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, stores: Sequence[AnyStore], config: TrainConfig, data: TrainingData) -> None:
        """Start a new run.

        Raises
        ------
        TrainingError
            If the folder already holds a run.
        """
        if (self.path / LAST).exists():
            raise TrainingError(
                "holds a run already", path=self.path, advice="go on with --resume or choose another --run"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / BEST).unlink(missing_ok=True)  # of a run that never came to its last.pt
        self.write("config.toml", config.to_toml())
        draws = {}
        for split, task in (("training", data.training), ("validation", data.validation)):
            drawn = draw_unknown(task, config.task)
            names = [task.examples.paths[index] for index in drawn]
            self.write(f"unknown_{split}.txt", "".join(f"{name}\n" for name in names))
            draws[split] = {"n_clips": len(drawn), "sha256": digest_of_names(names)}
        self.write(RUN_FILE, json.dumps(_describe(stores, config, draws, self.path), indent=1) + "\n")
        self.write(METRICS_FILE, "")

    def check_same_data(self, stores: Sequence[AnyStore]) -> None:
        """Refuse to go on with a run on other data than it was begun with; note where the stores are now.

        Raises
        ------
        TrainingError
            If the store's contents are others.
        """
        described, source = read_run_file(self.path), JoinedStores(stores)
        begun = described["data_digest"]
        if begun != source.digest:
            raise TrainingError(
                f"the run was begun on a store with digest {begun[:12]}, {source.path} has "
                f"{source.digest[:12]}",
                path=self.path,
                advice="resume with the same store or choose another --run",
            )
        moved = described | describe_places(stores, self.path)
        if moved != described:
            self.write(RUN_FILE, json.dumps(moved, indent=1) + "\n")

    def write(self, name: str, text: str) -> None:
        """Write a text file of the run; names of clips in it may hold any bytes."""
        write_text(self.path / name, text, errors="surrogateescape")

    def append_metrics(self, metrics: dict[str, Any]) -> None:
        """Add one epoch's line."""
        with (self.path / METRICS_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(metrics) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All epochs so far; a line that a kill cut short is left out."""
        metrics = []
        for line in (self.path / METRICS_FILE).read_text(encoding="utf-8").splitlines():
            try:
                entry = parse_json(line)
            except ValueError:
                break
            metrics.append(entry)
        return metrics

    def cut_metrics(self, n_epochs: int) -> None:
        """Forget what lies beyond the checkpoint that a run goes on from."""
        kept = self.read_metrics()[:n_epochs]
        self.write(METRICS_FILE, "".join(json.dumps(entry) + "\n" for entry in kept))

    def draw_curves(self) -> None:
        """Draw loss and accuracy, and stream recall if it was measured, over the epochs into curves.png."""
        from matplotlib.figure import Figure

        metrics = self.read_metrics()
        epochs = [entry["epoch"] + 1 for entry in metrics]
        figure = Figure(figsize=(10, 4), layout="constrained")
        for axes, what, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("", " (%)"), strict=True):
            for split, colour in (("train", "#8a8a8a"), ("validation", "#1f6fb4")):
                axes.plot(epochs, [entry[f"{split}_{what}"] for entry in metrics], color=colour, label=split)
            if what == "accuracy" and all("stream_recall" in entry for entry in metrics):
                recalls = [entry["stream_recall"] for entry in metrics]
                axes.plot(epochs, recalls, color="#d55e00", label="stream recall")
            axes.set(xlabel="epoch", title=f"{what}{unit}")
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
        with open_binary(self.path / "curves.png") as file:
            figure.savefig(file, format="png", dpi=110)


def read_run_file(run: Path) -> dict[str, Any]:
    """The description of a run.

    Raises
    ------
    TrainingError
        If it is missing or damaged.
    """
    try:
        described: dict[str, Any] = parse_json((run / RUN_FILE).read_text(encoding="utf-8"))
        if not isinstance(described["data_digest"], str):
            raise TypeError("a digest is a text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            "missing or damaged; expected the folder of a training run", path=run / RUN_FILE
        ) from error
    return described


def describe_places(stores: Sequence[AnyStore], run: Path) -> dict[str, list[str]]:
    """Where the stores of a run are, from the run's folder, which a moved project keeps, and absolutely.

    What lies on another drive has no way from the run's folder.
    """
    absolute = [store.path.resolve() for store in stores]
    try:
        relative = [Path(os.path.relpath(path, run.resolve())).as_posix() for path in absolute]
    except ValueError:
        relative = [str(path) for path in absolute]
    return {"stores": relative, "stores_absolute": [str(path) for path in absolute]}


def _describe(
    stores: Sequence[AnyStore], config: TrainConfig, draws: dict[str, Any], run: Path
) -> dict[str, Any]:
    packages = ("torch", "numpy", "lightning-fabric", "librosa")
    source = JoinedStores(stores)
    return {
        "tool_version": __version__,
        **describe_places([store for store in stores if not isinstance(store, ShippedStore)], run),
        "data_digest": source.digest,
        "statistics": source.statistics,
        "shipped": record_shipped(stores, config.words),
        "voices": note_heard_voices(source, config.words),
        "seed": config.seed,
        "unknown_rule": config.unknown,
        "unknown_draws": draws,
        "command": shlex.join(sys.argv),
        "git_commit": _git_commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "n_threads": torch.get_num_threads(),
        "n_cpus": os.cpu_count(),
    }


def _git_commit() -> str:
    """Commit of the source tree, "" where there is none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    top, commit = done.stdout.splitlines()
    # installed inside somebody's project, the commit would be theirs
    return commit if Path(top).resolve() == SOURCE_FOLDER else ""
