"""Tasks: labels, the official draw, silence, and where a word's window lies."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from data_prep.corpus import scan_corpus
from data_prep.export_wav import export_wav
from data_prep.prepare import PrepareConfig, measure_durations, prepare_store
from data_prep.store import Row, Store
from data_prep.synthetic import make_corpus
from data_prep.task import (
    TaskConfig,
    digest_of_names,
    draw_epoch,
    draw_evaluation,
    draw_unknown,
    make_split_task,
    select_noise,
)
from data_prep.word_window import cut_word, place_around_word
from speechcmd.audio.reading import read_int16
from speechcmd.errors import StoreError
from speechcmd.labels import SILENCE, UNKNOWN

WORDS = ("up", "down", "left", "right", "stop")
CONFIG = TaskConfig(("up", "down"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("task")
    make_corpus(folder / "clips", WORDS, n_speakers=10, clips_per_word=20, noise_s=2)
    return prepare_store(PrepareConfig(folder / "clips", n_workers=1), folder / "store", "0").store


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_labels_are_the_words_then_unknown_then_silence() -> None:
    assert CONFIG.labels == ("up", "down", UNKNOWN, SILENCE)


def test_the_official_draw_is_a_tenth_rounded_up_and_never_changes(store: Store) -> None:
    task = make_split_task(store, CONFIG, "training")
    drawn = draw_unknown(task, CONFIG)
    assert len(drawn) == math.ceil(len(task.words) / 10)
    assert set(drawn) <= set(task.unknown)
    np.testing.assert_array_equal(drawn, draw_unknown(task, CONFIG))
    others = draw_unknown(task, TaskConfig(("up", "down"), seed=9))
    assert list(drawn) != list(others)
    names = "".join(task.examples.paths[index] + "\n" for index in drawn)
    assert (
        digest_of_names(task.examples.paths[index] for index in drawn)
        == hashlib.sha256(names.encode()).hexdigest()
    )


def test_a_digest_of_names_that_are_no_text() -> None:
    assert digest_of_names(["up/caf\udce9.wav"]) == hashlib.sha256(b"up/caf\xe9.wav\n").hexdigest()


def test_noise_without_samples_is_none(store: Store) -> None:
    noise = store.select("noise")
    assert noise
    assert {row.path for row in select_noise(store, "training")} == {
        row.path for row in noise if row.split == "training"
    }

    class Emptied:
        path = store.path
        rows = tuple(
            dataclasses.replace(row, n_samples=0) if row.kind == "noise" else row for row in store.rows
        )

        def select(self, kind: str, split: str | None = None) -> list[Row]:
            return [row for row in self.rows if row.kind == kind and split in (None, row.split)]

    assert select_noise(Emptied(), "training") == []
    with pytest.raises(StoreError, match="expected background noise"):
        make_split_task(Emptied(), CONFIG, "training")


def test_every_word_is_in_every_epoch_once_in_another_order(store: Store) -> None:
    task = make_split_task(store, CONFIG, "training")
    generator = rng()
    first, second = draw_epoch(task, CONFIG, generator), draw_epoch(task, CONFIG, generator)
    for epoch in (first, second):
        assert sorted(set(epoch) & set(task.words)) == sorted(task.words)
        assert len(epoch) == len(task.words) + 2 * task.count_official()
    assert list(first) != list(second)


def test_unknown_all_or_so_many_anew_each_epoch(store: Store) -> None:
    everything = TaskConfig(("up", "down"), unknown="all")
    task = make_split_task(store, everything, "training")
    assert set(task.unknown) <= set(draw_epoch(task, everything, rng()))
    some = TaskConfig(("up", "down"), unknown="4")
    generator = rng()
    draws = [set(draw_epoch(task, some, generator)) & set(task.unknown) for _ in range(4)]
    assert [len(draw) for draw in draws] == [4] * 4
    assert len(set.union(*draws)) > 4
    many = TaskConfig(("up", "down"), unknown=str(2 * len(task.unknown) + 1))
    drawn = [index for index in draw_epoch(task, many, rng()) if index in set(task.unknown)]
    assert len(drawn) == 2 * len(task.unknown) + 1


def test_more_noise_in_training_leaves_the_evaluation_set_as_it_is(store: Store) -> None:
    more = TaskConfig(("up", "down"), silence_percent=75.0)
    task = make_split_task(store, more, "training")
    n_drawn = [np.isin(draw_epoch(task, each, rng()), task.silence).sum() for each in (CONFIG, more)]
    assert n_drawn == [math.ceil(0.1 * len(task.words)), math.ceil(0.75 * len(task.words))]
    np.testing.assert_array_equal(draw_evaluation(task, more), draw_evaluation(task, CONFIG))


def test_the_evaluation_set_is_fixed_and_holds_every_word(store: Store) -> None:
    task = make_split_task(store, CONFIG, "testing")
    drawn = draw_evaluation(task, CONFIG)
    np.testing.assert_array_equal(drawn, draw_evaluation(task, CONFIG))
    counts = np.bincount(task.examples.labels[drawn], minlength=4)
    extra = math.ceil(len(task.words) / 10)
    assert counts.tolist() == [len(task.words) // 2, len(task.words) // 2, extra, extra]


def test_wrong_words_and_missing_noise_are_one_line(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no training clip of sheila; it has .*up.*; choose with --words "):
        make_split_task(store, TaskConfig(("up", "sheila")), "training")
    moved = tuple(
        dataclasses.replace(row, split="testing") if row.word == "up" else row for row in store.rows
    )
    n_moved = sum(row.word == "up" for row in moved)
    with pytest.raises(StoreError, match=f"no training clip of up; it has {n_moved} in testing: prepare"):
        make_split_task(Store(store.path, moved, store.info), TaskConfig(("up",)), "training")
    with pytest.raises(StoreError, match="no training clip of up; it has no clips of words"):
        make_split_task(Store(store.path, (), store.info), TaskConfig(("up",)), "training")
    with pytest.raises(StoreError, match="one or more different words"):
        make_split_task(store, TaskConfig(("up", "up")), "training")
    with pytest.raises(StoreError, match="expected auto, official, all or a number"):
        make_split_task(store, TaskConfig(("up",), unknown="some"), "training")
    words_only = Store(store.path, tuple(row for row in store.rows if row.kind == "word"), store.info)
    with pytest.raises(StoreError, match="background noise"):
        make_split_task(words_only, CONFIG, "training")


def test_what_is_only_measured_needs_no_training_clips_and_no_noise(store: Store) -> None:
    tested = tuple(row for row in store.rows if row.kind == "word" and row.split == "testing")
    only = Store(store.path, tested, store.info)
    task = make_split_task(only, CONFIG, "testing", needs_noise=False)
    assert len(task.words) == sum(row.word in CONFIG.words for row in tested)
    assert len(task.silence) == 0
    with pytest.raises(StoreError, match="no training clip of up, down"):
        make_split_task(only, CONFIG, "validation", needs_noise=False)


@pytest.mark.parametrize(
    ("start", "end", "centre", "n_samples", "expected"),
    [
        (400, 600, 500, 400, 300),  # fits, in the middle
        (400, 600, 410, 400, 210),  # fits, its energy at its begin: still whole
        (400, 600, 590, 210, 400),  # barely fits: moved until it is whole
        (100, 900, 300, 400, 100),  # too long: the part around its energy, not before its begin
        (100, 900, 500, 400, 300),
        (100, 900, 880, 400, 500),
    ],
)
def test_where_the_window_of_a_word_lies(
    start: int, end: int, centre: int, n_samples: int, expected: int
) -> None:
    placed = place_around_word(*(np.array([value]) for value in (start, end, centre)), n_samples)  # type: ignore[call-arg]
    assert placed[0] == expected


def test_a_cut_word_is_the_clip_where_there_is_one_and_its_floor_elsewhere(store: Store) -> None:
    row = store.select("word")[0]
    window = cut_word(store, row, 40_000, rng())
    start = int(
        place_around_word(*(np.array([v]) for v in (row.speech_start, row.speech_end, row.centre)), 40_000)[0]
    )  # type: ignore[call-arg]
    inside = window[-start : -start + row.n_samples]
    np.testing.assert_array_equal(inside, store.samples_of(row) / np.float32(32768))
    outside = np.concatenate([window[:-start], window[-start + row.n_samples :]])
    assert np.count_nonzero(outside == 0) == 0
    assert 20 * np.log10(outside.std()) == pytest.approx(row.floor_db, abs=1.0)


def test_exported_clips_are_a_corpus_of_one_length(store: Store, tmp_path: Path) -> None:
    n_written = export_wav(store, "mean", tmp_path / "wav")
    words = store.select("word")
    assert n_written == len(words)
    scanned = scan_corpus(tmp_path / "wav")
    assert {(s.name, s.split) for s in scanned.sources} == {(row.path, row.split) for row in words}
    lengths = {len(read_int16(source.path)) for source in scanned.sources}
    assert lengths == {store.length_samples("mean")}


def test_the_mean_is_over_the_trimmed_words_of_training(store: Store) -> None:
    training = [row.speech_end - row.speech_start for row in store.select("word", "training")]
    statistics = measure_durations(store.rows)
    assert statistics["mean_trimmed_samples"] == round(sum(training) / len(training))
    assert statistics["p95_trimmed_samples"] == round(float(np.percentile(training, 95)))
    assert statistics["n_words_measured"] == len(training)


def test_noise_kept_for_figures_is_never_trained_on(store: Store) -> None:
    rows = tuple(
        dataclasses.replace(row, role="figures", split="testing") if row.kind == "noise" else row
        for row in store.rows
    )
    kept = Store(store.path, rows, store.info)
    with pytest.raises(StoreError, match="background noise of role train"):
        make_split_task(kept, CONFIG, "training")
    assert len(make_split_task(kept, CONFIG, "testing").silence) > 0


def test_clips_of_a_folder_unknown_are_other_words(store: Store) -> None:
    moved = tuple(dataclasses.replace(row, word=UNKNOWN) if row.word == "down" else row for row in store.rows)
    n_moved = sum(row.word == UNKNOWN and row.split == "training" for row in moved)
    task = make_split_task(Store(store.path, moved, store.info), TaskConfig(("up",)), "training")
    words = {task.examples.paths[index].partition("/")[0] for index in task.unknown}
    assert "down" in words
    assert sum(task.examples.paths[index].startswith("down/") for index in task.unknown) == n_moved > 0
