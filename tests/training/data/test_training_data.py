"""The examples of a training: folds by speaker, shares of the clips, several stores as one."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_checks import failure
from toy_features import FRONT_END, toy_features, toy_images
from toy_run import OTHER_WORDS, WORDS, toy_config, toy_store

from data_prep.row_source import JoinedStores
from data_prep.store import Row, Store
from data_prep.task import SplitTask, TaskConfig, make_split_task
from speechcmd.training.data.dataset import ClipDataset
from speechcmd.training.data.folds import split_by_fold
from speechcmd.training.data.sampler import ItemKey
from speechcmd.training.data.store_checks import check_front_end, check_together
from speechcmd.training.data.training_data import TrainingData, note_heard_voices, take_share
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

CPU = torch.device("cpu")
N_SPEAKERS, N_TESTED = 23, 4


def row(number: int, speaker: str, split: str, kind: str = "word") -> Row:
    place = (1_000 * number, 1_000, 100, 900, 500)
    return Row(kind, "yes", speaker, split, "", f"yes/{number}", *place, -60.0, (), "00")


def imaginary_store(name: str, statistics: dict[str, int] | None = None, **changes: Any) -> Store:
    """Rows alone: speakers of all splits with three words each, a noise and a speech recording."""
    rows = []
    for number in range(N_SPEAKERS):
        split = "testing" if number < N_TESTED else "validation" if number < 7 else "training"
        rows += [row(3 * number + word, f"anna{number}", split) for word in range(3)]
    rows += [row(90, "", "training", "noise"), row(91, "anna9", "training", "speech")]
    info = {"data_digest": f"digest of {name}", "length": "mean", "statistics": statistics}
    return Store(Path(name), tuple(replace(each, **changes) for each in rows), info)


def heard(stores: list[Any], split: str) -> set[str]:
    return {each.speaker for store in stores for each in store.select("word", split)}


# --- folds


@pytest.mark.parametrize("n_folds", [2, 5, 19])
def test_every_speaker_is_validated_in_one_fold(n_folds: int) -> None:
    store = imaginary_store("a")
    folds = [split_by_fold([store], f"{number + 1}/{n_folds}") for number in range(n_folds)]
    asked = heard([store], "training") | heard([store], "validation")
    assert len(asked) == N_SPEAKERS - N_TESTED
    count = Counter(speaker for fold in folds for speaker in heard(fold, "validation"))
    assert count == dict.fromkeys(asked, 1)
    for (fold,) in folds:
        kept_back, trained = heard([fold], "validation"), heard([fold], "training")
        assert trained == asked - kept_back
        assert len(kept_back) in (len(asked) // n_folds, -(-len(asked) // n_folds))
        for kind, split in (("word", "testing"), ("noise", None), ("speech", None)):
            assert fold.select(kind, split) == store.select(kind, split)
        moved = [replace(each, split="") for each in fold.rows]
        assert moved == [replace(each, split="") for each in store.rows]
        assert (fold.path, fold.info) == (store.path, store.info)


def test_who_is_in_two_stores_is_in_one_fold() -> None:
    """Also where the official split of one store keeps somebody back and that of the other does not."""
    one, other = imaginary_store("a"), imaginary_store("b", split="training")
    more = replace(other.rows[0], speaker="bert"), replace(other.rows[0], speaker="carl", split="validation")
    other = Store(other.path, (*other.rows, *more), other.info)
    everybody = heard([one, other], "training") | heard([one, other], "validation")
    folds = [heard(split_by_fold([one, other], f"{number}/3"), "validation") for number in range(1, 4)]
    assert sorted(speaker for fold in folds for speaker in fold) == sorted(everybody)
    for number in range(1, 4):
        first, second = split_by_fold([one, other], f"{number}/3")
        assert not heard([first, second], "validation") & heard([first, second], "training")
        assert heard([first], "validation") <= heard([second], "validation")


def test_folds_depend_on_names_alone() -> None:
    store = imaginary_store("a")
    turned = Store(store.path, store.rows[::-1], store.info)
    for number in range(1, 4):
        folds = [split_by_fold([each], f"{number}/3") for each in (store, turned)]
        assert heard(folds[0], "validation") == heard(folds[1], "validation")
    assert split_by_fold([store], "") == [store]


# --- shares


def imaginary_task() -> SplitTask:
    store = imaginary_store("a", split="training")
    rows = [replace(each, word=("yes", "bed")[number % 2]) for number, each in enumerate(store.rows)]
    return make_split_task(Store(store.path, tuple(rows), store.info), TaskConfig(("yes",)), "training")


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    task = imaginary_task()
    shares = [take_share(task, TrainConfig(clips_percent=percent)) for percent in (10, 30, 60, 100)]
    assert shares[-1] is task
    for smaller, larger in pairwise(shares):
        assert set(smaller.words) < set(larger.words)
        assert set(smaller.unknown) < set(larger.unknown)
    for share, percent in zip(shares, (10, 30, 60, 100), strict=True):
        n_kept = len(share.words) + len(share.unknown)
        assert abs(n_kept / 69 - percent / 100) < 0.16  # four standard errors of a tenth would be 0.14
        for name in ("silence", "speech", "noise"):
            assert np.array_equal(getattr(share, name), getattr(task, name))
    other = take_share(task, TrainConfig(clips_percent=60, seed=1))
    assert set(other.words) != set(shares[2].words)


def test_a_share_without_words_is_one_line() -> None:
    config = toy_config(clips_percent=0.1)
    message = failure(lambda: TrainingData([toy_store()], config, CPU))
    assert "clips_percent = 0.1 leaves no training clip of no, up; take a larger share" in message


def test_the_clips_that_are_counted_and_known() -> None:
    config = toy_config(unknown="official")
    data = TrainingData([toy_store()], config, CPU)
    n_words = len(data.training.words)
    assert data.count_training_clips() == n_words + -(-n_words // 10)
    everything = TrainingData([toy_store()], toy_config(), CPU)
    assert everything.count_training_clips() == n_words + len(everything.training.unknown)


# --- stores together

STATISTICS = (
    {"mean_trimmed_samples": 6_000, "p95_trimmed_samples": 9_000, "n_words_measured": 300},
    {"mean_trimmed_samples": 8_000, "p95_trimmed_samples": 8_500, "n_words_measured": 100},
)


def test_joined_stores_by_hand() -> None:
    first, second = (imaginary_store(name, each) for name, each in zip("ab", STATISTICS, strict=True))
    both = JoinedStores([first, second])
    assert both.rows == first.rows + second.rows
    assert str(both.path) == "a + b"
    assert both.select("noise") == [*first.select("noise"), *second.select("noise")]
    # rows of the two are equal, but not the same
    assert first.rows == second.rows
    chosen = [second.rows[0], first.rows[0], second.rows[-1]]
    assert both.source_of(chosen).tolist() == [1, 0, 1]
    assert both.statistics == {
        "mean_trimmed_samples": 6_500, "p95_trimmed_samples": 9_000, "n_words_measured": 400
    }  # fmt: skip
    assert both.length_samples("mean") == 6_500
    assert both.length_samples("0.5") == 8_000
    expected = hashlib.sha256(b"digest of a digest of b").hexdigest()
    assert both.digest == expected
    assert JoinedStores([second, first]).digest != expected
    assert JoinedStores([first]).digest == "digest of a"


def test_stores_without_words_have_no_mean_of_their_own() -> None:
    nothing = {"mean_trimmed_samples": 0, "p95_trimmed_samples": 0, "n_words_measured": 0}
    both = JoinedStores([imaginary_store("a", nothing), imaginary_store("b", STATISTICS[1])])
    assert both.statistics == STATISTICS[1]
    none = JoinedStores([imaginary_store("a", nothing), imaginary_store("b", nothing)])
    assert none.statistics == nothing


def test_two_audio_stores_as_one() -> None:
    """The halves of a store, by its speakers: batches are those of the whole."""
    whole = toy_store()
    speakers = sorted({each.speaker for each in whole.select("word")})
    is_first = [each.speaker in speakers[::2] or each.kind != "word" for each in whole.rows]
    halves = [
        Store(whole.path, tuple(r for r, first in zip(whole.rows, is_first, strict=True) if first is half),
              whole.info)
        for half in (True, False)
    ]  # fmt: skip
    joined = JoinedStores(halves)
    off = AugmentConfig.off()
    plain, task = (make_split_task(source, TaskConfig(WORDS), "training") for source in (whole, joined))
    both = set(task.examples.source[task.words].tolist())
    assert both == {0, 1}
    paths = [task.examples.paths[index] for index in task.words]
    there = [plain.examples.paths.index(path) for path in paths]
    # the middle of a word: nothing is filled
    given = ClipDataset(joined, task, 2_000, off).__getitems__(
        [ItemKey(0, 0, i) for i in task.words.tolist()]
    )
    expected = ClipDataset(whole, plain, 2_000, off).__getitems__([ItemKey(0, 0, i) for i in there])
    order = np.argsort(task.examples.source[task.words], kind="stable")
    assert torch.equal(given.waveform, expected.waveform[order])
    assert torch.equal(given.labels, expected.labels[order])


def other_speakers(name: str, *more: Row) -> Store:
    store = imaginary_store(name)
    rows = (replace(each, speaker=each.speaker and f"other {each.speaker}") for each in store.rows)
    return Store(store.path, (*rows, *more), store.info)


def test_stores_whose_speakers_keep_their_split_go_together() -> None:
    check_together([imaginary_store("a"), imaginary_store("b"), other_speakers("c")])
    unnamed = [imaginary_store(name, speaker="", split=split) for name, split in zip("ab", ("training", "testing"),
               strict=True)]  # fmt: skip
    check_together(unnamed)
    check_together([toy_images(), toy_store(), toy_features()])


@pytest.mark.parametrize(("split", "other"), [("training", "validation"), ("testing", "training")])
def test_who_is_in_another_split_of_another_store_is_refused(split: str, other: str) -> None:
    first = other_speakers("a", row(200, "anna", other))
    second = other_speakers("b", row(300, "anna", split))
    message = failure(lambda: check_together([first, imaginary_store("between"), second]))
    assert f"b: expected a speaker in the same split of all stores, got anna in {split} here" in message
    assert f"in {other} of a; leave one of the two out" in message
    recording = other_speakers("b", row(300, "anna", split, "speech"))
    check_together([first, recording])


@pytest.mark.parametrize(("split", "is_dealt"), [("testing", False), ("validation", True)])
def test_folds_deal_out_who_is_validated_but_not_who_is_tested(split: str, is_dealt: bool) -> None:
    given = toy_store()
    rows = [replace(each, split=split) for each in given.select("word", "training")]
    stores = [given, Store(Path("again"), tuple(rows), {**given.info, "data_digest": "another"})]

    def make(fold: str) -> TrainingData:
        return TrainingData(stores, toy_config(fold=fold), CPU)

    expected = "again: expected a speaker in the same split of all stores, got "
    assert failure(lambda: make("")).startswith(expected)
    if is_dealt:
        assert len(make("1/2").training.words)
    else:
        assert failure(lambda: make("1/2")).startswith(expected)


def test_a_store_given_twice_is_refused() -> None:
    message = failure(
        lambda: check_together([imaginary_store("a"), other_speakers("b"), imaginary_store("a")])
    )
    assert message == (
        "a: expected stores of different clips, got those of a again; leave one of the two out"
    )


def test_features_of_another_front_end_are_refused() -> None:
    check_front_end(toy_store(), replace(FRONT_END, n_mels=64))  # audio: the network's own is used
    for store in (toy_features(), toy_images()):
        check_front_end(store, FRONT_END)
        check_front_end(store, replace(FRONT_END, log_floor=1e-3))  # exchanged
        for change, name in (({"f_max_hz": 8000.0}, "f_max_hz = 4000.0"), ({"n_mels": 64}, "n_mels = 40"),
                             ({"hop_length": 320}, "hop_length = 160")):  # fmt: skip
            asked = replace(FRONT_END, **change)
            message = failure(lambda store=store, asked=asked: check_front_end(store, asked))  # type: ignore[misc]
            value = next(iter(change.values()))
            assert f"{store.path}: features of a front end with {name}, the network's has {value};" in message


def test_labels_of_all_stores() -> None:
    """A word that only one store has is trained on; what no store has is refused."""
    features = toy_features()
    pictures = [each for each in toy_images().rows if each.word != WORDS[1]]
    images = toy_images()
    source = JoinedStores([type(images)(images.path, tuple(pictures), images.info), features])
    task = make_split_task(source, TaskConfig(WORDS), "training")
    count = Counter(zip(task.examples.labels.tolist(), task.examples.source.tolist(), strict=True))
    n_words = {word: sum(r.word == word for r in features.select("word", "training")) for word in WORDS}
    assert count[0, 0] == count[0, 1] == n_words[WORDS[0]]
    assert (count[1, 0], count[1, 1]) == (0, n_words[WORDS[1]])
    n_others = sum(r.word in OTHER_WORDS for r in features.select("word", "training"))
    assert count[2, 0] == count[2, 1] == n_others
    only_pictures = JoinedStores([type(images)(images.path, tuple(pictures), images.info)])
    assert "no training clip of up" in failure(
        lambda: make_split_task(only_pictures, TaskConfig(WORDS), "training", needs_noise=False)
    )


# --- voices


def test_a_voice_that_trains_and_validates_is_said_and_may_be_in_another_store() -> None:
    one, other = (
        imaginary_store(name, speaker="anna", path=f"{name}.wav") for name in ("lamp store", "tv store")
    )
    note = note_heard_voices(JoinedStores([one]), ["yes"])
    assert note.startswith("one voice (anna), in training and in tests alike")
    assert note_heard_voices(JoinedStores([one]), ["no"]) == ""
    assert note_heard_voices(JoinedStores([imaginary_store("a")]), ["yes"]) == ""
    check_together([one, other])
