"""Feature stores: what was written comes back, damage is refused, nothing half-written stays."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_rows import FRONT_END, N_FRAMES, N_MELS, N_SAMPLES, ROWS, features_of, row, write
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.feature_store import FeatureStore
from data_prep.row_source import open_store
from data_prep.store import COLUMNS, Store, write_rows
from speechcmd.arrays import AnyArray
from speechcmd.errors import StoreError

pytestmark = pytest.mark.runtime


def write_audio_store(path: Path) -> Path:
    path.mkdir()
    np.save(path / "audio.npy", np.zeros(N_SAMPLES, np.int16))
    with (path / "index.csv").open("w", newline="") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, [ROWS[0]])
    statistics = {"mean_trimmed_samples": 400, "p95_trimmed_samples": 400, "n_words_measured": 1}
    info = {"schema": 1, "data_digest": "d", "length": "mean", "statistics": statistics}
    (path / "store.json").write_text(json.dumps(info))
    return path


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5).filter(any), st.sampled_from(["uint8", "float16"]))
def test_any_portions_give_the_same_store(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], dtype: str
) -> None:
    path = tmp_path_factory.mktemp("features") / "store"
    features = features_of(sum(sizes), dtype)
    rows = [row(f"yes/{number}") for number in range(len(features))]
    write(path, rows, np.split(features, np.cumsum(sizes)[:-1]))
    store = FeatureStore.open(path)
    np.testing.assert_array_equal(store.log_mel, features)
    assert store.log_mel.dtype == dtype
    assert [found.offset for found in store.rows] == list(range(len(rows)))
    assert len({found.digest for found in store.rows}) == len(rows)
    assert [replace(found, offset=0, digest="") for found in store.rows] == rows


def test_what_is_written_says_what_it_is(tmp_path: Path) -> None:
    written = write(tmp_path / "deep" / "store")
    store = FeatureStore.open(tmp_path / "deep" / "store")
    assert (store.scale, store.offset, store.n_frames, store.front_end) == (0.1, -14.63, N_FRAMES, FRONT_END)
    assert store.info == written.info
    assert store.rows == written.rows
    assert store.info["content"] == "log_mel"
    # 400 and 600 samples are trained on, 900 is of another split, noise is no word
    assert store.info["statistics"] == {
        "mean_trimmed_samples": 500,
        "p95_trimmed_samples": 590,
        "n_words_measured": 2,
    }
    assert [store.length_samples(length) for length in ("mean", "p95", "0.25")] == [500, 590, 4000]
    assert [found.path for found in store.select("word", "testing")] == ["no/c"]
    assert len(store.select("word")) == 3
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["store"]


def test_true_log_mel_is_scaled_and_moved(tmp_path: Path) -> None:
    pixels = np.full((1, N_FRAMES, N_MELS), 146, np.uint8)
    pixels[0, 2, 3] = 246
    store = write(tmp_path / "store", ROWS[:1], [pixels])
    log_mel = store.log_mel_of(store.rows[0])
    assert log_mel.dtype == np.float32
    assert log_mel.shape == (N_FRAMES, N_MELS)
    assert log_mel[0, 0] == pytest.approx(-0.03, abs=1e-5)
    assert log_mel[2, 3] == pytest.approx(9.97, abs=1e-5)


def test_a_store_without_words_has_no_mean(tmp_path: Path) -> None:
    store = write(tmp_path / "store", ROWS[3:])
    assert set(store.info["statistics"].values()) == {0}


def test_writing_into_the_mapped_features_never_reaches_the_file(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    before = (tmp_path / "store" / "log_mel.npy").read_bytes()
    store.log_mel[:] = 7
    assert (tmp_path / "store" / "log_mel.npy").read_bytes() == before


def test_blocks_are_not_kept(tmp_path: Path) -> None:
    """Memory does not depend on the number of clips."""
    seen: list[weakref.ref[Any]] = []

    def blocks() -> Iterator[AnyArray]:
        for number in range(20):
            alive.append(sum(reference() is not None for reference in seen))
            block = features_of(1, seed=number)
            seen.append(weakref.ref(block))
            yield block
            del block

    alive: list[int] = []
    write(tmp_path / "store", [row(f"yes/{number}") for number in range(20)], blocks())
    assert max(alive) <= 2


def test_the_digest_follows_the_contents_and_their_meaning(tmp_path: Path) -> None:
    first = write(tmp_path / "a").digest
    assert write(tmp_path / "b").digest == first
    changed = features_of(4)
    changed[3, 4, 3] += 1
    others = [
        write(tmp_path / "c", features=[changed]).digest,
        write(tmp_path / "c", scale=0.2).digest,
        write(tmp_path / "c", front_end=FRONT_END | {"log_floor": 5e-7}).digest,
        write(tmp_path / "c", [*ROWS[:3], replace(ROWS[3], split="testing")]).digest,
        write(tmp_path / "c", [replace(ROWS[0], speech_start=99), *ROWS[1:]]).digest,
    ]
    assert len({first, *others}) == 6


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "expected 4 clips, one a row, got 0"),
        ([features_of(3)], "expected 4 clips, one a row, got 3"),
        ([features_of(3), features_of(2)], "1 or more too many"),
        ([features_of(3), features_of(1, "uint8")], "all alike"),
        ([features_of(3), features_of(1)[:, :4]], "all alike"),
        ([features_of(4).astype(np.float32)], "uint8 or float16, got .* of float32"),
        ([features_of(4)[:, :, :3]], r"n_frames, 4\)"),
        ([features_of(4)[0]], "all alike"),
        ([features_of(4).reshape(-1)], "all alike"),
    ],
)
def test_features_that_do_not_fit_leave_nothing(tmp_path: Path, features: list[Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        write(tmp_path / "store", features=features)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_source_leaves_the_older_store(tmp_path: Path) -> None:
    def broken() -> Iterator[AnyArray]:
        yield features_of(2)
        raise RuntimeError("source went away")

    older = write(tmp_path / "store")
    with pytest.raises(RuntimeError, match="went away"):
        write(tmp_path / "store", features=broken())
    assert FeatureStore.open(tmp_path / "store").digest == older.digest
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": 0.0}, "scale: expected a number other than 0, got 0"),
        ({"scale": float("nan")}, "scale: expected a number, got nan"),
        ({"offset": float("inf")}, "offset: expected a number, got inf"),
        ({"front_end": {"n_mels": N_MELS}}, "front_end.sample_rate: .*, got nothing; say how"),
    ],
)
def test_features_without_a_meaning_are_refused(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        write(tmp_path / "store", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_older_feature_store_is_replaced_and_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    write(tmp_path / "store")
    left = tmp_path / ".store.0123456789abcdef.speechcmd-part"
    left.mkdir()
    (left / "log_mel.npy").write_bytes(b"half")
    write(tmp_path / "store", ROWS[:1])
    assert len(FeatureStore.open(tmp_path / "store").rows) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    audio = write_audio_store(tmp_path / "audio")
    for name in ("diary", "store", "new.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("audio", "diary", "file", "store"):
        with pytest.raises(StoreError, match="found something else"):
            write(tmp_path / name)
    write(tmp_path / "new")
    assert len(Store.open(audio).rows) == 1
    assert (tmp_path / "store" / "diary.txt").read_text() == "mine"
    assert (tmp_path / "new.part" / "diary.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"


def test_damage_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "store")
    features, index, info = (tmp_path / "store" / name for name in ("log_mel.npy", "index.csv", "store.json"))
    good_features, good_index = features.read_bytes(), index.read_text()
    good_info = json.loads(info.read_text())

    def refuse(message: str) -> None:
        with pytest.raises(StoreError, match=message):
            FeatureStore.open(tmp_path / "store")
        features.write_bytes(good_features)
        index.write_text(good_index)
        info.write_text(json.dumps(good_info))

    features.write_bytes(good_features[:-1])
    refuse("cannot be mapped")
    features.unlink()
    refuse("found nothing")
    np.save(features, features_of(4).astype(np.float32))
    refuse("of float32")
    index.write_text(good_index.replace("hum,3,", "hum,4,"))
    refuse("has 4 clips, the index needs 5")
    # five frames and all but one sample of a sixth
    index.write_text(good_index.replace(f"yes/b,1,{N_SAMPLES}", f"yes/b,1,{N_SAMPLES + 159}"))
    opened = FeatureStore.open(tmp_path / "store")
    assert [row.n_samples - N_SAMPLES for row in opened.rows] == [0, 159, 0, 0]
    index.write_text(good_index.replace(f"yes/b,1,{N_SAMPLES}", f"yes/b,1,{N_SAMPLES + 160}"))
    refuse(
        f"less than {N_SAMPLES + 160} samples, the 5 frames stored of each, got {N_SAMPLES + 160} of yes/b"
    )
    for change, message in (
        ({"n_frames": 6}, r"expected features \(n, 6, 4\)"),
        ({"scale": None}, "scale: expected a number, got nothing"),
        ({"front_end": None}, "front_end: expected a table, got nothing"),
        ({"schema": 99}, "schema 99"),
    ):
        info.write_text(json.dumps(good_info | change))
        refuse(message)
    assert len(FeatureStore.open(tmp_path / "store").rows) == 4


def test_each_reader_says_what_it_found_instead(tmp_path: Path) -> None:
    audio = write_audio_store(tmp_path / "audio")
    features = write(tmp_path / "features").path
    with pytest.raises(StoreError, match="expected a store of audio, found one of features"):
        Store.open(features)
    with pytest.raises(StoreError, match="expected a store of features, found one of audio"):
        FeatureStore.open(audio)
    assert isinstance(open_store(audio), Store)
    assert isinstance(open_store(str(features)), FeatureStore)


def test_a_missing_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="make one with `speechcmd prepare`"):
        open_store(tmp_path / "store")
    with pytest.raises(StoreError, match="expected a feature store, found none; write it again"):
        FeatureStore.open(tmp_path / "store")
