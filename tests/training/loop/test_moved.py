"""A project that was moved or copied: runs still find their stores, or are told where they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from toy_run import lose_stores, toy_config, toy_run, toy_store_path, train

from data_prep.store import Store
from speechcmd.cli.main import cli
from speechcmd.errors import StoreError, TrainingError
from speechcmd.training.export.run_clips import stores_of
from speechcmd.training.loop.run_folder import RunFolder, describe_places
from speechcmd.training.settings.config import check_same_training


def described(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def speechcmd(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def change(run: Path, **values: Any) -> None:
    kept = {name: value for name, value in (described(run) | values).items() if value is not None}
    (run / "run.json").write_text(json.dumps(kept))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a store and a run on it."""
    folder = tmp_path / "project"
    store = shutil.copytree(toy_store_path(), folder / "data" / "store")
    run = shutil.copytree(toy_run("cnn"), folder / "runs" / "one")
    change(run, **describe_places([Store.open(store)], run))
    return folder


def paths_of(run: Path, *places: Path) -> list[Path]:
    return [store.path.resolve() for store in stores_of(run, places)]


def test_a_project_that_was_moved_finds_its_store(project: Path) -> None:
    moved = project.rename(project.with_name("moved"))
    assert paths_of(moved / "runs" / "one") == [moved / "data" / "store"]


def test_a_copy_takes_its_own_store(project: Path) -> None:
    copy = Path(shutil.copytree(project, project.with_name("copy")))
    assert paths_of(copy / "runs" / "one") == [copy / "data" / "store"]


def test_a_run_that_was_moved_alone_finds_its_store(project: Path) -> None:
    moved = (project / "runs" / "one").rename(project.parent / "one")
    assert paths_of(moved) == [project / "data" / "store"]


@pytest.mark.parametrize("older", [{"store": True}, {"stores": True}])
def test_a_run_of_an_older_version_is_read(project: Path, older: dict[str, bool]) -> None:
    run, path = project / "runs" / "one", str(project / "data" / "store")
    given = {"store": path, "stores": None} if "store" in older else {"stores": [path]}
    change(run, stores_absolute=None, **given)
    assert paths_of(run) == [project / "data" / "store"]


def test_a_store_that_is_elsewhere_has_to_be_named(project: Path) -> None:
    run = project / "runs" / "one"
    there = (project / "data" / "store").rename(project.parent / "store")
    with pytest.raises(StoreError, match=r"one: the store .* is not at .*store; say where it is now with"):
        stores_of(run)
    assert paths_of(run, there) == [there]
    with pytest.raises(StoreError, match="trained on 1 stores, got 2; give all, in the order"):
        stores_of(run, [there, there])


def test_another_store_in_its_place_is_refused(project: Path) -> None:
    run, info = project / "runs" / "one", project / "data" / "store" / "store.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"data_digest": "f" * 64}))
    with pytest.raises(StoreError, match="has ffffffffffff: it is another, or was changed since"):
        stores_of(run)


def test_export_is_told_where_the_store_is(project: Path) -> None:
    run = project / "runs" / "one"
    lose_stores(run)
    options = ("export", run, "-o", project / "model.onnx", "--balance")
    failed = speechcmd(*options)
    assert failed.exit_code == 1
    assert "say where it is now with --store DIR" in failed.stderr
    done = speechcmd(*options, "--store", project / "data" / "store")
    assert done.exit_code == 0, done.stderr
    assert "balanced: " in done.stdout
    wrong = speechcmd("export", run, "-o", project / "other.onnx", "--store", project)
    assert (wrong.exit_code, (project / "other.onnx").exists()) == (1, False)


def test_a_resumed_run_notes_where_its_store_is_now(project: Path) -> None:
    run = project / "runs" / "one"
    lose_stores(run)
    RunFolder(run).check_same_data([Store.open(project / "data" / "store")])
    assert described(run)["stores"] == ["../../data/store"]
    assert described(run)["stores_absolute"] == [str(project / "data" / "store")]


def test_folders_of_a_moved_project_do_not_hinder_a_resume(tmp_path: Path) -> None:
    begun = toy_config(teacher="old/teacher", initial="old/run", feature_cache="old/cache")
    moved = replace(begun, teacher="new/teacher", initial="new/run", feature_cache="new/cache")
    check_same_training(begun.to_json(), moved, tmp_path)
    for name in ("teacher", "initial", "feature_cache"):
        with pytest.raises(TrainingError, match=f"begun with {name} = old/.*, now it is ;"):
            check_same_training(begun.to_json(), replace(begun, **{name: ""}), tmp_path)


def test_a_run_resumes_after_its_teacher_has_moved(tmp_path: Path) -> None:
    old, new = (shutil.copytree(toy_run("cnn"), tmp_path / name) for name in ("old", "new"))
    config = toy_config(teacher=str(old), epochs=1)
    train(tmp_path / "run", config)
    shutil.rmtree(old)
    resumed = train(tmp_path / "run", replace(config, teacher=str(new)), resume=True)
    assert (resumed.epoch, resumed.config.teacher) == (1, str(new))
