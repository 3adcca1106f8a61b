"""The mean of the best weights of several runs of one network, as a run to export.

usage: python recipes/average_runs.py OUT RUN...           (a run that stands there twice counts twice)

Trainings that begun with the same weights lie in one valley: the mean of their weights is right more often than each
of them (Wortsman et al. 2022, arXiv 2203.05482). The run is a copy of the last one, with the mean as its best.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from torch import Tensor

from speechcmd.training.loop.checkpoint import BEST, load_checkpoint, save_checkpoint


def mean_of(networks: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor; counts of batches are the last network's."""
    last = networks[-1]
    return {
        name: torch.stack([each[name].double() for each in networks]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in last.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    states = [load_checkpoint(run / BEST) for run in arguments.runs]
    if any(state["labels"] != states[0]["labels"] for state in states):
        parser.error("expected runs with the same words in the same order")
    shutil.copytree(arguments.runs[-1], arguments.out)
    mean = mean_of([state["network"] for state in states])
    save_checkpoint(arguments.out / BEST, {**states[-1], "network": mean})


if __name__ == "__main__":
    main()
