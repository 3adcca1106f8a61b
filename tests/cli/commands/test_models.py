"""`speechcmd models`."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner, Result

from models.registry import create_model, list_architectures
from models.summary import describe_architecture, summarise
from speechcmd.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["models", *map(str, arguments)])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Fewer architectures: a sliding and a windowed one."""
    names = ("mlp", "rnn")
    monkeypatch.setattr("models.registry.list_architectures", lambda: names)
    return names


def test_a_table_for_people(few: tuple[str, ...]) -> None:
    result = run("--length", 0.5, "--labels", 4)
    assert result.exit_code == 0
    header, mlp, rnn, *rest = result.stdout.splitlines()
    assert header == "architecture  kind       window  parameters  MACs/window  MACs/second"
    parameters = create_model("mlp", 4, 8_000).count_parameters()
    # 0.5 s are 48 frames, 12 times four: 112 units over 12 x 40, twice 112 x 112, 4 labels
    macs = 112 * (12 * 40 + 112 + 112 + 4)
    assert mlp.split() == ["mlp", "sliding", "0.500", "s", f"{parameters:,}", f"{macs / 1e6:.2f}", "M",
                           f"{25 * macs / 1e6:.2f}", "M"]  # fmt: skip
    assert rnn.startswith("rnn           windowed  ")
    assert "12.80 M per second" in " ".join(rest)
    assert "mlp  Fully connected layers over the whole window (arXiv 1711.07128)" in rest
    assert "rnn  The plain recurrent network: one tanh layer" in rest
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_for_programs(few: tuple[str, ...]) -> None:
    facts = [json.loads(line) for line in run("--json").stdout.splitlines()]
    assert [each["architecture"] for each in facts] == list(few)
    expected = summarise("mlp", 12, 16_000, {})
    assert facts[0] == {
        "architecture": "mlp",
        "description": "Fully connected layers over the whole window",
        "arxiv": ["1711.07128"],
        "kind": "sliding",
        "window_s": 0.98,
        "step_s": 0.04,
        "parameters": expected.parameters,
        "macs_per_window": expected.cost.window,
        "macs_per_second": expected.cost.second,
        "front_end_macs_per_window": 96 * 128_000,
        "front_end_macs_per_second": 12_800_000,
        "settings": {"hidden": 112, "dropout": 0.2},
    }


def test_one_architecture_with_its_settings() -> None:
    result = run("cnn", "--model", "width=8", "--model", "channels=[4,6,8]", "--labels", 3)
    assert result.exit_code == 0
    expected = summarise("cnn", 3, 16_000, {"width": 8, "channels": [4, 6, 8]})
    lines = result.stdout.splitlines()
    facts = [line.split(":  ") for line in lines if ":  " in line]
    assert {name: value.strip() for name, value in facts} | {"description": ""} == {
        "architecture": "cnn",
        "description": "",
        "kind": "sliding",
        "window": "0.990 s",
        "step": "0.040 s",
        "parameters": f"{expected.parameters:,}",
        "MACs": f"{expected.cost.window / 1e6:.2f} M per window, {expected.cost.second / 1e6:.2f} M per second",
        "front end": "12.42 M more per window, 12.80 M per second",
    }
    settings = lines[lines.index("settings:") + 1 :]
    assert settings == [
        "  --model channels=[4,6,8]",
        "  --model width=8",
        "  --model dilations=[1,1,2,2]",
        "  --model dropout=0.2",
    ]
    # they can be given as they are printed
    given = [part for line in settings for part in line.split()]
    assert run("cnn", *given, "--labels", 3).stdout == result.stdout


def test_a_setting_may_change_the_kind() -> None:
    ((sliding,), (windowed,)) = (
        [json.loads(run("ds_cnn", *given, "--json").stdout)["kind"]]
        for given in ((), ("--model", "time_padding=true"))
    )
    assert (sliding, windowed) == ("sliding", "windowed")


@pytest.mark.parametrize("name", list_architectures())
def test_each_is_described_by_its_documentation(name: str) -> None:
    description, arxiv = describe_architecture(name)
    assert 10 < len(description) < 110
    assert not description.endswith(".")
    assert arxiv or name == "rnn"  # Elman 1990 is not there


def test_a_number_that_a_line_end_parts_is_found_once() -> None:
    assert describe_architecture("bc_resnet")[1] == ("2106.04140",)
    assert describe_architecture("gru")[1] == ("1711.07128", "1703.05390")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("transformer",), "expected one of mlp, rnn"),
        (("--model", "width=8"), "expected the NAME of an architecture"),
        (("cnn", "--model", "width"), "expected NAME=VALUE, got 'width'"),
        (("--length", "nan"), "expected seconds from 0.1 to 10, got nan"),
        (("--length", 11), "expected seconds from 0.1 to 10, got 11"),
        (("--labels", 0), "0 is not in the range"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[object, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("wdth=8", "cnn: unknown setting 'wdth'; it has channels, dilations, dropout, width"),
        ("n_labels=8", "cnn: unknown setting 'n_labels'"),
        ("width=-8", "cnn: no network can be built with width=-8"),
    ],
)
def test_what_makes_no_network_exits_1(setting: str, message: str) -> None:
    result = run("cnn", "--model", setting)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_torch_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run()
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "torch" in result.stderr
    assert 'pip install ".[train]"' in result.stderr
