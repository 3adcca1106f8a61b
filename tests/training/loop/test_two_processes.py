"""Two processes that prepare one store or train one run: the second is refused, the first is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from held_program import held_at, release
from processes import find_speechcmd
from toy_run import WORDS, toy_store_path

from data_prep.store import Store
from data_prep.synthetic import make_corpus
from speechcmd.cli.main import cli
from speechcmd.files import is_part
from speechcmd.training.loop.checkpoint import BEST, LAST, load_checkpoint

TRAINING = (
    "--words", ",".join(WORDS), "--unknown", "0", "--speech-percent", "0", "--epochs", "1", "--batch-size", "16",
    "--threads", "1", "--device", "cpu", "--architecture", "mlp", "--model", "hidden=12",
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is empty."""
    find_speechcmd(monkeypatch)
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def assert_is_told_of(first_id: int, folder: str, arguments: tuple[object, ...]) -> None:
    """A second process ends with 1 and one line that says who writes there."""
    second = run(*arguments)
    assert (second.exit_code, second.stdout) == (1, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"speechcmd: error: {folder}: process {first_id} on ")
    assert f" {arguments[0]} " in line
    assert line.endswith("writes there; wait until it has ended, or choose another name")


def test_two_that_prepare_one_store() -> None:
    make_corpus(Path("corpus"), ("no", "up"), n_speakers=4, clips_per_word=4, noise_s=1.0)
    prepare = ("prepare", "corpus", "--store", "store", "--workers", "1")
    with held_at("before:data_prep.store_writer:StoreWriter:finish", *prepare) as first:
        assert_is_told_of(first.pid, "store", prepare)
        assert not Path("store").exists()
        assert release(first) == 0
    rows = Store.open(Path("store")).rows
    assert sum(row.kind == "word" for row in rows) == 8
    assert len({row.path for row in rows if row.kind == "word"}) == 8


def test_two_that_train_one_run() -> None:
    train = ("train", toy_store_path(), "--run", "run", *TRAINING)
    with held_at("after:speechcmd.training.loop.trainer::save_checkpoint", *train) as first:
        there = Path("run", LAST).read_bytes() if Path("run", LAST).exists() else b""
        assert_is_told_of(first.pid, "run", train)
        assert_is_told_of(first.pid, "run", (*train, "--resume"))
        assert (Path("run", LAST).read_bytes() if there else b"") == there
        assert release(first) == 0
    assert load_checkpoint(Path("run", LAST))["epoch"] == 1
    assert Path("run", BEST).exists()
    assert not [path for path in Path("run").iterdir() if is_part(path.name)]
    assert len(Path("run", "metrics.jsonl").read_text().splitlines()) == 1
