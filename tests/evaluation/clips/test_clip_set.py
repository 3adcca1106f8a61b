"""Which clips a task has: from a store and from a folder, by the official rule."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from clip_corpus import (
    CLIPS_OF_A_SPEAKER,
    SPEAKERS_OF_A_SPLIT,
    WORDS_HZ,
    tone,
    write_corpus,
    write_store,
    write_wav,
)
from fakes import LABELS

from data_prep.store import Row, Store
from data_prep.task import TaskConfig, draw_evaluation, make_split_task
from speechcmd.audio.samples import Int16
from speechcmd.errors import EvaluationError, StoreError
from speechcmd.evaluation.clips.clip_set import ClipSet, open_clip_set
from speechcmd.evaluation.clips.clip_source import draw_clip_set
from speechcmd.labels import TEN_WORDS

pytestmark = pytest.mark.runtime

OF_A_WORD = CLIPS_OF_A_SPEAKER * SPEAKERS_OF_A_SPLIT
OFFICIAL_LABELS = (*TEN_WORDS, "_unknown_", "_silence_")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("clips") / "corpus")


@pytest.fixture(scope="module")
def store(corpus: Path) -> Path:
    return write_store(corpus, corpus.parent / "store")


def count(clips: ClipSet) -> dict[str, int]:
    return dict(Counter(example.label for example in clips.clips))


def test_own_words_and_the_official_tenth_of_the_others(store: Path) -> None:
    clips = open_clip_set(store, "own", "testing", LABELS)
    # 12 clips of low and high, so ceil(1.2) = 2 of each extra class
    assert count(clips) == {"low": OF_A_WORD, "high": OF_A_WORD, "_unknown_": 2, "_silence_": 2}
    assert clips.labels == ("low", "high", "_unknown_", "_silence_")
    assert (clips.name, clips.task, clips.split) == (str(store), "own", "testing")
    assert clips.words == ("low", "high")
    assert {example.speaker for example in clips.clips} == {"te0", "te1", ""}
    assert {example.word for example in clips.clips if example.label == "_unknown_"} <= {"hum", "whistle"}
    assert clips.draw is not None
    assert (clips.draw.n_unknown, clips.draw.n_silence, clips.draw.seed) == (2, 2, 0)
    assert "noise kept for testing" in clips.draw.rule
    names = "".join(example.path + "\n" for example in clips.clips)
    assert clips.draw.sha256 == hashlib.sha256(names.encode()).hexdigest()


def test_the_draw_is_that_of_training_and_never_changes(store: Path) -> None:
    for seed in (0, 1, 5):
        clips = open_clip_set(store, "own", "testing", LABELS, seed=seed)
        again = open_clip_set(store, "own", "testing", LABELS, seed=seed)
        assert clips.draw == again.draw
        config = TaskConfig(("low", "high"), seed=seed)
        task = make_split_task(Store.open(store), config, "testing")
        drawn = [task.examples.paths[index] for index in draw_evaluation(task, config)]
        assert [example.path.partition("@")[0] for example in clips.clips] == drawn
        for one, other in zip(clips.clips, again.clips, strict=True):
            np.testing.assert_array_equal(one.read(), other.read())
    draws = {open_clip_set(store, "own", "testing", LABELS, seed=seed).draw for seed in range(5)}
    assert len({draw.sha256 for draw in draws if draw}) == 5


@pytest.mark.parametrize(("task", "labels"), [("own", LABELS), ("35", (*WORDS_HZ, "_unknown_"))])
@pytest.mark.parametrize("split", ["training", "validation", "testing"])
def test_a_folder_is_what_its_store_is(
    corpus: Path, store: Path, task: str, labels: tuple[str, ...], split: str
) -> None:
    one, other = (open_clip_set(source, task, split, labels) for source in (corpus, store))
    assert one.draw == other.draw
    assert one.labels == other.labels
    for a, b in zip(one.clips, other.clips, strict=True):
        assert (a.path, a.word, a.label, a.speaker) == (b.path, b.word, b.label, b.speaker)
        np.testing.assert_array_equal(a.read(), b.read())


def test_all_clips_of_the_other_words(store: Path) -> None:
    clips = open_clip_set(store, "own", "testing", LABELS, unknown="all")
    assert count(clips) == {"low": OF_A_WORD, "high": OF_A_WORD, "_unknown_": 2 * OF_A_WORD, "_silence_": 2}
    assert clips.draw is not None
    assert "every other word" in clips.draw.rule


def test_every_word_is_a_label(store: Path) -> None:
    clips = open_clip_set(store, "35", "validation", tuple(WORDS_HZ))
    assert count(clips) == dict.fromkeys(WORDS_HZ, OF_A_WORD)
    assert all(example.label == example.word for example in clips.clips)
    assert clips.labels == ("high", "hum", "low", "whistle")
    assert clips.draw is None


def test_silence_is_a_second_of_the_split_s_own_noise(store: Path) -> None:
    clips = open_clip_set(store, "own", "testing", LABELS)
    silence = [example for example in clips.clips if example.label == "_silence_"]
    assert all(example.path.startswith("_background_noise_/exercise_bike.wav@") for example in silence)
    source = Store.open(store)
    row = next(row for row in source.rows if "exercise_bike" in row.path)
    noise = source.samples_of(row) / np.float32(32_768)
    for example in silence:
        place, _, gain = example.path.partition("@")[2].removesuffix("dB").partition("s")
        start = round(float(place) * 16_000)
        gain_db = float(gain)
        assert -20 <= gain_db <= 0
        expected = noise[start : start + 16_000] * 10 ** (gain_db / 20)
        np.testing.assert_allclose(example.read(), expected, rtol=0.002)  # the name rounds to 0.01 dB
    assert len({example.path for example in silence}) == len(silence)


def test_a_model_without_extra_labels_gets_words_only(store: Path) -> None:
    clips = open_clip_set(store, "own", "testing", ("low", "hum"))
    assert count(clips) == {"low": OF_A_WORD, "hum": OF_A_WORD}


def test_a_word_without_clips_stays_a_label(store: Path) -> None:
    clips = open_clip_set(store, "own", "testing", ("low", "sheila", "_unknown_"))
    assert clips.labels == ("low", "sheila", "_unknown_")
    assert count(clips) == {"low": OF_A_WORD, "_unknown_": 1}


class Rows:
    """A corpus that is only an index."""

    path = Path("corpus")

    def __init__(self, rows: list[Row]) -> None:
        self.rows = tuple(rows)

    def select(self, kind: str, split: str | None = None) -> list[Row]:
        return [row for row in self.rows if row.kind == kind and split in (None, row.split)]

    def read(self, row: Row) -> Int16:
        raise NotImplementedError


def row_of(kind: str, word: str, split: str, number: int) -> Row:
    return Row(kind, word, str(number), split, "", f"{word}/{number}.wav", 0, 80_000, 0, 0, 0, 0.0, (), "")


def complete(split: str, n_asked: int, n_words: int) -> list[Row]:
    asked = [row_of("word", TEN_WORDS[i % 10], split, i) for i in range(n_asked)]
    others = [row_of("word", f"other{i % 25}", split, i) for i in range(n_asked, n_words)]
    return [*asked, *others, row_of("noise", "", split, -1)]


@pytest.mark.parametrize(
    ("split", "n_asked", "n_words", "n_all", "n_extra"),
    [
        ("training", 30_769, 84_843, 36_923, 3_077),
        ("validation", 3_703, 9_981, 4_445, 371),
        ("testing", 4_074, 11_005, 4_890, 408),
    ],
)
def test_the_published_counts_of_the_12_classes(
    split: str, n_asked: int, n_words: int, n_all: int, n_extra: int
) -> None:
    rows = complete(split, n_asked, n_words)
    clips = draw_clip_set(Rows(rows), "corpus", "12", split, OFFICIAL_LABELS, "official", 0)
    assert len(clips.clips) == n_all
    assert clips.draw is not None
    assert (clips.draw.n_unknown, clips.draw.n_silence) == (n_extra, n_extra)


def test_a_complete_corpus_with_other_counts_is_refused() -> None:
    rows = complete("testing", 4_074, 11_005)[:-1]  # no noise, so no silence
    with pytest.raises(
        EvaluationError, match=r"expected 4,890 clips of the 12-class task .* got 4,482"
    ) as error:
        draw_clip_set(Rows(rows), "corpus", "12", "testing", OFFICIAL_LABELS, "official", 0)
    assert "\n" not in str(error.value)
    # neither an incomplete corpus nor another rule is held to them
    for part, rule in ((rows[1:], "official"), (rows, "all")):
        draw_clip_set(Rows(part), "corpus", "12", "testing", OFFICIAL_LABELS, rule, 0)


def test_where_silence_comes_from_is_said() -> None:
    rows = complete("testing", 20, 40)
    trained = [*rows[:-1], row_of("noise", "", "training", -1)]
    for given, n_silence, said in ((trained, 2, "training noise"), (rows[:-1], 0, "no noise")):
        draw = draw_clip_set(Rows(given), "c", "own", "testing", OFFICIAL_LABELS, "official", 0).draw
        assert draw is not None
        assert draw.n_silence == n_silence
        assert said in draw.rule


@pytest.mark.parametrize(
    ("task", "split", "labels", "expected"),
    [
        ("12", "testing", LABELS, "task 12: the model lacks yes, no, up, down, left and 5 other labels"),
        ("35", "testing", LABELS, "task 35: the model lacks hum, whistle; it knows _silence_"),
        ("own", "testing", ("yes", "no"), "expected clips of yes, no in the split testing, found only high"),
        ("13", "testing", LABELS, "task: expected own, 12, 35, got '13'"),
        ("own", "test", LABELS, "split: expected training"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    store: Path, task: str, split: str, labels: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(EvaluationError, match=expected) as error:
        open_clip_set(store, task, split, labels)
    assert "\n" not in str(error.value)


def test_silence_is_not_spoken_of_where_there_is_none_of_it() -> None:
    rows = complete("testing", 20, 40)
    draw = draw_clip_set(Rows(rows), "c", "own", "testing", OFFICIAL_LABELS[:-1], "official", 0).draw
    assert draw is not None
    assert "_unknown_: ceil(10 %)" in draw.rule
    assert "_silence_" not in draw.rule


def with_noise(corpus: Path, folder: Path, content: bytes) -> Path:
    """The corpus, where the noise that is kept for testing is another."""
    shutil.copytree(corpus, folder)
    (folder / "_background_noise_" / "exercise_bike.wav").write_bytes(content)
    return folder


def test_a_noise_without_samples_is_left_out(corpus: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "none.wav", np.zeros(0, dtype=np.int16))
    folder = with_noise(corpus, tmp_path / "corpus", (tmp_path / "none.wav").read_bytes())
    for source in (folder, write_store(folder, tmp_path / "store")):
        clips = open_clip_set(source, "own", "testing", LABELS)
        silence = [example for example in clips.clips if example.label == "_silence_"]
        assert len(silence) == 2
        assert not any("exercise_bike" in example.path for example in silence)
        assert clips.draw is not None
        assert "training noise" in clips.draw.rule  # none is left for testing
    for path in (folder / "_background_noise_").glob("*.wav"):
        path.write_bytes((tmp_path / "none.wav").read_bytes())
    assert count(open_clip_set(folder, "own", "testing", LABELS)) == {
        "low": OF_A_WORD, "high": OF_A_WORD, "_unknown_": 2,
    }  # fmt: skip


def test_noise_is_read_only_where_silence_is_drawn_of_it(corpus: Path, tmp_path: Path) -> None:
    folder = with_noise(corpus, tmp_path / "corpus", b"no audio")
    for labels, task in ((tuple(WORDS_HZ), "35"), (("low", "high", "_unknown_"), "own")):
        assert len(open_clip_set(folder, task, "testing", labels).clips) > 0
    expected = r"exercise_bike\.wav: not audio.*; _silence_ is drawn from this noise: remove or replace it$"
    with pytest.raises(EvaluationError, match=expected) as error:
        open_clip_set(folder, "own", "testing", LABELS)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["low/x_nohash_0.wav", "_background_noise_/x.wav"])
def test_a_pipe_is_refused_before_it_is_waited_for(corpus: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(corpus, tmp_path / "corpus")
    os.mkfifo(folder / name)
    with pytest.raises(EvaluationError, match=rf"{name}: expected an audio file, got a pipe or a device"):
        open_clip_set(folder, "own", "testing", LABELS)


def test_sources_that_are_none(tmp_path: Path, store: Path) -> None:
    with pytest.raises(EvaluationError, match="found nothing"):
        open_clip_set(tmp_path / "nowhere", "own", "testing", LABELS)
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    with pytest.raises(EvaluationError, match="speechcmd classify"):
        open_clip_set(tmp_path / "clip.wav", "own", "testing", LABELS)
    (tmp_path / "index.csv").write_text("half a store")
    with pytest.raises(StoreError, match="expected a store"):
        open_clip_set(tmp_path, "own", "testing", LABELS)
    rows = complete("training", 20, 40)
    with pytest.raises(EvaluationError, match="clips of the split testing, found 40 of training"):
        draw_clip_set(Rows(rows), "c", "own", "testing", OFFICIAL_LABELS, "official", 0)
    with pytest.raises(EvaluationError, match="unknown: expected official, all"):
        open_clip_set(store, "own", "testing", LABELS, unknown="some")


def test_one_voice_in_training_and_in_tests_is_said(tmp_path: Path) -> None:
    for word, hz in (("low", 500.0), ("high", 2_000.0)):
        for take in range(1, 6):
            write_wav(tmp_path / word / f"{word}_{take}.wav", tone(hz, seed=take))
    (tmp_path / "_unknown_").mkdir()  # of one's own, no test archive
    write_wav(tmp_path / "_unknown_" / "hum_1.wav", tone(1_100.0))
    clips = open_clip_set(tmp_path, "own", "validation", ("low", "high", "_unknown_"))
    assert [example.path for example in clips.clips] == ["high/high_2.wav", "low/low_2.wav"]
    assert clips.voices.startswith("one voice (the names of the files tell no speakers apart)")
    pytest.importorskip("scipy", reason="results are the extra evaluate's")
    from speechcmd.evaluation.clips.evaluate_clips import describe_source

    assert describe_source(clips).voices == clips.voices


def test_voices_apart_need_no_note(store: Path) -> None:
    assert open_clip_set(store, "own", "testing", LABELS).voices == ""
    assert open_clip_set(store, "35", "testing", tuple(WORDS_HZ)).voices == ""
