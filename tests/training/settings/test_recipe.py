"""Recipes and single settings: what they may say, what is refused, and which of them counts."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from click.testing import CliRunner, Result
from msgspec import Meta
from run_checks import failure
from toy_run import toy_store_path

from speechcmd.cli.commands.train import train as train_command
from speechcmd.cli.main import cli
from speechcmd.cli.options.train_settings import _NAMES, _SWITCHES
from speechcmd.training.settings.catalogue import SETTINGS
from speechcmd.training.settings.config import AugmentConfig, TrainConfig
from speechcmd.training.settings.limits import check_limits, parse_fold
from speechcmd.training.settings.recipe import apply_settings, parse_setting, read_recipe

RECIPE = """
architecture = "mlp"
learning_rate = 1
words = ["no", "up"]
unknown = 30
length = 0.7
ema = 0.99

[model]
hidden = 8

[augment]
noise_percent = 80
noise_snr_db = [0, 20]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(**settings: Any) -> TrainConfig:
    """A configuration with settings by name, "__" for the dot."""
    return apply_settings(TrainConfig(), {name.replace("__", "."): value for name, value in settings.items()})


# --- files


def test_a_recipe_by_hand(tmp_path: Path) -> None:
    config = apply_settings(TrainConfig(seed=3, model={"dropout": 0.0}), read_recipe(write(tmp_path, RECIPE)))
    assert config == TrainConfig(
        architecture="mlp", learning_rate=1.0, words=("no", "up"), unknown="30", length="0.7", ema=0.99,
        seed=3, model={"hidden": 8, "dropout": 0.0},
        augment=AugmentConfig(noise_percent=80.0, noise_snr_db=(0.0, 20.0)),
    )  # fmt: skip
    assert type(config.learning_rate) is float
    assert type(config.augment.noise_percent) is float
    assert all(type(ratio) is float for ratio in config.augment.noise_snr_db)


def test_what_a_run_writes_is_a_recipe_of_it(tmp_path: Path) -> None:
    config = changed(
        words=["ja", "näin \"so\""], augment__noise_snr_db=[-5, 12.5], model__channels=[4, 6], teacher="a\\b",
        learning_rate=1e-7, augment__image_percent=30, deterministic=True, fold="2/5",
    )  # fmt: skip
    again = apply_settings(TrainConfig(), read_recipe(write(tmp_path, config.to_toml())))
    assert again == config
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixpu = 0.2", "recipe.toml: unknown setting 'mixpu'; the nearest is 'mixup'"),
        ("[augment]\nnoise_precent = 3", "'augment.noise_precent'; the nearest is 'augment.noise_percent'"),
        ("[optimizer]\nname = 'sgd'", "unknown setting 'optimizer.name'; the nearest is 'optimizer'"),
        ("model = 3", "unknown setting 'model'; it is a table, write model.NAME"),
        ("[augment.noise]\nshare = 3", "'augment.noise'; the nearest is 'augment.noise_percent'"),
        ("[modle]", "unknown setting 'modle'; the nearest is 'model'"),
        ("[modle]\nwidth = 3", "unknown setting 'modle.width'; the nearest is 'model.width'"),
        ("epochs = ", "recipe.toml: not TOML"),
        ("epochs: 3", "recipe.toml: not TOML"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in failure(lambda: read_recipe(write(tmp_path, text)))


def test_tables_may_be_empty(tmp_path: Path) -> None:
    assert read_recipe(write(tmp_path, "epochs = 3\n[augment]\n[model]")) == {"epochs": 3}


def test_a_recipe_that_cannot_be_read(tmp_path: Path) -> None:
    assert "none.toml: cannot be read (No such file" in failure(lambda: read_recipe(tmp_path / "none.toml"))
    (tmp_path / "noise.toml").write_bytes(b"\xff\xfe\x00")
    assert "not TOML" in failure(lambda: read_recipe(tmp_path / "noise.toml"))


# --- single settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ema=0.999", ("ema", 0.999)),
        (" epochs = 3 ", ("epochs", 3)),
        ("deterministic=true", ("deterministic", True)),
        ("deterministic=false", ("deterministic", False)),
        ("teacher=runs/a=b", ("teacher", "runs/a=b")),
        ("fold=1/5", ("fold", "1/5")),
        ("teacher=", ("teacher", "")),
        ("augment.noise_snr_db=[0, 20]", ("augment.noise_snr_db", [0, 20])),
        ("model.anything=[1,2]", ("model.anything", [1, 2])),
    ],
)
def test_settings_of_the_command_line(text: str, expected: tuple[str, Any]) -> None:
    assert parse_setting(text) == expected


def test_every_setting_can_be_set_to_what_it_is() -> None:
    config = changed(fold="1/2")
    values = asdict(config)
    augment = values.pop("augment")
    del values["model"]
    settings = values | {f"augment.{name}": value for name, value in augment.items()}
    assert set(SETTINGS) == set(settings)
    assert apply_settings(TrainConfig(), settings) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixpu=1", "--set: unknown setting 'mixpu'; the nearest is 'mixup'"),
        ("augment.noise_precent=1", "the nearest is 'augment.noise_percent'"),
        ("noise_percent=1", "the nearest is 'augment.noise_percent'"),
        ("modle.width=1", "the nearest is 'model.width'"),
        ("tau=2", "unknown setting 'tau'; the nearest is 'model.tau'"),
        ("dropout=0.1", "the nearest is 'model.dropout'"),
        ("time_padding=true", "the nearest is 'model.time_padding'"),
        ("widht=64", "the nearest is 'model.width'"),
        ("lr=0.1", "the nearest is 'learning_rate'"),
        ("noise=0", "the nearest is 'augment.noise_percent'"),
        ("augment.mixup=0", "the nearest is 'mixup'"),
        ("ema_decay=0.9", "the nearest is 'ema'"),
        ("teacher_wieght=0.9", "the nearest is 'teacher_weight'"),
        ("tua=2", "the nearest is 'model.tau'"),
        ("depth=2", "unknown setting 'depth'; docs/reference/"),
        (
            "zzz=1",
            "unknown setting 'zzz'; docs/reference/training-settings.md and the config.toml of any run name them all",
        ),
        ("=1", "unknown setting ''; docs/reference/"),
        ("model.=1", "unknown setting 'model.'"),
        ("model.a.b=3", "unknown setting 'model.a.b'"),
        ("augment.noise.db=3", "unknown setting 'augment.noise.db'"),
        ("ema=much", "ema: expected a number from 0 to 0.99999, got 'much'"),
        ("ema=true", "ema: expected a number from 0 to 0.99999, got True"),
        ("epochs=2.5", "epochs: expected a whole number of at least 0, got 2.5"),
        ("epochs=true", "epochs: expected a whole number of at least 0, got True"),
        ("deterministic=1", "deterministic: expected true or false, got 1"),
        ("deterministic=True", "deterministic: expected true or false, got 'True'"),
        ("deterministic=no", "deterministic: expected true or false, got 'no'"),
        ("optimizer=[1]", "optimizer: expected one of adamw, adam, sgd, rmsprop, got [1]"),
        ("teacher=null", "teacher: expected text, got nothing"),
        ("words=5", "words: expected a list of words, got 5"),
        ("words=[true]", "words[0]: expected text, got True"),
        (
            "augment.noise_snr_db=7",
            "augment.noise_snr_db: expected two ratios from -100 to 100 dB, the lower first, got 7",
        ),
        (
            "augment.noise_snr_db=5,30",
            "augment.noise_snr_db: expected two ratios from -100 to 100 dB, the lower first, got '5,30'",
        ),
        (
            "augment.noise_snr_db=[1]",
            "augment.noise_snr_db: expected two ratios from -100 to 100 dB, the lower first, got [1]",
        ),
        ('augment.noise_snr_db=[1,"a"]', "augment.noise_snr_db[1]: expected a number, got 'a'"),
    ],
)
def test_what_is_no_setting_is_one_line(text: str, message: str) -> None:
    assert message in failure(lambda: apply_settings(TrainConfig(), dict([parse_setting(text)])))


# --- limits

_TYPES = {name: setting.base for name, setting in SETTINGS.items()}
_RANGES = {
    name: next(extra for extra in get_args(setting.kind) if isinstance(extra, Meta))
    for name, setting in SETTINGS.items()
    if setting.base in (int, float)
}
_CHOICES = {
    name: get_args(setting.base) for name, setting in SETTINGS.items() if get_origin(setting.base) is Literal
}


def with_value(name: str, value: Any) -> TrainConfig:
    inner = name.rpartition(".")[2]
    if "." in name:
        shift = (
            {} if inner == "time_shift_ms" else {"time_shift_ms": 1_000}
        )  # no shift, no word that lies late
        # nothing to cut off where the bands end at 4000 Hz
        n_mels = 48 if inner == "narrow_percent" else 40
        augment = replace(AugmentConfig(), **shift, **{inner: value})
        return replace(TrainConfig(), n_mels=n_mels, augment=augment)
    # half-seen words, which are the default, do not go with mixtures
    whole = replace(AugmentConfig(), half_seen_percent=0.0)
    return replace(TrainConfig(), augment=whole, **{inner: value})


def test_every_number_has_a_limit() -> None:
    assert len(_RANGES) > 40
    assert all(limits.ge is not None for limits in _RANGES.values())


@pytest.mark.parametrize("name", _RANGES)
def test_numbers_at_and_beyond_their_limits(name: str) -> None:
    limits = _RANGES[name]
    lowest, highest = (None if edge is None else _TYPES[name](edge) for edge in (limits.ge, limits.le))
    little = 1 if _TYPES[name] is int else lowest * 0.1 or 1e-6
    check_limits(with_value(name, lowest))
    assert failure(lambda: check_limits(with_value(name, lowest - little))).startswith(f"{name}: expected ")
    if highest is None:
        check_limits(with_value(name, 10**9))
        beyond: Any = float("inf")
    else:
        check_limits(with_value(name, highest))
        beyond = highest + (1 if _TYPES[name] is int else highest * 1e-6)
    for value in (beyond, float("nan")):
        assert f", got {value}" in failure(lambda value=value: check_limits(with_value(name, value)))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["n_steps", "augment.half_seen_percent", "augment.neighbour_percent"])
def test_what_cannot_go_together(name: str) -> None:
    """Mixed targets where each answer is asked what it hears of its clip's one word."""
    whole = {"augment.half_seen_percent": 0}
    both = apply_settings(TrainConfig(), whole | {name: 3, "mixup": 2})
    plain = {"n_steps": 1}.get(name, 0)
    assert failure(lambda: check_limits(both)) == (
        f"mixup: expected 0 beside {name} = 3, which must know where the one word of a clip lies, got 2; "
        f"set mixup=0 or {name}={plain}"
    )
    check_limits(apply_settings(both, {name: plain}))
    check_limits(apply_settings(both, {"mixup": 0}))


def test_words_stay_where_validation_has_them() -> None:
    late = apply_settings(TrainConfig(), {"augment.late_ms": 180})
    assert failure(lambda: check_limits(late)) == (
        "augment.late_ms: expected at most augment.time_shift_ms = 100, as validation has words in the middle of "
        "its windows, got 180; set a larger augment.time_shift_ms"
    )
    check_limits(apply_settings(late, {"augment.time_shift_ms": 180}))


def test_what_is_narrow_already_is_not_cut() -> None:
    both = apply_settings(TrainConfig(), {"augment.narrow_percent": 15})
    assert failure(lambda: check_limits(both)) == (
        "augment.narrow_percent: expected 0 with n_mels = 40, above which is nothing, got 15; set a larger n_mels"
    )
    check_limits(apply_settings(both, {"n_mels": 48}))


def test_hard_negatives_need_the_main_process() -> None:
    both = apply_settings(TrainConfig(), {"hard_percent": 20, "n_workers": 2})
    assert failure(lambda: check_limits(both)) == (
        "n_workers: expected 0 beside hard_percent = 20, as loader processes keep the windows they began with, "
        "got 2; set n_workers=0 or hard_percent=0"
    )
    check_limits(apply_settings(both, {"n_workers": 0}))
    check_limits(apply_settings(both, {"hard_percent": 0}))


@pytest.mark.parametrize("name", _CHOICES)
def test_choices(name: str) -> None:
    for choice in _CHOICES[name]:
        check_limits(with_value(name, choice))
    message = failure(lambda: check_limits(with_value(name, "nonsense")))
    assert message == f"{name}: expected one of {', '.join(_CHOICES[name])}, got 'nonsense'"


@pytest.mark.parametrize(
    "ratios", [(5.0, 4.9), (-100.1, 0.0), (0.0, 100.1), (float("nan"), 1.0), (0.0, float("inf"))]
)
def test_ratios_out_of_order(ratios: tuple[float, float]) -> None:
    assert "the lower first, got " in failure(
        lambda: check_limits(with_value("augment.noise_snr_db", ratios))
    )
    for fine in ((5.0, 5.0), (-100.0, 100.0)):
        check_limits(with_value("augment.noise_snr_db", fine))


def test_folds() -> None:
    assert parse_fold("") is None
    assert parse_fold("1/2") == (0, 2)
    assert parse_fold("10/10") == (9, 10)
    for wrong in ("0/5", "6/5", "1/1", "1", "/", "a/b", "1/5/2", "-1/5", "1.0/5", "²/5", " 1/5"):
        message = failure(lambda wrong=wrong: check_limits(with_value("fold", wrong)))  # type: ignore[misc]
        assert message == f"fold: expected one like 1/5, got {wrong!r}"


# --- the command line


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmd.training.loop.trainer import Trainer

    monkeypatch.setattr(Trainer, "fit", lambda self, report, on_scan: None)


def run(folder: Path, *options: object) -> Result:
    arguments = ("train", toy_store_path(), "--run", folder, "--device", "cpu", *options)
    return CliRunner().invoke(cli, list(map(str, arguments)))


def config_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "config.toml").read_text())


def test_defaults_of_the_options_are_those_of_the_settings() -> None:
    config, checked = TrainConfig(), set()
    for option in train_command.params:
        name = _NAMES.get(str(option.name), str(option.name))
        if option.name in _SWITCHES:
            assert option.default is True
            assert all(getattr(config.augment, inner) for inner in _SWITCHES[option.name])
            assert not any(getattr(AugmentConfig.off(), inner) for inner in _SWITCHES[option.name])
        elif hasattr(config, name):
            checked.add(name)
            expected = getattr(config, name)
            expected = ",".join(expected) if isinstance(expected, tuple) else expected
            if expected and name != "length":  # which is the store's
                assert option.default == expected, name
            else:
                assert option.default in (expected, None) or repr(option.default).endswith("UNSET"), name
    assert {"epochs", "batch_size", "optimizer", "schedule", "learning_rate", "n_workers"} <= checked


@pytest.mark.usefixtures("no_training")
def test_what_comes_before_what(tmp_path: Path) -> None:
    """Defaults, the recipe, options that were given, `--set`: each beats what stands before it."""
    recipe = write(tmp_path, RECIPE + "time_shift_ms = 30\n")
    options = (
        "--recipe", recipe, "--learning-rate", "0.5", "--batch-size", "8", "--model", "hidden=9",
        "--no-noise", "--set", "batch_size=9", "--set", "augment.gain_db=1", "--set", "augment.gain_db=2",
    )  # fmt: skip
    result = run(tmp_path / "run", *options)
    assert result.exit_code == 0, result.output
    config = config_of(tmp_path / "run")
    assert config["weight_decay"] == TrainConfig().weight_decay  # nobody says anything
    assert (config["architecture"], config["words"], config["ema"]) == ("mlp", ["no", "up"], 0.99)
    assert (config["unknown"], config["length"]) == ("30", "0.7")  # the options have defaults: not given
    assert config["augment"]["time_shift_ms"] == 30
    assert config["learning_rate"] == 0.5
    assert config["augment"]["noise_percent"] == 0
    assert config["model"] == {"hidden": 9}
    assert config["batch_size"] == 9
    assert config["augment"]["gain_db"] == 2


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--set", "ema"), 2, "--set: expected NAME=VALUE, got 'ema'"),
        (("--set", "mixpu=1"), 1, "--set: unknown setting 'mixpu'; the nearest is 'mixup'"),
        (("--set", "ema=1"), 1, "ema: expected a number from 0 to 0.99999, got 1"),
        (("--set", "architecture=nonsense"), 1, "architecture: expected one of mlp, rnn"),
        (("--set", "length=long"), 1, "length: expected mean, p95 or a number of seconds, got 'long'"),
        (
            ("--set", "unknown=some"),
            1,
            "unknown: expected auto, official, all or a number of clips, got 'some'",
        ),
        (("--recipe", "none.toml"), 1, "none.toml: cannot be read"),
        (("--recipe", "."), 2, "is a directory"),
        (("--optimizer", "lion"), 2, "'lion' is not one of 'adamw', 'adam', 'sgd', 'rmsprop'"),
        (("--schedule", "poly"), 2, "'poly' is not one of 'cosine', 'linear', 'step', 'constant'"),
    ],
)
def test_wrong_settings_are_one_line(
    tmp_path: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    result = run(tmp_path / "run", "--words", "no,up", *options)
    assert result.exit_code == status, result.output
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    if status == 1:
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
