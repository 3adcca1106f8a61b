"""The form in which a network is exported against the one it is trained in: time for a second of a long recording.

usage: python benchmarks/export_forms.py [gru cnn ...] [--seconds 10] [--runs 9]

Networks with random weights (the time does not depend on them) as `recipes/NAME.toml` sets them, in float32, on one core.
The two forms take turns; a figure is the median of its runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.runtime.model.session import Session
from speechcmd.training.export.onnx_export import convert
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.recipe import apply_settings, read_recipe

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
N_LABELS = 12


def make_network(name: str) -> KeywordNetwork:
    config = apply_settings(TrainConfig(), read_recipe(RECIPES / f"{name}.toml"))
    n_samples = round(float(config.length) * SAMPLE_RATE)
    front_end = FrontEndConfig().with_bands(config.n_mels)
    return create_model(config.architecture, N_LABELS, n_samples, front_end, **config.model).eval()


def open_forms(name: str) -> dict[str, Session]:
    """As it is trained, and as it is exported."""
    network = make_network(name)
    exported = convert(network)
    network.for_export = lambda: network  # type: ignore[method-assign]
    trained = convert(network)
    return {
        "as trained": Session(trained.SerializeToString()),
        "as exported": Session(exported.SerializeToString()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=["gru", "cnn"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    audio = rng.standard_normal((1, round(arguments.seconds * SAMPLE_RATE))).astype(np.float32) * np.float32(
        0.05
    )
    print(
        f"{'network':10} {'as trained':>11} {'as exported':>12} {'times':>6}   (ms of a core for a second of audio)"
    )
    for name in arguments.networks:
        forms = open_forms(name)
        seen: dict[str, list[float]] = {form: [] for form in forms}
        for turn in range(arguments.runs + 1):
            for form, session in forms.items():
                began = time.process_time()
                session.run(audio)
                if turn:  # the first fills caches
                    seen[form].append(1_000 * (time.process_time() - began) / arguments.seconds)
        before, after = (statistics.median(seen[form]) for form in forms)
        print(f"{name:10} {before:11.2f} {after:12.2f} {before / after:6.2f}")


if __name__ == "__main__":
    main()
