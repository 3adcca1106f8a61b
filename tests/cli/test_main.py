"""The group of commands: quick help, and every error as one line with the right exit status."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from speechcmd import __version__
from speechcmd.cli import main as cli_main
from speechcmd.cli.main import COMMANDS, cli
from speechcmd.errors import ModelError

pytestmark = pytest.mark.runtime


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    """A command `fail` that raises what the test puts into it."""
    monkeypatch.setitem(COMMANDS, "fail", "Fail.")
    monkeypatch.setitem(sys.modules, "speechcmd.cli.commands.fail", sys.modules[__name__])
    return Failing


class Failing:
    error: BaseException = Exception()


@click.command()
def fail() -> None:
    raise sys.modules[__name__].Failing.error


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="speechcmd")


def test_help_lists_the_commands_without_importing_them() -> None:
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from speechcmd.cli.main import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "heavy = {'numpy', 'rich', 'soundfile', 'onnxruntime', 'torch', 'speechcmd.cli.commands.classify'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name, help_line in COMMANDS.items():
        assert f"  {name}" in result.stdout
        assert help_line[:30] in result.stdout


@pytest.mark.parametrize("name", ["info", "classify", "transcribe"])
def test_the_table_agrees_with_the_commands(name: str) -> None:
    command = getattr(import_module(f"speechcmd.cli.commands.{name}"), name)
    assert command.name == name
    assert run(name, "-h").exit_code == 0


def test_version() -> None:
    assert run("--version").output == f"speechcmd {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["--nosuch"], ["classify"], ["transcribe", "--format", "x"]]
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelError("no such model"), "no such model"),
        (ModelError("two\nlines"), "two lines"),
        (FileNotFoundError(2, "No such file or directory", "x.json"), "x.json: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 'pip install ".[train]"'),
        (ModuleNotFoundError("No module named 'onnx.x'", name="onnx.x"), 'pip install ".[evaluate]"'),
        (ModuleNotFoundError("No module named 'scipy'", name="scipy"), 'pip install ".[evaluate]"'),
        (ModuleNotFoundError("No module named 'soxr'", name="soxr"), 'pip install "."'),
        (ZeroDivisionError("division by zero"), "internal error: ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_is_one_line(failing: type[Failing], error: Exception, expected: str) -> None:
    failing.error = error
    result = run("fail")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("speechcmd: error: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr


def test_the_extra_that_is_advised_is_the_smaller_one_that_has_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    # "evaluate" last: it is the smaller one
    smallest = {
        re.split(r"\W", line.replace("-", "_"))[0]: extra
        for extra in ("train", "evaluate")
        for line in project["project"]["optional-dependencies"][extra]
    }
    assert smallest == cli_main.EXTRA_OF_PACKAGE


def test_debug_shows_the_traceback(failing: type[Failing]) -> None:
    failing.error = ModelError("deep inside")
    assert "--debug" in cli_main._one_line(ZeroDivisionError())
    result = run("--debug", "fail")
    assert result.exception is failing.error


def test_an_interrupt_exits_130(failing: type[Failing]) -> None:
    failing.error = KeyboardInterrupt()
    assert run("fail").exit_code == 130


def test_a_closed_pipe_is_quiet(failing: type[Failing]) -> None:
    failing.error = BrokenPipeError(32, "Broken pipe")
    assert run("fail").stderr == ""


def test_the_program_runs() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "speechcmd", "info", "-m", "nosuch.onnx"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == "speechcmd: error: nosuch.onnx: no such model file\n"
