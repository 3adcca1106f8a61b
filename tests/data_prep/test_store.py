"""The store: written in one pass, interrupted anywhere, read back as it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_clips import CLIPS, INFO, SETTINGS, write_store

from data_prep.clip import Clip, digest_of
from data_prep.store import COLUMNS, Row, Store, read_rows, write_rows
from data_prep.store_writer import StoreWriter
from speechcmd.errors import StoreError
from speechcmd.labels import normalise_label

names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=12)
below = st.lists(names.map(lambda name: f"_{name.replace('/', '_')}"), min_size=1, max_size=3).map("/".join)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row as `prepare` may write it."""
    kind = draw(st.sampled_from(["word", "noise", "speech", "music"]))
    n_samples = draw(st.integers(0, 2**31))
    start, end = sorted(draw(st.tuples(*[st.integers(0, n_samples)] * 2)))
    return Row(
        kind,
        word=normalise_label(draw(names)) or "w",
        speaker=draw(names),
        split=draw(st.sampled_from(["training", "validation", "testing"])),
        role=draw(st.sampled_from(["", "train", "calibrate", "figures"])),
        path=draw(below),
        offset=draw(st.integers(0, 2**40)),
        n_samples=n_samples,
        speech_start=start,
        speech_end=end,
        centre=draw(st.integers(0, n_samples)),
        floor_db=draw(st.integers(-900, 0)) / 10,
        flags=draw(st.sampled_from([(), ("clipped",), ("clipped", "dc_offset")])),
        digest="00ff",
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(rows(), max_size=4, unique_by=lambda row: row.path))
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, given_rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("rows") / "index.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, given_rows)
    assert read_rows(path) == tuple(given_rows)


def test_a_store_holds_every_clip_whole(tmp_path: Path) -> None:
    write_store(tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert [row.offset for row in store.rows] == [0, 400, 1300]
    for row, given_clip in zip(store.rows, CLIPS, strict=True):
        np.testing.assert_array_equal(store.samples_of(row), given_clip.samples)
        assert digest_of(store.samples_of(row)) == row.digest
    assert np.load(tmp_path / "store" / "audio.npy").shape == (1550,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_writing_into_the_mapped_audio_never_reaches_the_file(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    before = (tmp_path / "store" / "audio.npy").read_bytes()
    store.audio[:] = 7
    assert (tmp_path / "store" / "audio.npy").read_bytes() == before


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_an_interrupted_part_goes_on_behind_its_last_whole_row(tmp_path: Path, cut: int) -> None:
    """A row cut short, or audio that no row speaks of, is dropped and written again."""
    whole = write_store(tmp_path / "whole")
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        writer.append(CLIPS[:2])
    index = tmp_path / "store.part" / "index.csv"
    index.write_bytes(index.read_bytes()[:-cut])
    with (tmp_path / "store.part" / "audio.npy").open("ab") as audio:
        audio.write(b"half a clip")
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        assert writer.done == {CLIPS[0].row.path}
        writer.append(CLIPS[1:])
        writer.finish(INFO)
    for name in ("audio.npy", "index.csv", "store.json"):
        assert (tmp_path / "store" / name).read_bytes() == (whole.path / name).read_bytes()


def test_audio_lost_behind_the_index_is_written_again(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        writer.append(CLIPS[:2])
    audio = tmp_path / "store.part" / "audio.npy"
    audio.write_bytes(audio.read_bytes()[:-4])
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        assert writer.done == {CLIPS[0].row.path}


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        writer.append(CLIPS[:2])
    with StoreWriter(tmp_path / "store", {"trim": 2}) as writer:
        assert writer.done == frozenset()


def test_an_older_store_is_replaced_whole(tmp_path: Path) -> None:
    write_store(tmp_path / "store")
    write_store(tmp_path / "store", CLIPS[:1])
    assert len(Store.open(tmp_path / "store").rows) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_part_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store.part").mkdir()
    (tmp_path / "store.part" / "diary.txt").write_text("mine")
    with pytest.raises(StoreError, match="something else"):
        StoreWriter(tmp_path / "store", SETTINGS)
    assert (tmp_path / "store.part" / "diary.txt").read_text() == "mine"


def test_a_missing_or_unfinished_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="make one with `speechcmd prepare`"):
        Store.open(tmp_path / "store")
    with StoreWriter(tmp_path / "store", SETTINGS) as writer:
        writer.append(CLIPS)
    with pytest.raises(StoreError, match="run the same `speechcmd prepare` again"):
        Store.open(tmp_path / "store")


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "store")
    index, info = tmp_path / "store" / "index.csv", tmp_path / "store" / "store.json"
    good = index.read_text()
    index.write_text(good.replace("400", "4e9", 1))
    with pytest.raises(StoreError, match="line 2: damaged row"):
        Store.open(tmp_path / "store")
    index.write_text(good.replace(",400,", ",400000,", 1))
    with pytest.raises(StoreError, match="the index needs"):
        Store.open(tmp_path / "store")
    index.write_text(good)
    info.write_text(json.dumps(json.loads(info.read_text()) | {"schema": 99}))
    with pytest.raises(StoreError, match="schema 99"):
        Store.open(tmp_path / "store")


def test_lengths_by_name_and_in_seconds(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    assert [store.length_samples(length) for length in ("mean", "p95", "0.25", 1.5)] == [
        8000,
        12000,
        4000,
        24000,
    ]
    for wrong in ("median", "0.01", "99", "nan"):
        with pytest.raises(StoreError, match="length: expected"):
            store.length_samples(wrong)


def test_rows_are_selected_by_kind_and_split(tmp_path: Path) -> None:
    testing = dataclasses.replace(CLIPS[2].row, split="testing")
    store = write_store(tmp_path / "store", [CLIPS[0], Clip(testing, CLIPS[2].samples)])
    assert [row.word for row in store.select("word")] == ["yes", "no"]
    assert [row.word for row in store.select("word", "testing")] == ["no"]
    assert store.select("noise") == []
