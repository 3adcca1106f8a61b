"""Who may import whom: checked over every file with `ast`, and over `sys.modules` in a fresh process."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("speechcmd", "data_prep", "models")
GROUND_FLOOR = frozenset(
    {
        "speechcmd.arrays", "speechcmd.audio", "speechcmd.errors", "speechcmd.files", "speechcmd.folder_lock", "speechcmd.json_toml",
        "speechcmd.labels", "speechcmd.processes", "speechcmd.progress", "speechcmd.typed", "msgspec",
    }
)  # fmt: skip
ANYTHING = "*"


@dataclass(frozen=True)
class Room:
    """What the files under a path may import; `lazy` only inside functions or for type checking.

    Names of modules cover all below them. Where rooms overlap, the longest path decides.
    """

    path: str
    may_import: frozenset[str]
    lazy: frozenset[str] = frozenset()


def room(path: str, *may_import: str, lazy: tuple[str, ...] = ()) -> Room:
    return Room(path, frozenset(may_import), frozenset(lazy))


VERSION = "speechcmd.__version__"
RUNTIME = "speechcmd.runtime"
EVALUATION_GROUND = (
    *GROUND_FLOOR, VERSION, RUNTIME, "speechcmd.evaluation.intervals", "speechcmd.evaluation.provenance",
    "speechcmd.evaluation.mistakes", "speechcmd.evaluation.wording",
)  # fmt: skip
# each may import itself and those before it
FLOORS_OF_RUNTIME = ("model", "recognition", "output", "microphone", "listening")
LAZY_IN_RUNTIME = {"output": ("pysubs2", "praatio"), "microphone": ("sounddevice",)}

GROUND_OF_TRAINING = ("batch", "counter_random", "to_device")
TRAINED_ON = (
    "data_prep.store", "data_prep.feature_store", "data_prep.row_source", "data_prep.task",
    "data_prep.word_window", "data_prep.split", "data_prep.voices", "data_prep.shipped_negatives",
)  # fmt: skip
# each room of training, and those below it that it may import
ROOMS_OF_TRAINING = {
    "settings": (),
    "augment": ("settings",),
    "data": ("settings", "augment"),
    "mining": ("settings", "augment", "data"),
    "loop": ("settings", "augment", "data", "mining"),
    "series": ("settings", "augment", "data", "mining", "loop"),
    "export": ("settings", "augment", "data", "mining", "loop"),
}
LIBRARIES_OF_TRAINING = {
    "settings": ("tomli_w",),
    "loop": ("lightning_fabric", "matplotlib"),
    "series": ("matplotlib", "speechcmd.evaluation.intervals"),
    "export": ("onnx", "onnxruntime.quantization"),
}

# the table of rooms, row by row; the standard library is open to all
ROOMS = (
    room("speechcmd/errors.py"),
    room("speechcmd/arrays.py", "numpy"),
    room("speechcmd/processes.py", "speechcmd.errors"),
    room("speechcmd/json_toml.py"),
    room("speechcmd/labels.py"),
    room("speechcmd/typed.py", "msgspec"),
    room("speechcmd/progress.py"),
    room("speechcmd/files.py"),
    room("speechcmd/folder_lock.py", "speechcmd.errors", "speechcmd.files", "speechcmd.json_toml", lazy=("filelock",)),
    room("speechcmd/audio/", "numpy", "speechcmd.arrays", "speechcmd.audio", "speechcmd.errors"),
    room("speechcmd/audio/reading.py", "numpy", "speechcmd.arrays", "speechcmd.audio", "speechcmd.errors", lazy=("soundfile",)),
    room("speechcmd/audio/resampling.py", "numpy", "speechcmd.arrays", "speechcmd.audio", lazy=("soxr",)),
    room("speechcmd/audio/forward_file.py", "soundfile"),
    room("speechcmd/__init__.py", "speechcmd.errors", lazy=(RUNTIME,)),
    room("speechcmd/__main__.py", "speechcmd.cli"),
    room("data_prep/", *GROUND_FLOOR, VERSION, "data_prep", "numpy", "librosa", "rich", "soundfile"),
    *(
        room(f"data_prep/{name}.py", *GROUND_FLOOR, "data_prep", "numpy")
        for name in (
            "store", "store_check", "store_folder", "feature_store", "row_source",
            "voices",
        )
    ),
    room("data_prep/download.py", *GROUND_FLOOR, "data_prep", lazy=("torchaudio",)),
    room("data_prep/audit_files.py", *GROUND_FLOOR, "data_prep", "numpy", lazy=("matplotlib",)),
    room("models/", *GROUND_FLOOR, "models", "numpy", "torch", "librosa"),
    room("speechcmd/runtime/__init__.py"),
    *(
        room(
            f"speechcmd/runtime/{name}/", *GROUND_FLOOR, "numpy",
            *(f"{RUNTIME}.{reached}" for reached in FLOORS_OF_RUNTIME[: floor + 1]),
            lazy=LAZY_IN_RUNTIME.get(name, ()),
        )
        for floor, name in enumerate(FLOORS_OF_RUNTIME)
    ),
    room("speechcmd/runtime/model/engine.py", "onnxruntime"),
    room("speechcmd/training/", *GROUND_FLOOR, "models", "numpy", "torch"),
    *(
        room(
            f"speechcmd/training/{name}/", *GROUND_FLOOR, VERSION, RUNTIME, *TRAINED_ON, "models",
            *(f"speechcmd.training.{reached}" for reached in (*GROUND_OF_TRAINING, *reaches, name)),
            "numpy", "torch", *LIBRARIES_OF_TRAINING.get(name, ()),
        )
        for name, reaches in ROOMS_OF_TRAINING.items()
    ),
    room("speechcmd/evaluation/", *EVALUATION_GROUND, "numpy", "scipy"),
    room(
        "speechcmd/evaluation/clips/", *EVALUATION_GROUND, "speechcmd.evaluation.clips",
        "data_prep.store", "data_prep.row_source", "data_prep.task", "data_prep.split", "data_prep.corpus",
        "data_prep.speaker", "data_prep.voices", "numpy",
    ),
    room(
        "speechcmd/evaluation/streams/", *EVALUATION_GROUND, "speechcmd.evaluation.streams", "data_prep.split",
        "numpy", "scipy", lazy=("soundfile",),
    ),
    room(
        "speechcmd/evaluation/synthesis/", *EVALUATION_GROUND, "speechcmd.evaluation.streams",
        "speechcmd.evaluation.synthesis", "data_prep.store", "numpy", lazy=("soundfile",),
    ),
    room(
        "speechcmd/evaluation/calibration/", *EVALUATION_GROUND, "speechcmd.evaluation.clips",
        "speechcmd.evaluation.streams", "speechcmd.evaluation.calibration", "numpy", "onnx", lazy=("scipy",),
    ),
    room(
        "speechcmd/evaluation/robustness/", *EVALUATION_GROUND, "speechcmd.evaluation.clips",
        "speechcmd.evaluation.robustness", "numpy", lazy=("scipy", "soundfile"),
    ),
    room(
        "speechcmd/evaluation/report/", *EVALUATION_GROUND, "speechcmd.evaluation.clips",
        "speechcmd.evaluation.streams", "speechcmd.evaluation.robustness", "speechcmd.evaluation.report",
        "numpy", lazy=("jinja2", "matplotlib", "scipy"),
    ),
    room(
        "speechcmd/batch/", *GROUND_FLOOR, "speechcmd.runtime.model", "speechcmd.runtime.recognition",
        "speechcmd.runtime.output", "speechcmd.batch",
    ),
    room(
        "speechcmd/cli/", "speechcmd.errors", "speechcmd.audio.suffixes", "speechcmd.files",
        "speechcmd.folder_lock", "speechcmd.json_toml", "speechcmd.labels", "speechcmd.processes", VERSION,
        "speechcmd.cli", "speechcmd.batch", "click", "rich", lazy=(ANYTHING,),
    ),
    *(
        room(
            f"speechcmd/cli/{name}.py", "click", "msgspec", "speechcmd.cli", "speechcmd.typed",
            "speechcmd.training.settings", lazy=(ANYTHING,),
        )
        for name in ("commands/train", "options/train_settings")
    ),
    *(
        room(
            f"speechcmd/cli/{name}/", "speechcmd.errors", "speechcmd.audio.suffixes", "speechcmd.files",
            "speechcmd.labels", "speechcmd.batch", "click", "rich", *below,
            lazy=(RUNTIME, "speechcmd.audio", "speechcmd.training", "speechcmd.evaluation", "data_prep", "numpy",
                  "_typeshed"),
        )
        for name, *below in (
            ("console", "speechcmd.cli.console"),
            ("options", "speechcmd.cli.console", "speechcmd.cli.options"),
        )
    ),
    room("speechcmd/assets/"),
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    line: int
    module: str
    lazy: bool


@functools.cache
def imports_of(source: str) -> tuple[Import, ...]:
    """The imports of a file's text: hundreds of files are read by more than one test."""
    return tuple(find_imports(ast.parse(source)))


def find_imports(tree: ast.AST, lazy: bool = False) -> Iterator[Import]:
    """All imports of a file, one a name; `from a import b` is `a.b`, which may be a module or not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (Import(node.lineno, f"{base}.{alias.name}", lazy) for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from find_imports(node, lazy=True)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for part, is_lazy in ((node.body, True), (node.orelse, lazy)):
                yield from find_imports(ast.Module(part, []), is_lazy)
        else:
            yield from find_imports(node, lazy)


def is_within(module: str, allowed: frozenset[str]) -> bool:
    parts = module.split(".")
    prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return ANYTHING in allowed or not prefixes.isdisjoint(allowed)


def room_of(path: str) -> Room:
    rooms = [
        room
        for room in ROOMS
        if path == room.path or (room.path.endswith("/") and path.startswith(room.path))
    ]
    if not rooms:
        raise LookupError(f"{path} lies in no room of the table")
    return max(rooms, key=lambda room: len(room.path))


def find_breaches(path: str, source: str) -> list[str]:
    """What a file imports and may not. `path` is relative to the repository."""
    room = room_of(path)
    breaches = []
    for found in imports_of(source):
        if found.module.partition(".")[0] in sys.stdlib_module_names:
            continue
        allowed = room.may_import | (room.lazy if found.lazy else frozenset())
        if not is_within(found.module, allowed):
            breaches.append(f"{path}:{found.line} imports {found.module}{' lazily' if found.lazy else ''}")
    return breaches


def our_files() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for name in OURS for path in (ROOT / name).rglob("*.py"))


def test_no_file_imports_what_its_room_may_not() -> None:
    files = our_files()
    assert len(files) > 20
    assert [breach for path in files for breach in find_breaches(path, (ROOT / path).read_text())] == []


def test_a_class_has_a_name_of_its_own() -> None:
    """One name, one thing: whoever searches for a class finds it, not another of its name."""
    places: dict[str, list[str]] = {}
    for path in our_files():
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path)
    assert len(places) > 200
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_file_goes_round_the_walls_by_name() -> None:
    """`import_module` hides an import from this test; only two lazy tables may use it."""
    users = {path for path in our_files() if "import_module" in (ROOT / path).read_text()}
    assert users <= {"speechcmd/__init__.py", "speechcmd/cli/main.py"}
    assert [path for path in our_files() if "__import__(" in (ROOT / path).read_text()] == []


def test_types_of_arrays_have_one_name_each() -> None:
    sources = {
        path: path.read_text() for package in (*OURS, "tests") for path in (ROOT / package).rglob("*.py")
    }
    users = {path.relative_to(ROOT).as_posix() for path, source in sources.items() if "npt.NDArray" in source}
    assert users == {"speechcmd/arrays.py", "tests/whole/test_import_walls.py"}


def test_nobody_imports_onnxruntime_before_it_is_told_to_send_nothing() -> None:
    """It is told so in `speechcmd/__init__.py`; elsewhere its door is `speechcmd.runtime.model.engine`."""
    files = [
        path
        for name in ("speechcmd/cli", "tests", "benchmarks", "recipes", "examples")
        for path in (ROOT / name).rglob("*.py")
    ]
    assert len(files) > 100
    importers = [
        f"{path}:{found.line}"
        for path in files
        if "onnxruntime" in (source := path.read_text())
        for found in imports_of(source)
        if is_within(found.module, frozenset({"onnxruntime"}))
    ]
    assert importers == []


@pytest.mark.parametrize(
    ("path", "source", "n_breaches"),
    [
        ("speechcmd/runtime/model/x.py", "import torch", 1),
        ("speechcmd/runtime/model/x.py", "def f():\n    if f:\n        import torch.nn", 1),
        ("speechcmd/runtime/model/x.py", "import sounddevice", 1),
        ("speechcmd/runtime/model/x.py", "def f():\n    import onnxruntime", 1),
        ("speechcmd/training/loop/x.py", "import onnxruntime", 1),
        ("speechcmd/training/data/x.py", "from speechcmd.training.augment import pipeline", 0),
        ("speechcmd/training/data/x.py", "def f():\n    from speechcmd.training.mining import speech_scan", 1),
        ("speechcmd/training/settings/x.py", "from speechcmd.training.augment.draws import draw_gain", 1),
        ("speechcmd/training/series/x.py", "from speechcmd.training.export import onnx_export", 1),
        ("speechcmd/runtime/microphone/x.py", "def f():\n    import sounddevice", 0),
        ("speechcmd/runtime/recognition/x.py", "import speechcmd.runtime.model.card", 0),
        ("speechcmd/runtime/model/x.py", "import speechcmd.runtime.recognition.decoder", 1),
        ("speechcmd/runtime/microphone/x.py", "from speechcmd.runtime import listening", 1),
        ("speechcmd/runtime/model/x.py", "from speechcmd import audio, errors", 0),
        ("speechcmd/runtime/model/x.py", "from speechcmd import training", 1),
        ("speechcmd/runtime/model/x.py", "from ..training import loop", 1),
        ("speechcmd/audio/reading.py", "import soxr", 1),
        ("data_prep/x.py", "if TYPE_CHECKING:\n    from speechcmd.cli import main", 1),
        ("data_prep/x.py", "def f():\n    import torchaudio", 1),
        ("data_prep/download.py", "async def f():\n    from torchaudio.datasets import speechcommands", 0),
        ("data_prep/download.py", "import torchaudio", 1),
        ("models/x.py", "import torch\nimport onnx\nimport data_prep.store", 2),
        ("models/sub/x.py", "import modelsmith", 1),
        ("speechcmd/training/loop/x.py", "import torch, click", 1),
        ("speechcmd/evaluation/x.py", "import torch", 1),
        ("speechcmd/cli/x.py", "import click\nimport numpy", 1),
        ("speechcmd/cli/options/x.py", "def f():\n    from speechcmd.cli.commands import train", 1),
        ("speechcmd/cli/console/x.py", "def f():\n    from speechcmd.cli.options import size", 1),
        ("speechcmd/batch/x.py", "import click\nfrom speechcmd.cli.console import output", 2),
        ("speechcmd/cli/x.py", "import click\ndef f():\n    import torch", 0),
        ("speechcmd/cli/x.py", "if TYPE_CHECKING:\n    import numpy\nelse:\n    import torch", 1),
    ],
)  # fmt: skip
def test_the_walls_stand(path: str, source: str, n_breaches: int) -> None:
    assert len(find_breaches(path, source)) == n_breaches


def test_a_new_folder_needs_a_room() -> None:
    with pytest.raises(LookupError, match="no room"):
        room_of("speechcmd/attic/x.py")


IMPORTED_BY_OTHERS = {"onnxscript"}  # by torch.onnx


def test_every_package_that_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["train"], *extras["evaluate"]]
    declared = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in lines}  # type: ignore[index]
    imported = {
        each.module.partition(".")[0]
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
        for each in imports_of(path.read_text(encoding="utf-8"))
    }
    assert declared - imported == IMPORTED_BY_OTHERS


HEAVY = {"torch", "torchaudio", "librosa", "matplotlib", "onnx", "scipy", "sklearn", "numba"}
HELP = """
import runpy
try:
    runpy.run_module("speechcmd", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
"""

ALL_COMMANDS = """
import click
from speechcmd.cli.main import cli
for name in cli.list_commands(click.Context(cli)):
    assert cli.get_command(click.Context(cli), name).params is not None
"""
TOO_HEAVY_FOR_HELP = HEAVY | {"numpy", "onnxruntime", "soundfile"}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after running `code`."""
    report = "\nimport sys\nprint('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report, *arguments],
        cwd=ROOT, env=os.environ | {"COLUMNS": "100"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("code", "never"),
    [
        ("import speechcmd", HEAVY | {"numpy", "onnxruntime", "click"}),
        ("import data_prep.store", HEAVY | {"onnxruntime", "click", "soundfile"}),
        ("import data_prep.row_source", HEAVY | {"onnxruntime", "click", "soundfile"}),
        ("import data_prep.download", HEAVY | {"onnxruntime", "click", "soundfile"}),
        ("import data_prep.synthetic", HEAVY | {"onnxruntime", "click"}),
        ("from speechcmd import Recognizer", HEAVY | {"click", "sounddevice"}),
    ],
)
def test_imports_stay_light(code: str, never: set[str]) -> None:
    assert loaded_by(code) & never == set()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_stays_light(option: str) -> None:
    assert loaded_by(HELP, option) & TOO_HEAVY_FOR_HELP == set()


def test_options_of_every_command_stay_light() -> None:
    assert loaded_by(ALL_COMMANDS) & TOO_HEAVY_FOR_HELP == set()
