"""The project as a whole: version, wheel, sizes, and that nothing names the machine it was made on."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import data_prep
import models
import speechcmd
from speechcmd.runtime.model.figures import Figures, Rate, Share

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("speechcmd", "data_prep", "models")
MAX_WHEEL_BYTES = 5_000_000
MAX_LINES = 430  # a longer file is probably two ideas


def tracked_files() -> list[Path]:
    """Files that git knows or would take; the tests run in a clone."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tracked files: offline, and without touching the clone."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked_files():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(built),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_version_has_one_source_and_a_changelog_entry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "speechcmd.__version__"}
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == speechcmd.__version__


def test_wheel_is_small_and_bears_the_version(wheel: Path) -> None:
    assert wheel.name == f"speechcmd-{speechcmd.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_wheel_holds_the_three_packages_and_nothing_else(wheel_names: set[str]) -> None:
    top = {name.partition("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert {name for name in wheel_names if name.partition("/")[0] in PACKAGES} == ours
    assert {f"{package}/py.typed" for package in PACKAGES} <= wheel_names


def test_wheel_holds_models_and_licences(wheel_names: set[str]) -> None:
    assert {name for name in wheel_names if name.startswith("speechcmd/assets/") and name.endswith(".onnx")}
    assert "speechcmd/assets/NOTICE" in wheel_names
    info = f"speechcmd-{speechcmd.__version__}.dist-info"
    assert f"{info}/licenses/LICENSE" in wheel_names
    assert f"{info}/entry_points.txt" in wheel_names


def test_the_quick_list_names_files_that_are_there() -> None:
    names = (ROOT / "tests" / "quick.txt").read_text(encoding="utf-8").split()
    assert len(names) > 20
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_wheel_needs_no_training_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    required = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    assert set(required) == {
        "numpy",
        "onnxruntime",
        "filelock",
        "msgspec",
        "soundfile",
        "soxr",
        "sounddevice",
        "click",
        "rich",
        "pysubs2",
        "praatio",
    }
    assert "Requires-Dist: onnxruntime!=1.27.0" in metadata


def test_packages_are_ours() -> None:
    """`models` is a common name: another distribution must not stand before it."""
    places = {
        Path(package.__file__ or "").resolve().parent.parent for package in (speechcmd, data_prep, models)
    }
    assert places == {ROOT}


def test_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_installed_version_is_the_version() -> None:
    try:
        installed = importlib.metadata.version("speechcmd")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from the source tree without installation")
    assert installed == speechcmd.__version__


def test_no_file_names_a_machine_or_a_registry() -> None:
    # written in pieces, so that this file does not name them either
    forbidden = [
        re.escape("/".join(parts)) for parts in (("", "work", ""), ("", "root", ""), ("", "home", ""))
    ]
    forbidden += [
        r"pypi\.org/" + "simple",
        r"extra-index" + "-url",
        r"--index" + "-url",
        r"files\.python" + "hosted",
    ]
    pattern = re.compile(("|".join(forbidden)).encode())
    found = []
    for path in tracked_files():
        for match in pattern.finditer(path.read_bytes()):
            found.append(f"{path.relative_to(ROOT)}: {match[0].decode()}")
    assert found == []


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in tracked_files() if path.suffix == ".py"}
    assert len(lengths) > 30
    assert {path.name: n for path, n in lengths.items() if n >= MAX_LINES} == {}


def percent_of(share: Share) -> str:
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def row_of(page: str, begin: str) -> str:
    (row,) = [
        line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line.startswith(begin)
    ]
    return row


def figures_of(name: str) -> tuple[Share, Rate]:
    """Accuracy on clips, and false accepts as the model is set."""
    figures = Figures.from_json((ROOT / f"speechcmd/assets/{name}.json").read_text(encoding="utf-8"))
    assert figures.clips is not None
    assert figures.stream is not None
    rate = figures.stream.points[0].false_accepts
    assert rate is not None
    return figures.clips.accuracy, rate


def test_the_page_of_the_released_models_quotes_their_figures() -> None:
    page = "docs/measurements/released-models.md"
    names = ("cnn", "gru", "tiny")
    accuracies = row_of(page, "| 12 classes").split("|")[2:-1]
    rates = row_of(page, "| false accepts per hour as set").split("|")[2:-1]
    for name, accuracy_cell, rate_cell in zip(names, accuracies, rates, strict=True):
        accuracy, rate = figures_of(name)
        assert accuracy_cell.strip() == percent_of(accuracy), name
        assert rate_cell.strip() == f"{rate.per_hour:.1f} [{rate.low:.1f}, {rate.high:.1f}]", name


def test_readme_tells_its_two_commands() -> None:
    """`.ci/run` runs the blocks after these marks literally."""
    readme = (ROOT / "README.md").read_text()
    for name in ("run", "test"):
        blocks = re.findall(rf"<!-- command: {name} -->\n+```bash\n(.+?)```", readme, re.DOTALL)
        assert len(blocks) == 1, name
        assert "speechcmd transcribe examples/" in blocks[0] or name == "test"
        assert "pytest" in blocks[0] or name == "run"
