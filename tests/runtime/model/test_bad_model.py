"""Model files nobody should trust: each is refused in one line, in a process of little memory that lives on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_model import bad_models, endless_model
from click.testing import CliRunner
from fakes import field, model, node, toy_card, toy_graph, toy_model

from speechcmd.cli.main import cli
from speechcmd.errors import ModelError
from speechcmd.runtime.model.allowed_operators import ALLOWED_OPERATORS
from speechcmd.runtime.model.onnx_check import inspect_model
from speechcmd.runtime.model.session import Session

pytestmark = pytest.mark.runtime

MODELS = bad_models()
MADE_IN_PLACE = ["a folder", "a pipe", "missing", "a device", "70 MB"]
LONGEST_S = 10.0
LONGEST_MESSAGE = 500

# loads each file under a gigabyte of address space; a hang ends the process with a traceback
LOADER = """
import faulthandler, json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from speechcmd.errors import ModelError
from speechcmd.runtime.recognition.recognizer import Recognizer
for name in json.load(sys.stdin):
    faulthandler.dump_traceback_later(%f, exit=True)
    began = time.monotonic()
    try:
        Recognizer.load(name)
        kind, message = "loaded", ""
    except BaseException as error:
        kind, message = type(error).__name__, str(error)
    faulthandler.cancel_dump_traceback_later()
    print(json.dumps([name, kind, message, time.monotonic() - began]), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    kind: str
    message: str
    seconds: float


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What loading each file came to, all in one process, with a good model at the end."""
    if sys.platform != "linux":
        pytest.skip("address space is limited on Linux only")
    folder = tmp_path_factory.mktemp("models")
    files = {name: folder / f"{number}.onnx" for number, name in enumerate([*MODELS, *MADE_IN_PLACE, "good"])}
    for name, content in MODELS.items():
        files[name].write_bytes(content)
    files["a folder"].mkdir()
    os.mkfifo(files["a pipe"])
    files["a device"].symlink_to("/dev/zero")
    with files["70 MB"].open("wb") as large:
        large.truncate(70 * 2**20)
    files["good"].write_bytes(toy_model())
    done = subprocess.run(
        [sys.executable, "-c", LOADER % LONGEST_S],
        input=json.dumps([str(path) for path in files.values()]),
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        check=False,
    )
    rows = {path: Outcome(*rest) for path, *rest in map(json.loads, done.stdout.splitlines())}
    found = {name: rows[str(path)] for name, path in files.items() if str(path) in rows}
    first_missing = next((name for name in files if name not in found), "nothing")
    # nothing on standard error either: onnxruntime must not tell an error that is raised once more
    assert (done.returncode, first_missing, done.stderr[:2_000]) == (0, "nothing", "")
    return found


def test_there_are_enough() -> None:
    assert len(MODELS) + len(MADE_IN_PLACE) >= 50


@pytest.mark.parametrize("name", [*MODELS, *MADE_IN_PLACE])
def test_a_bad_model_is_refused_in_one_line(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert outcome.kind == "ModelError"
    assert outcome.message.isprintable()
    assert "protobuf" not in outcome.message  # or it was no model at all, and proves nothing
    assert 10 < len(outcome.message) < LONGEST_MESSAGE
    assert outcome.seconds < LONGEST_S


def test_the_process_lives_on_and_loads_a_good_model(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["good"].kind == "loaded"


@pytest.mark.parametrize("command", [["info"], ["classify", "some.wav"], ["transcribe", "some.wav"]])
@pytest.mark.parametrize("name", ["cut to 1000 bytes", "card is broken JSON", "text", "a loop of 2^62 turns"])
def test_commands_say_it_in_one_line(tmp_path: Path, name: str, command: list[str]) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(MODELS[name])
    result = CliRunner().invoke(cli, [*command, "-m", str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"speechcmd: error: {path}: ")


def test_a_network_that_needs_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechcmd.runtime.model.session._LONGEST_CHECK_S", 0.1)
    session = Session(endless_model(n_nodes=300, n_values=2**20))
    with pytest.raises(ModelError, match=r"took over 0.1 s for its check vector"):
        session.verify(toy_card())
    monkeypatch.setattr("speechcmd.runtime.model.session._LONGEST_CHECK_S", 60.0)
    Session(endless_model(n_nodes=3, n_values=2**10)).verify(toy_card())


def test_memory_is_bounded_without_a_limit_from_outside() -> None:
    """A computer with much memory must not lose it to a file of some kilobytes."""
    with pytest.raises(ModelError, match=r"failed on input .* running Expand"):
        Session(MODELS["expansion to 2^33"]).verify(toy_card())


def test_loops_branches_and_random_values_are_not_allowed() -> None:
    assert not ALLOWED_OPERATORS & {
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
        "RandomNormal",
        "RandomUniform",
        "Bernoulli",
    }
    for operator in sorted(ALLOWED_OPERATORS):
        inspect_model(model(toy_graph(field(1, node(operator, ["scores"], "y")))))
