from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stream_store import (
    OTHER_WORDS,
    SAMPLE_RATE,
    SPEECH_PAUSE_S,
    WORDS,
    find_boundaries_once,
    write_store,
)

from data_prep.store import Store
from speechcmd.errors import EvaluationError
from speechcmd.evaluation.synthesis.stream_plan import CROSS_FADE_SAMPLES, Event, StreamSettings, plan_stream

pytestmark = pytest.mark.runtime

ONLY_WORDS = {"unknown": 0.0, "speech": 0.0, "close": 0.0, "repeat": 0.0}
HALF_SAMPLE_S = 0.5 / SAMPLE_RATE


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        find_boundaries_once(patch)
        yield write_store(tmp_path_factory.mktemp("plan") / "store")


def settings(**changes: Any) -> StreamSettings:
    return replace(StreamSettings(WORDS, minutes=5.0), **changes)


def events_of(store: Store, **changes: Any) -> list[Event]:
    return list(plan_stream(store, settings(**changes)).events)


def gaps_s(events: list[Event]) -> list[float]:
    return [(after.start - before.end) / SAMPLE_RATE for before, after in pairwise(events)]


def test_pauses_are_as_long_as_asked(store: Store) -> None:
    gaps = gaps_s(events_of(store, gap_s=(0.7, 1.9), **ONLY_WORDS))
    assert min(gaps) >= 0.7 - HALF_SAMPLE_S
    assert max(gaps) <= 1.9 + HALF_SAMPLE_S
    assert min(gaps) < 0.8
    assert max(gaps) > 1.8  # also across the ends of sections


def test_close_words_are_two_to_four_in_a_row(store: Store) -> None:
    events = events_of(store, gap_s=(1.0, 2.0), **{**ONLY_WORDS, "close": 1.0})
    lengths, n_words = [], 1
    for gap in gaps_s(events):
        if gap < 0.5:
            assert 0.1 - HALF_SAMPLE_S <= gap <= 0.3 + HALF_SAMPLE_S
            n_words += 1
        else:
            lengths.append(n_words)
            n_words = 1
    assert set(lengths) == {2, 3, 4}
    assert {event.setting for event in events} == {"close"}


def test_repeats_are_two_clips_of_one_speaker(store: Store) -> None:
    events = events_of(store, **{**ONLY_WORDS, "repeat": 1.0})
    assert len(events) > 50
    for first, second in zip(events[::2], events[1::2], strict=True):
        assert first.setting == second.setting == "repeat"
        assert first.spoken.row.word == second.spoken.row.word
        assert first.spoken.row.speaker == second.spoken.row.speaker
        assert first.spoken.row.path != second.spoken.row.path
        assert second.start - first.end == round(0.3 * SAMPLE_RATE)


def test_words_are_said_equally_often_at_each_ratio_and_clips_in_turn(store: Store) -> None:
    events = events_of(store, minutes=5.0, **ONLY_WORDS)
    for snr_db in settings().snrs_db:
        counts = Counter(event.spoken.row.word for event in events if event.snr_db == snr_db)
        assert max(counts.values()) - min(counts.values()) <= 1
    for word in WORDS:
        counts = Counter(event.spoken.row.path for event in events if event.spoken.row.word == word)
        assert len(counts) == 6
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(("unknown", "speech"), [(0.5, 0.1), (0.0, 0.3), (None, None)])
def test_shares_are_those_asked_for(store: Store, unknown: float | None, speech: float | None) -> None:
    plan = plan_stream(store, settings(minutes=10.0, unknown=unknown, speech=speech, close=0.0, repeat=0.0))
    kinds = Counter(event.kind for event in plan.events)
    for kind, share in (
        ("unknown", 0.25 if unknown is None else unknown),
        ("speech", speech or 0.1 * (speech is None)),
    ):
        expected = share * kinds.total()
        assert abs(kinds[kind] - expected) <= 4 * (expected * (1 - share)) ** 0.5
    assert (plan.settings.unknown, plan.settings.speech) == (
        0.25 if unknown is None else unknown,
        0.1 if speech is None else speech,
    )


def test_shares_whose_sum_is_rounded_are_one(store: Store) -> None:
    shares = {"unknown": 0.05, "speech": 0.55, "close": 0.3, "repeat": 0.1}
    assert sum(shares.values()) > 1.0
    assert settings(**shares).free_share == 0.0
    assert {event.setting for event in events_of(store, **shares) if event.kind == "keyword"} == {
        "close",
        "repeat",
    }
    assert settings(**{**shares, "close": 0.31}).free_share < 0.0


def test_a_recording_into_which_no_keyword_fits_is_refused(store: Store) -> None:
    with pytest.raises(
        EvaluationError, match=r"no keyword came into 0\.1 minutes with pauses of 600 to 600 s"
    ):
        plan_stream(store, settings(minutes=0.1, gap_s=(600.0, 600.0)))
    none_asked_for = {"unknown": 1.0, "speech": 0.0, "close": 0.0, "repeat": 0.0}
    assert {event.kind for event in events_of(store, minutes=0.5, **none_asked_for)} == {"unknown"}


def test_a_full_share_leaves_no_room_for_the_usual_ones(store: Store) -> None:
    plan = plan_stream(store, settings(unknown=0.8, close=0.0, repeat=0.2))
    assert plan.settings.speech == pytest.approx(0.0)
    assert {event.kind for event in plan.events} == {"unknown", "keyword"}
    assert {event.setting for event in plan.events if event.kind == "keyword"} == {"repeat"}


def test_only_words_of_the_split_that_were_found_in_their_clips_are_said(store: Store) -> None:
    plan = plan_stream(store, settings())
    for event in plan.events:
        row = event.spoken.row
        assert row.split == "testing"
        assert "silent" not in row.path
        assert (event.kind == "keyword") == (row.word in WORDS)
        assert (event.kind == "unknown") == (row.word in OTHER_WORDS)
        assert (event.kind == "speech") == (row.kind == "speech")
    assert {piece.row.path for piece in plan.pieces} == {
        "noise/hiss_testing.wav",
        "noise/barks.wav",
        "music/chord.wav",
    }


def test_long_speech_is_cut_in_its_pauses(store: Store) -> None:
    events = events_of(store, **{**ONLY_WORDS, "speech": 1.0})
    excerpts = [event for event in events if event.spoken.row.path == "books/long.wav"]
    assert len(excerpts) > 10
    for event in excerpts:
        assert 0.5 <= (event.end - event.start) / SAMPLE_RATE <= 6.0
        for boundary in event.spoken.boundaries:
            assert boundary / SAMPLE_RATE % 1.0 >= 1.0 - SPEECH_PAUSE_S


@pytest.mark.parametrize("gap_s", [(0.1, 0.1), (0.5, 3.0), (30.0, 45.0)])
def test_sections_follow_each_other_and_hold_their_events(store: Store, gap_s: tuple[float, float]) -> None:
    plan = plan_stream(store, settings(gap_s=gap_s, minutes=2.0))
    edges = [(section.start, section.end) for section in plan.sections]
    assert edges[0][0] == 0
    assert edges[-1][1] == plan.settings.n_samples
    assert all(before[1] == after[0] for before, after in pairwise(edges))
    free = gap_s[0] / 2 * SAMPLE_RATE - 1
    for section in plan.sections:
        for event in section.events:
            assert event.snr_db == section.snr_db
            assert event.start - section.start >= free
            # the last section ends with the recording
            assert section.end - event.end >= (free if section is not plan.sections[-1] else 0)


def test_noise_covers_the_recording_and_overlaps_for_the_cross_fade(store: Store) -> None:
    plan = plan_stream(store, settings())
    assert plan.pieces[0].start == 0
    assert plan.pieces[-1].end >= plan.settings.n_samples
    for before, after in pairwise(plan.pieces):
        assert before.end - after.start == CROSS_FADE_SAMPLES
    for piece in plan.pieces:
        assert piece.skip + piece.n_samples <= piece.row.n_samples
        assert piece.n_samples > 2 * CROSS_FADE_SAMPLES
    # short recordings are repeated, long ones are not heard from the same place
    assert any(before.row is after.row for before, after in pairwise(plan.pieces))
    assert len({piece.skip for piece in plan.pieces if piece.row.kind == "music"}) > 1


def test_the_seed_decides(store: Store) -> None:
    assert plan_stream(store, settings(seed=4, minutes=1.0)) == plan_stream(
        store, settings(seed=4, minutes=1.0)
    )
    assert plan_stream(store, settings(seed=4, minutes=1.0)) != plan_stream(
        store, settings(seed=5, minutes=1.0)
    )


@pytest.mark.parametrize(
    ("without", "changes", "says"),
    [
        ((), {"words": ("yes", "on", "off")}, "expected clips of on, off in the testing split"),
        ((), {"split": "validation"}, "expected clips of yes, no in the validation split"),
        (("noise", "music"), {}, "expected noise or music of at least a second in the testing split"),
        (("other",), {"unknown": 0.1}, "expected words beside the keywords in the testing split"),
        (("speech",), {"speech": 0.1}, "expected running speech in the testing split"),
    ],
)
def test_what_is_missing_is_named(
    store: Store, tmp_path: Path, without: tuple[str, ...], changes: dict[str, Any], says: str
) -> None:
    poor = write_store(tmp_path / "store", without=without) if without else store
    with pytest.raises(EvaluationError, match=says) as caught:
        plan_stream(poor, settings(**changes))
    assert str(poor.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_of_keywords_and_music_alone_will_do(tmp_path: Path) -> None:
    poor = write_store(tmp_path / "store", without=("other", "speech", "noise"))
    plan = plan_stream(poor, settings(minutes=1.0))
    assert (plan.settings.unknown, plan.settings.speech) == (0.0, 0.0)
    assert {event.kind for event in plan.events} == {"keyword"}
    assert {piece.row.kind for piece in plan.pieces} == {"music"}
