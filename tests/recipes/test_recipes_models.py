"""Scripts for further training: weights read back from a file, means of weights, speech between commands."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.registry import create_model
from speechcmd.runtime.model.engine import onnxruntime
from speechcmd.runtime.model.model_file import ASSETS
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.recipe import apply_settings, read_recipe

sys.path.append(str(Path(__file__).resolve().parents[2] / "recipes"))  # scripts, no package

from average_runs import mean_of
from cut_between_words import stretches
from weights_of_file import fill

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [(0, 80_000)]),
        ([(2.0, 2.5)], [(0, 30_400), (41_600, 80_000)]),
        ([(3.9, 4.1), (0.5, 1.0)], [(17_600, 60_800)]),
    ],
)
def test_what_lies_between_commands_is_long_enough_and_away_from_them(
    words: list[tuple[float, float]], expected: list[tuple[int, int]]
) -> None:
    assert stretches(80_000, words) == expected


def test_a_mean_of_weights_counts_each_network_and_leaves_counts_alone() -> None:
    networks = [
        {"weight": torch.tensor([value]), "n": torch.tensor(number)}
        for value, number in ((1.0, 3), (1.0, 3), (4.0, 5))
    ]
    mean = mean_of(networks)
    assert mean["weight"].tolist() == [2.0]
    assert mean["n"] == 5


@pytest.mark.parametrize("name", ["cnn", "tiny"])
def test_weights_read_back_from_a_file_answer_as_the_file(name: str) -> None:
    """Nearly: the values between its layers are in 8 bits."""
    config = apply_settings(TrainConfig(), read_recipe(RECIPES / f"{name}.toml"))
    model = onnx.load(ASSETS / f"{name}.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal((8, 32_000)).astype(np.float32) * np.geomspace(1e-3, 0.2, 8)[:, None]
    waveform = waveform.astype(np.float32)
    expected = session.run(None, {"waveform": waveform})[0]
    n_samples = Recognizer.load(ASSETS / f"{name}.onnx").card.window_samples
    network = create_model(config.architecture, expected.shape[2], n_samples, config.frontend, **config.model)
    fill(network, model.graph, network.features(torch.from_numpy(waveform)))
    with torch.no_grad():
        answer = network.eval()(torch.from_numpy(waveform)).numpy()
    assert np.abs(answer - expected).mean() < 0.2
    assert np.corrcoef(answer.ravel(), expected.ravel())[0, 1] > 0.99
