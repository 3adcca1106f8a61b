"""Any recipe and any --set works, or is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from toml_trees import TEXTS, VALUES, tables, toml_file

from data_prep.store import resolve_length
from models.registry import check_settings, list_settings
from speechcmd.errors import SpeechcmdError
from speechcmd.training.settings.catalogue import SETTINGS
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.limits import check_limits
from speechcmd.training.settings.recipe import apply_settings, parse_setting, read_recipe

TOP = [name for name in SETTINGS if "." not in name]
AUGMENT = [name.partition(".")[2] for name in SETTINGS if "." in name]
LIKELY = st.integers(0, 30) | st.floats(0, 1) | st.sampled_from(["cnn", "auto", "1/5", "mean"])
RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "augment": tables(AUGMENT, LIKELY) | VALUES,
        "model": tables(list(list_settings("cnn")), LIKELY | st.lists(st.integers(1, 9))) | VALUES,
    },
).flatmap(lambda inner: tables(TOP, LIKELY).map(lambda top: top | inner))
LONGEST_LINE = 700
FUZZ = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def check(given: dict[str, Any]) -> None:
    """What train does with settings before it opens a store."""
    config = apply_settings(TrainConfig(), given)
    check_limits(config)
    check_settings(config.architecture, config.model)
    resolve_length(config.length, {"mean_trimmed_samples": 1, "p95_trimmed_samples": 1})
    assert config.task.labels
    assert TrainConfig.from_json(config.to_json()).to_json() == config.to_json()


def refusal(given: Callable[[], dict[str, Any]]) -> str:
    """The line with which settings are refused; empty if they are not."""
    line = ""
    try:
        check(given())
    except SpeechcmdError as error:
        line = str(error)
    assert line.isprintable()
    assert len(line) < LONGEST_LINE
    return line


@FUZZ
@given(RECIPES)
@example({"learning_rate": 10**400})
@example({"model": {"channels": 10**400}})
def test_any_tree_works_or_is_refused_in_one_line(tmp_path: Path, content: dict[str, Any]) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_bytes(toml_file(content).encode())
    refusal(lambda: read_recipe(recipe))


@FUZZ
@given(st.binary() | TEXTS.map(str.encode))
@example(b"a = " + b"[" * 100_000)
@example(b"model = {a = " + b"[" * 400 + b"]" * 400 + b"}")
@example(b"\xff\xfeepochs = 3")
def test_any_bytes_work_or_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_bytes(content)
    refusal(lambda: read_recipe(recipe))


@FUZZ
@given(st.sampled_from(tuple(SETTINGS)) | TEXTS, VALUES.map(str) | TEXTS)
@example("learning_rate", "1" + "0" * 400)
@example("model.width", "[" * 100_000)
@example("words", "9" * 5000)
@example("augment.noise_snr_db", "[NaN, 1e999]")
def test_any_set_works_or_is_refused_in_one_line(name: str, value: str) -> None:
    refusal(lambda: dict([parse_setting(f"{name}={value}")]))


def test_a_byte_order_mark_hinders_nothing(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_bytes(b"\xef\xbb\xbfepochs = 3\r\n")
    assert read_recipe(recipe) == {"epochs": 3}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("momentum = 2", "from 0 to 0.9999"),
        ("seed = 99999999999999999999", "64 bits"),
        (f"fold = '1/{'9' * 5000}'", "one like 1/5"),
        (f"unknown = '{'1' * 5000}'", "a number of clips"),
        ('words = ["a\\nb"]', "without control characters"),
        ('teacher = "a\\u0000b"', "without control characters"),
        (f"{'x' * 100_000} = 1", "unknown setting"),
        (f"model.channels = {'[' * 100 + ']' * 100}", "deeper than"),
    ],
    ids=lambda text: text[:20],
)
def test_what_no_training_can_have_is_refused(tmp_path: Path, content: str, why: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(content)
    assert why in refusal(lambda: read_recipe(recipe))
