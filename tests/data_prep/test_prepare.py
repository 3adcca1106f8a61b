"""Preparing a corpus: the same store however many workers, however often killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import speechcmd
from data_prep.clip_workers import portions_of
from data_prep.prepare import PrepareConfig, prepare_store
from data_prep.store import Store
from data_prep.synthetic import make_corpus
from speechcmd.audio.coloured_noise import coloured_noise
from speechcmd.errors import CorpusError, StoreError

FILES = ("audio.npy", "index.csv", "store.json")
WORDS = ("up", "down", "left", "right", "stop", "go")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(
        tmp_path_factory.mktemp("corpus") / "clips", WORDS, n_speakers=8, clips_per_word=40, noise_s=2
    )


@pytest.fixture(scope="module")
def whole(corpus: Path) -> Store:
    """The store of an undisturbed run in one process."""
    return prepare_store(PrepareConfig(corpus, n_workers=1), corpus.parent / "whole", "0").store


def contents(store: Path) -> list[bytes]:
    return [(store / name).read_bytes() for name in FILES]


def test_workers_change_nothing(corpus: Path, whole: Store, tmp_path: Path) -> None:
    prepare_store(PrepareConfig(corpus, n_workers=3), tmp_path / "store", "0")
    assert contents(tmp_path / "store") == contents(whole.path)
    assert [row.path for row in whole.rows] == sorted(
        row.path for row in whole.rows if row.kind == "word"
    ) + [row.path for row in whole.rows if row.kind == "noise"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of another kind there")
def test_a_killed_run_is_taken_up_and_gives_the_same_store(tmp_path: Path) -> None:
    """kill -9 of the real command in the middle; its workers end by themselves."""
    corpus = make_corpus(tmp_path / "clips", WORDS, n_speakers=8, clips_per_word=200, noise_s=2)
    undisturbed = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "whole", speechcmd.__version__)
    store = tmp_path / "store"
    command = [
        sys.executable,
        "-m",
        "speechcmd",
        "prepare",
        str(corpus),
        "--store",
        str(store),
        "--workers",
        "2",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(speechcmd.__file__).parent.parent)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    index = tmp_path / "store.part" / "index.csv"
    wait_until(lambda: index.exists() and index.read_bytes().count(b"\n") > 60, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not store.exists()
    n_kept = index.read_bytes().count(b"\n") - 1
    assert 0 < n_kept < len(undisturbed.store.rows)
    wait_until(lambda: not group_is_alive(process.pid))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert contents(store) == contents(undisturbed.store.path)
    assert not (tmp_path / "store.part").exists()


def wait_until(
    condition: object, process: subprocess.Popen[bytes] | None = None, seconds: float = 60.0
) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, "ended before it could be killed"
        time.sleep(0.005)


def group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def test_a_finished_store_of_the_same_files_is_left_as_it_is(corpus: Path, tmp_path: Path) -> None:
    first = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0")
    changed = (tmp_path / "store" / "audio.npy").stat().st_mtime_ns
    again = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0")
    assert (first.was_complete, again.was_complete) == (False, True)
    assert (tmp_path / "store" / "audio.npy").stat().st_mtime_ns == changed
    longer = prepare_store(PrepareConfig(corpus, n_workers=1, length="p95"), tmp_path / "store", "0")
    assert longer.was_complete
    assert Store.open(tmp_path / "store").info["length"] == "p95"


def test_other_files_make_a_new_store(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "clips", WORDS[:2], n_speakers=6, clips_per_word=6, noise_s=1)
    first = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0").store
    next((corpus / "up").iterdir()).unlink()
    second = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0")
    assert not second.was_complete
    assert len(second.store.rows) == len(first.rows) - 1


def test_bad_files_are_listed_and_skipped(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "clips", WORDS[:2], n_speakers=6, clips_per_word=6, noise_s=1)
    (corpus / "up" / "bad_nohash_0.wav").write_bytes(b"no audio")
    (corpus / "up" / "bad_nohash_1.wav").write_bytes(b"")
    prepared = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0")
    assert [skipped.path for skipped in prepared.skipped] == ["up/bad_nohash_0.wav", "up/bad_nohash_1.wav"]
    assert "empty" in prepared.skipped[1].reason
    assert len(prepared.store.select("word")) == 12
    again = prepare_store(PrepareConfig(corpus, n_workers=1), tmp_path / "store", "0")
    assert again.skipped == prepared.skipped


def test_no_usable_clip_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "clips" / "up").mkdir(parents=True)
    (tmp_path / "clips" / "up" / "bad_nohash_0.wav").write_bytes(b"no audio")
    with pytest.raises(CorpusError, match=r"none can be used; the first: up/bad_nohash_0.wav"):
        prepare_store(PrepareConfig(tmp_path / "clips"), tmp_path / "store", "0")
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_something_else_at_the_store_s_place_is_not_touched(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(StoreError, match="choose another --store"):
        prepare_store(PrepareConfig(corpus), tmp_path / "photos", "0")
    with pytest.raises(StoreError, match="length: expected mean, p95"):
        prepare_store(PrepareConfig(corpus, length="long"), tmp_path / "store", "0")


def test_recordings_come_in_with_kind_role_and_split(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "clips", WORDS[:1], n_speakers=6, clips_per_word=6, noise_s=1)
    talk = tmp_path / "talk" / "anna"
    talk.mkdir(parents=True)
    noise = coloured_noise(48_000, 0.0, np.random.default_rng(0)) * 0.01
    for name in ("a.flac", "b.flac", "c.flac"):
        soundfile.write(talk / name, noise, 48_000)
    (tmp_path / "talk" / "roles.csv").write_text("path,role\nanna/a.flac,train\nanna/b.flac,figures\n")
    config = PrepareConfig(corpus, speech=(tmp_path / "talk",), n_workers=1)
    store = prepare_store(config, tmp_path / "store", "0").store
    found = [(row.path, row.role, row.split, row.n_samples) for row in store.select("speech")]
    assert found == [
        ("talk/anna/a.flac", "train", "training", 16_000),
        ("talk/anna/b.flac", "figures", "testing", 16_000),
    ]
    assert store.info["unused_recordings"] == 1
    assert store.select("noise")


def test_portions_are_bounded_and_keep_the_order(corpus: Path) -> None:
    from data_prep.corpus import scan_corpus

    sources = scan_corpus(corpus).sources
    portions = list(portions_of(sources))
    assert [source for portion in portions for source in portion] == list(sources)  # type: ignore[union-attr]
    assert max(len(portion) for portion in portions) == 64  # type: ignore[arg-type]
