"""The recipes: every file holds settings that a training takes, and the released models have all they need."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.evaluation.streams.homophone import labels_heard_in
from speechcmd.labels import TEN_WORDS
from speechcmd.training.loop.trained_network import _same_shapes
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.limits import check_limits
from speechcmd.training.settings.recipe import apply_settings, read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`recipes/release.py`, which is a script and no package."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("release", RECIPES / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "release", module)
    spec.loader.exec_module(module)
    return module


def config_of(name: str) -> TrainConfig:
    return apply_settings(TrainConfig(), read_recipe(RECIPES / f"{name}.toml"))


def network_of(name: str) -> KeywordNetwork:
    config = config_of(name)
    n_samples = round(float(config.length) * SAMPLE_RATE)
    return create_model(
        config.architecture, len(config.task.labels), n_samples, config.frontend, **config.model
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_a_recipe_is_a_training(name: str) -> None:
    config = config_of(name)
    check_limits(config)
    network_of(name)


def test_what_a_released_model_needs_is_there(release: ModuleType) -> None:
    assert set(release.RELEASED) <= set(release.TRAININGS)
    for name, training in release.TRAININGS.items():
        config = config_of(name)
        assert {training.initial, training.teacher} - {""} <= set(release.TRAININGS)
        if training.initial:
            weights = [network_of(each).state_dict() for each in (name, training.initial)]
            assert _same_shapes(*weights)
            assert set(config.words) & set(config_of(training.initial).words)
        if training.teacher:
            assert set(config.words) <= set(config_of(training.teacher).words)
            assert config.n_mels >= config_of(training.teacher).n_mels
    for name in release.RELEASED:
        assert ",".join(config_of(name).words) == release.words_of(name)
        assert (RECIPES / "notes" / f"{name}.md").is_file()
    assert tuple(release.TEN.split(",")) == TEN_WORDS


@pytest.mark.parametrize(
    ("name", "most"), [("cnn", 150_000), ("gru", 250_000), ("tiny", 15_000), ("cnn35", 250_000)]
)
def test_released_models_keep_to_their_size(name: str, most: int) -> None:
    assert network_of(name).count_parameters() < most


def test_lookalikes_are_other_words(release: ModuleType) -> None:
    lines = (RECIPES / "lookalikes.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    assert [row[0].rstrip(":") for row in rows] == list(TEN_WORDS)
    words = [word for row in rows for word in row[1:]]
    assert len(words) == len(set(words)) > 200
    heard = [word for word in words if labels_heard_in(word, TEN_WORDS)]
    assert heard == []
