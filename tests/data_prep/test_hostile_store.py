"""Stores from somebody else: what cannot be meant is refused when a store is opened, never met later."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_rows import ROWS
from feature_rows import write as write_features
from hypothesis import given, settings
from hypothesis import strategies as st
from store_clips import CLIPS, SETTINGS, write_store

from data_prep.clip import Clip
from data_prep.feature_store import FeatureStore
from data_prep.row_source import open_store
from data_prep.store import COLUMNS, IndexedStore, Store
from data_prep.store_writer import StoreWriter
from speechcmd.errors import StoreError

HUGE = "9" * 30
# column, what is written into the second row, what the message expects
CELLS = [
    ("kind", "film", "kind: expected music or noise or speech or word, got 'film'"),
    ("split", "", "split: expected testing or training or validation, got ''"),
    ("role", "boss", "role: expected .*, got 'boss'"),
    ("word", "", "word: expected a word, got ''"),
    *(
        ("path", name, "path: expected a name below a folder, got ")
        for name in ("../../x", "/x", "..", "", ".", "yes/../../x", "yes//x", "yes/", "./x", "yes/.")
    ),
    *(
        (name, value, f"{name}: expected .*, got {value}")
        for name in ("offset", "n_samples", "speech_start", "centre")
        for value in ("-1", HUGE, f"-{HUGE}")
    ),
    ("speech_end", "0", "speech_start: expected a position in the clip, not behind speech_end, got 1"),
    ("speech_end", "901", "speech_end: expected a position in the clip, got 901"),
    ("centre", "901", "centre: expected a position in the clip, got 901"),
    *(
        ("floor_db", value, "floor_db: expected a level in dB, got ")
        for value in ("nan", "inf", "-inf", "1e300")
    ),
    ("floor_db", "loud", "damaged row"),
    ("n_samples", "4e9", "damaged row"),
    ("offset", "9" * 5000, "damaged row"),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store").path


def change_cell(index: Path, row: int, column: str, value: str) -> None:
    lines = index.read_text().splitlines()
    cells = lines[row + 1].split(",")
    cells[COLUMNS.index(column)] = value
    index.write_text("\n".join([*lines[: row + 1], ",".join(cells), *lines[row + 2 :]]) + "\n")


@pytest.mark.parametrize(("column", "value", "message"), CELLS)
def test_a_cell_that_cannot_be_meant_is_named(store: Path, column: str, value: str, message: str) -> None:
    change_cell(store / "index.csv", 1, column, value)
    with pytest.raises(StoreError, match=f"index.csv, line 3: {message}.*; prepare the store again"):
        Store.open(store)


@pytest.mark.skipif(os.name != "nt", reason="a backslash and a colon are plain characters here")
@pytest.mark.parametrize("name", [r"..\x", r"C:x", r"\x"])
def test_a_name_may_not_lead_elsewhere_on_windows(store: Path, name: str) -> None:
    change_cell(store / "index.csv", 1, "path", name)
    with pytest.raises(StoreError, match="path: expected a name below a folder"):
        Store.open(store)


def test_names_with_dots_are_names(tmp_path: Path) -> None:
    names = ["yes/..a", "yes/a..b", "yes/...", ".../x", "..x/.y", "no/c:d", "no/\\..\\x"]
    names = names[:-2] if os.name == "nt" else names
    clips = [Clip(replace(CLIPS[0].row, path=name), CLIPS[0].samples) for name in names]
    write_store(tmp_path / "store", clips)
    assert [row.path for row in Store.open(tmp_path / "store").rows] == names


def test_a_clip_stands_once(store: Path) -> None:
    """Two writers at once left stores with every clip twice."""
    index = store / "index.csv"
    index.write_text(index.read_text() + index.read_text().splitlines()[2] + "\n")
    with pytest.raises(StoreError, match=r"expected each clip once, got yes/b_nohash_0\.wav again"):
        Store.open(store)


def test_a_row_of_more_or_fewer_cells_is_named(store: Path) -> None:
    index = store / "index.csv"
    good = index.read_text()
    for damaged in (good + "word,yes\n", good.replace("anna", "anna,bert", 3), good + '"' + "x" * 200_000):
        index.write_text(damaged)
        with pytest.raises(StoreError, match="damaged row"):
            Store.open(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statistics": None}, "statistics: expected a table, got nothing"),
        ({"statistics": {"mean_trimmed_samples": 1}}, "p95_trimmed_samples: expected .*, got nothing"),
        (
            {"statistics": dict.fromkeys(("mean_trimmed_samples", "p95_trimmed_samples"), -1)},
            "mean_trimmed_samples: .*, got -1",
        ),
        ({"data_digest": None}, "data_digest: expected text, got nothing"),
        ({"length": 7}, "length: expected mean, p95 or .*, got 7"),
        ({"skipped": "none"}, "skipped: expected a list, got 'none'"),
        ({"skipped": [{"path": "x", "reason": 1}]}, r"skipped\[0\]\.reason: expected text, got 1"),
        ({"content": ["audio"]}, "found one of features"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(store: Path, change: dict[str, Any], message: str) -> None:
    info = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(info | change))
    with pytest.raises(StoreError, match=message):
        Store.open(store)


def test_a_mean_length_that_no_word_has_is_refused(store: Path) -> None:
    info = json.loads((store / "store.json").read_text())
    info["statistics"]["mean_trimmed_samples"] = 10**15
    (store / "store.json").write_text(json.dumps(info))
    with pytest.raises(StoreError, match=r"mean of these words is 6\.25e\+10 seconds, expected at most 10"):
        Store.open(store).length_samples("mean")


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "null", "", "{", "\xff"])
def test_settings_that_are_none_are_refused(store: Path, content: str) -> None:
    (store / "store.json").write_text(content, encoding="latin-1")
    with pytest.raises(StoreError):
        open_store(store)


@pytest.mark.parametrize("name", ["audio.npy", "index.csv", "store.json"])
def test_what_is_no_file_is_not_opened(store: Path, name: str) -> None:
    (store / name).unlink()
    (store / name).mkdir()
    with pytest.raises(StoreError, match="found something else"):
        open_store(store)
    (store / name).rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(store / name)  # opening it would wait for ever
        with pytest.raises(StoreError, match="found something else"):
            open_store(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"front_end": {"hop_length": 0}}, "front_end.hop_length: .*, got 0"),
        ({"front_end": {"win_length": "480"}}, "front_end.win_length: .*, got '480'"),
        ({"front_end": {"log_floor": float("nan")}}, "front_end.log_floor: expected a number, got nan"),
        ({"n_frames": 5.0}, "n_frames: expected a whole number from 1 on, got 5.0"),
        ({"n_frames": True}, "n_frames: expected .*, got True"),
        ({"scale": "0.1"}, "scale: expected a number, got '0.1'"),
        ({"scale": 0}, "scale: expected a number other than 0"),
        ({"front_end": ["n_mels"]}, "front_end: expected a table, got"),
    ],
)
def test_features_that_cannot_be_meant_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_features(tmp_path / "store").path
    info = json.loads((path / "store.json").read_text())
    if isinstance(change.get("front_end"), dict):
        change = {"front_end": info["front_end"] | change["front_end"]}
    (path / "store.json").write_text(json.dumps(info | change))
    with pytest.raises(StoreError, match=message):
        FeatureStore.open(path)


def test_features_that_could_not_be_opened_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="row 1 of the features: path: expected a name below a folder"):
        write_features(tmp_path / "store", [ROWS[0], replace(ROWS[1], path="../x"), *ROWS[2:]])
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_store_with_hostile_rows_is_begun_anew(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        writer.append(CLIPS)
    change_cell(tmp_path / "store.part" / "index.csv", 1, "offset", "-900")
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        assert writer.done == frozenset()


def check_promises(store: IndexedStore) -> None:
    """What the rest of the program relies on."""
    for row in store.rows:
        assert 0 <= row.speech_start <= row.speech_end <= row.n_samples
        assert 0 <= row.centre <= row.n_samples
        assert np.isfinite(np.float32(row.floor_db))
        assert Path(os.path.normpath(Path("/export") / row.path)).parts[:2] == ("/", "export")
        if isinstance(store, Store):
            assert len(store.samples_of(row)) == row.n_samples
        elif isinstance(store, FeatureStore):
            assert store.log_mel_of(row).shape == (store.n_frames, store.front_end["n_mels"])
    assert isinstance(store.digest, str)


def _mutate(content: bytes, change: tuple[int, int, bytes]) -> bytes:
    first, n_cut, put = change
    first %= len(content) + 1
    return content[:first] + put + content[first + n_cut :]


changes = st.tuples(
    st.integers(0, 4000),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b"../", b"-1", b"nan", b"1e999", b",", b'"', b"\n", b"[", b"null", b"{", b"\0", b"(", b"L"]
        ),
    ),
)


@pytest.mark.parametrize("make", [write_store, write_features], ids=["audio", "features"])
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2), st.lists(changes, min_size=1, max_size=3))
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory,
    make: Callable[[Path], IndexedStore],
    number: int,
    damage: list[tuple[int, int, bytes]],
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = make(folder / "store").path
    file = sorted(path.iterdir())[number]
    content = file.read_bytes()
    if file.suffix == ".npy":
        damage = [(first % 128, n_cut, put) for first, n_cut, put in damage]  # the header
    for change in damage:
        content = _mutate(content, change)
    file.write_bytes(content)
    try:
        store = open_store(path)
        store.length_samples("mean")
    except StoreError:
        store = None
    if store is not None:
        check_promises(store)
    shutil.rmtree(folder)
