"""The shipped negatives: what is in them, when they join, and that a run finds them again."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_run import WORDS, toy_config, toy_store

from data_prep.row_source import JoinedStores
from data_prep.shipped_negatives import ASSETS, AUDIO_FILE, INDEX_FILE, ShippedStore, open_shipped
from data_prep.store import Store
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import TrainingError
from speechcmd.training.data.shipped_negatives import (
    NOISE_SOURCE,
    add_negatives,
    describe_negatives,
    record_shipped,
    reopen_shipped,
    sources_of,
)
from speechcmd.training.settings.config import TrainConfig
from speechcmd.training.settings.limits import check_limits

MOST_BYTES = 1_500_000


def own_words(*kinds: str) -> Store:
    """The toy store with no clips but of the run's words, and the recordings of some kinds."""
    store = toy_store()
    rows = tuple(row for row in store.rows if row.word in WORDS or row.kind in kinds)
    return Store(store.path, rows, store.info)


def test_it_is_small_and_whole() -> None:
    assert (ASSETS / AUDIO_FILE).stat().st_size + (ASSETS / INDEX_FILE).stat().st_size < MOST_BYTES
    shipped = open_shipped(())
    assert shipped.rows[-1].offset + shipped.rows[-1].n_samples == len(shipped.audio)
    minutes = {
        kind: sum(row.n_samples for row in shipped.select(kind)) / SAMPLE_RATE / 60
        for kind in ("speech", "word", "noise")
    }
    assert minutes["speech"] > 6
    assert minutes["word"] > 2
    assert minutes["noise"] > 1
    assert all(np.abs(shipped.samples_of(row).astype(np.int32)).max() > 1_000 for row in shipped.rows)


def test_nobody_is_in_two_splits() -> None:
    shipped = open_shipped(())
    by_split = {
        split: {row.speaker for row in shipped.rows if row.split == split and row.speaker}
        for split in ("training", "validation")
    }
    assert len(by_split["validation"]) > 20
    assert not by_split["training"] & by_split["validation"]


def test_segments_in_which_an_own_word_is_said_stay_out() -> None:
    with (ASSETS / INDEX_FILE).open(newline="", encoding="utf-8") as handle:
        texts = [row["text"] for row in csv.DictReader(handle)]
    said = sum("the" in text.lower().split() for text in texts)
    assert said > 10
    everything, without = open_shipped(()), open_shipped(("The", "Alexa"))
    n_alexa = len([row for row in everything.rows if row.word == "alexa"])
    assert len(everything.rows) - len(without.rows) == said + n_alexa > said
    assert without.digest != everything.digest


def test_it_joins_where_there_is_nothing_else_to_tell_the_words_from() -> None:
    config = toy_config(unknown="auto", speech_percent=50.0)
    own, shipped = add_negatives([own_words("noise")], config)
    assert isinstance(shipped, ShippedStore)
    assert {row.kind for row in shipped.rows} == {"word", "speech", "noise"}
    line = describe_negatives([own, shipped])
    assert "no clips of other words and no running speech; training with the shipped negatives" in line
    assert "\n" not in line
    assert record_shipped([own], WORDS) == {}
    recorded = record_shipped([own, shipped], WORDS)
    assert len(sources_of(recorded)) == 6
    (again,) = reopen_shipped(json.loads(json.dumps(recorded)))
    assert again.digest == shipped.digest
    # how long its words are does not matter
    joined = JoinedStores([own, shipped])
    assert joined.length_samples("mean") == own.length_samples("mean")
    assert joined.length_samples("p95") == own.length_samples("p95")


def test_it_stays_out_where_there_are_other_words_or_where_it_is_not_wanted() -> None:
    config = toy_config()
    store = toy_store()
    assert add_negatives([store], config) == [store]
    assert describe_negatives([store]) == ""
    bare = own_words("noise")
    assert add_negatives([bare], replace(config, negatives="none")) == [bare]
    assert len(add_negatives([toy_store()], replace(config, negatives="shipped"))) == 2


def test_only_noise_joins_where_only_noise_lacks() -> None:
    store = toy_store()
    quiet = Store(store.path, tuple(row for row in store.rows if row.kind == "word"), store.info)
    _, shipped = add_negatives([quiet], toy_config())
    assert {row.kind for row in shipped.rows} == {"noise"}
    assert sources_of(record_shipped([quiet, shipped], WORDS)) == (NOISE_SOURCE,)
    assert "no background noise; training with the shipped noise" in describe_negatives([quiet, shipped])


def test_a_run_of_before_there_were_any_has_none() -> None:
    values = json.loads(TrainConfig().to_json())
    del values["negatives"]
    assert TrainConfig.from_json(json.dumps(values)).negatives == "none"


def test_another_choice_is_refused() -> None:
    with pytest.raises(TrainingError, match="negatives: expected one of auto, shipped, none"):
        check_limits(replace(TrainConfig(), negatives="some"))


def test_audio_is_decoded_in_each_process_anew() -> None:
    shipped = open_shipped(())
    again = type(shipped)(shipped.path, shipped.rows, shipped.info)
    np.testing.assert_array_equal(again.samples_of(again.rows[3]), shipped.samples_of(shipped.rows[3]))
    assert Path(again.path).name == AUDIO_FILE
