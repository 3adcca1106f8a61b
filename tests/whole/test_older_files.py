"""What the version of November 2026 wrote, before its modules moved, still opens and means the same.

`support/written_by_0_1_0.tar.xz` was written by that version's own commands on synthetic clips: a store, a store of
features, a finished run, one that was killed and what it became when it was resumed, a model file, results of
`evaluate` and `evaluate-stream`, and a folder of transcripts.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data_prep.feature_store import FeatureStore
from data_prep.store import Store
from speechcmd import Recognizer
from speechcmd.cli.main import cli

ARCHIVE = Path(__file__).resolve().parents[1] / "support" / "written_by_0_1_0.tar.xz"
TRAINING = (
    "--architecture cnn --words no,up --length 0.5 --unknown all --epochs 4 --batch-size 8 --speech-percent 0 "
    "--device cpu --threads 1 --no-spec-augment --negatives none --model channels=[2,4,6] --model width=8 "
    "--model dilations=[1,1]"
)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments), prog_name="speechcmd")
    assert result.exit_code == 0, result.output
    return result


def lines_of(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_stores_open(old: Path) -> None:
    store = Store.open(old / "store")
    assert [sum(row.split == split for row in store.rows) for split in ("training", "validation")] == [
        9 + 3,
        3,
    ]
    assert store.info["statistics"]["mean_trimmed_samples"] == 7822
    assert FeatureStore.open(old / "features").log_mel.shape == (4, 5, 4)


def test_a_model_file_hears_what_it_heard(old: Path) -> None:
    heard = Recognizer.load(old / "toy.onnx")
    assert heard.card.words == ("no", "up")
    output = run("transcribe", "talk.flac", "-m", "toy.onnx", "--threshold", "0.25", "--json").stdout
    found = [json.loads(line) for line in output.splitlines()]
    assert found == lines_of(old / "results" / "talk.flac.jsonl")


def test_results_of_a_batch_count_as_done(old: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in (old / "results").iterdir()}
    newer = max(times.values())
    for recording in [old / "talk.flac", *(old / "corpus" / "no").iterdir()]:
        os.utime(recording, ns=(newer - 1, newer - 1))
    again = run(
        "transcribe", "talk.flac", "corpus/no", "-m", "toy.onnx", "--threshold", "0.25", "--format", "jsonl", "-o", "results/", "--resume",
    )  # fmt: skip
    assert "6 of 6 recordings were done already" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_run_is_exported_again(old: Path) -> None:
    run("export", "run", "-o", "again.onnx", "--name", "toy", "--threshold", "0.3")
    recording = str(old / "talk.flac")
    first, second = (Recognizer.load(old / name).classify(recording) for name in ("toy.onnx", "again.onnx"))
    assert first.label == second.label
    assert first.score == pytest.approx(second.score, abs=1e-5)


def test_a_killed_run_goes_on_as_it_would_have(old: Path) -> None:
    run("train", "store", "--run", "cut", *TRAINING.split(), "--resume")
    ours, theirs = lines_of(old / "cut" / "metrics.jsonl"), lines_of(old / "cut-resumed.jsonl")
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs, strict=True):
        for name in ("train_loss", "validation_loss", "learning_rate", "train_accuracy", "score"):
            assert one[name] == pytest.approx(other[name], rel=1e-4), name


def test_measured_results_make_the_same_figures(old: Path) -> None:
    run("card", "toy.onnx", "--report", "report", "-o", "card.md", "--figures", "now.json")
    assert json.loads((old / "now.json").read_text()) == json.loads((old / "figures.json").read_text())
    shutil.copytree(old / "report", old / "more")
    run("evaluate", "store", "-m", "toy.onnx", "--split", "training", "--report", "more")
    page = (old / "more" / "report.html").read_text(encoding="utf-8")
    # what another measurement left in the folder is on the page as well
    assert "GSM 06.10" in page
    assert "stream.flac" in page
