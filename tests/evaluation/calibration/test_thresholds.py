"""Thresholds from measurement: the budget shared in the best way, kept, proved, or refused in plain words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_audio import CARD, made_audio, made_recording

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.calibration import thresholds as calibration
from speechcmd.evaluation.calibration.budget import share_events
from speechcmd.evaluation.calibration.thresholds import Calibration, Goal, GoalError, calibrate
from speechcmd.evaluation.streams.annotation import Word
from speechcmd.evaluation.streams.heard import HeardRecording, HeardSet
from speechcmd.evaluation.streams.outcome import Outcome, Scorer
from speechcmd.runtime.model.card import DecoderSettings

SHORT = (0.02,)  # no averaging


def run(audio: HeardSet, goal: Goal, smoothings_s: Sequence[float] = SHORT) -> Calibration:
    def score_all(asked: Sequence[DecoderSettings]) -> list[Outcome]:
        return [Scorer(audio).score(one) for one in asked]

    return calibrate(audio, goal, score_all, smoothings_s=smoothings_s)


def negatives(peaks: Sequence[tuple[str, float]], hours: float = 0.01) -> HeardRecording:
    """Noise in which labels rise: (label, posterior), a second apart."""
    placed = [(label, 1.0 * (n + 1), posterior) for n, (label, posterior) in enumerate(peaks)]
    return made_recording(placed, kind="noise", duration_s=3600 * hours)


def positives(yes: float = 0.95, no: float = 0.95) -> HeardRecording:
    words = [Word("yes", 2.0, 2.4), Word("no", 6.0, 6.4), Word("yes", 12.0, 12.4), Word("no", 16.0, 16.4)]
    peaks = [(word.label, word.end_s + 0.1, yes if word.label == "yes" else no) for word in words]
    return made_recording(peaks, words, kind="stream", duration_s=20.0)


def test_the_rate_is_kept_and_the_words_are_heard() -> None:
    audio = made_audio(negatives([("yes", 0.7), ("yes", 0.8), ("no", 0.6)]), positives(yes=0.75))
    chosen = run(audio, Goal(100.0))  # 0.01 h: one event is allowed
    assert (chosen.n_events, chosen.false_reject_rate) == (1, 0.0)
    assert chosen.hours == pytest.approx(0.01)
    assert chosen.rate == pytest.approx(100.0)
    assert chosen.low < 100.0 < chosen.high
    assert Scorer(audio).score(chosen.settings).false_accepts[0].score == pytest.approx(0.8)


def test_each_label_gets_what_it_needs() -> None:
    """yes is heard in noise at 0.8 and said at 0.95; no is quiet in noise and said at 0.5."""
    noise = negatives([("yes", 0.8)] * 20 + [("no", 0.3)] * 20, hours=0.0125)
    chosen = run(made_audio(noise, positives(no=0.5)), Goal(1.0))
    assert (chosen.n_events, chosen.false_reject_rate) == (0, 0.0)
    assert 0.8 < chosen.settings.of("yes").threshold < 0.95
    assert 0.3 < chosen.settings.of("no").threshold < 0.5


def test_with_confidence_the_upper_bound_holds_or_the_hours_needed_are_told() -> None:
    audio = made_audio(negatives([("yes", 0.7), ("no", 0.6)], hours=0.02), positives(yes=0.65))
    kept = run(audio, Goal(300.0, confidence=0.95))
    # one event in 0.02 h: upper bound 237.2 an hour; two: 314.8
    assert kept.n_events == 1
    assert kept.upper_bound == pytest.approx(237.19, abs=0.01)
    needed = -math.log(0.05) / 20.0
    with pytest.raises(
        GoalError,
        match=f"0.02 h cannot prove a rate of 20 per hour with 95 % confidence: {needed:.1f} h without",
    ):
        run(audio, Goal(20.0, confidence=0.95))


def test_a_rate_that_nothing_keeps_shows_the_curve() -> None:
    audio = made_audio(negatives([("yes", 0.99), ("no", 0.99)], hours=0.01), positives(0.9, 0.9))
    with pytest.raises(
        GoalError, match=r"no thresholds keep a rate of 1 per hour: .* give 2 in 0.01 h"
    ) as caught:
        run(audio, Goal(1.0))
    assert len(caught.value.curve) > 10


def test_homophones_and_labelled_recordings_are_no_negatives() -> None:
    know = made_recording([("no", 3.0, 0.97)], kind="sentences", sounds=["no"], duration_s=36.0)
    chosen = run(made_audio(know, negatives([("yes", 0.6)]), positives()), Goal(1.0))
    assert chosen.n_events == 0
    assert chosen.hours_by_kind == {"sentences": 0.0, "noise": pytest.approx(0.01)}
    assert chosen.settings.of("no").threshold < 0.95


def test_only_labelled_recordings_count_outside_words() -> None:
    words = [Word("yes", 2.0, 2.4), Word("no", 6.0, 6.4)]
    peaks = [("yes", 2.5, 0.95), ("no", 6.5, 0.95), ("no", 9.0, 0.7)]
    chosen = run(made_audio(made_recording(peaks, words)), Goal(10.0))
    assert (chosen.n_events, chosen.false_reject_rate) == (0, 0.0)
    assert chosen.hours == pytest.approx((10 - 0.8) / 3600)


def test_without_words_the_labels_stay_as_they_are_to_each_other() -> None:
    audio = made_audio(negatives([("yes", 0.9), ("no", 0.6)]))
    card = replace(CARD, decoder=CARD.decoder.override({"no": 0.5}))
    chosen = run(replace(audio, card=card), Goal(1.0))
    assert chosen.n_events == 0
    assert chosen.false_reject_rate is None
    assert chosen.settings.of("yes").threshold > chosen.settings.of("no").threshold


def test_the_smoothing_that_misses_least_is_taken_if_it_is_quick_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long rise of the words and short ones of the noise: averaging over ten steps tells them apart."""
    monkeypatch.setattr(calibration, "_COARSE", 12)  # thresholds, of which each is tried at each smoothing
    monkeypatch.setattr(calibration, "_FINE", 12)
    words = [Word("yes", 2.0, 2.4), Word("no", 6.0, 6.4)]
    said = made_recording([("yes", 2.45, 0.9), ("no", 6.45, 0.9)], words, kind="stream", width=15)
    noise = negatives([("yes", 0.95), ("no", 0.95)])
    chosen = run(made_audio(noise, said), Goal(1.0), smoothings_s=(0.02, 0.2))
    assert chosen.settings.smoothing_steps == 10
    assert chosen.false_reject_rate == 0.0
    with pytest.raises(GoalError, match=r"no smoothing answers within 1 ms: the quickest takes \d+ ms"):
        run(made_audio(noise, said), Goal(1.0, longest_delay_s=0.001), smoothings_s=(0.1, 0.2))


def test_a_smoothing_is_not_chosen_by_the_few_events_of_the_rate_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one event allowed of 30, no averaging finds two of six words and averaging one; with two, two and four."""
    monkeypatch.setattr(calibration, "_COARSE", 24)
    monkeypatch.setattr(calibration, "_FINE", 24)
    long_peaks = [0.7, 0.7, 0.7, 0.95]
    words = [Word("yes" if n % 2 else "no", 2.0 * n, 2.0 * n + 0.4) for n in range(1, 7)]
    at = [(word.label, word.end_s + 0.05) for word in words]
    sustained = made_recording(
        [(*place, peak) for place, peak in zip(at[:4], long_peaks, strict=True)], words[:4], width=15
    )
    brief = made_recording([(*place, 0.99) for place in at[4:]], words[4:], duration_s=20.0)
    clicks = negatives([("yes", 0.96), ("no", 0.96)] * 14, hours=0.01)
    murmurs = made_recording([("no", 2.0, 0.9), ("yes", 6.0, 0.9)], kind="noise", width=15)
    audio = made_audio(sustained, brief, clicks, murmurs)
    goal = Goal(1 / (0.01 + 10 / 3600))
    chosen = {steps: run(audio, goal, smoothings_s=(0.02 * steps,)) for steps in (1, 10)}
    missed = {steps: chosen[steps].false_reject_rate for steps in chosen}
    assert missed == {1: pytest.approx(4 / 6), 10: pytest.approx(5 / 6)}
    assert run(audio, goal, smoothings_s=(0.02, 0.2)).settings.smoothing_steps == 10


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(EvaluationError, match="the labelled recordings hold no no: each word of the model"):
        run(made_audio(negatives([]), made_recording([], [Word("yes", 1.0, 1.5)])), Goal(1.0))
    with pytest.raises(EvaluationError, match="no audio without keywords"):
        run(made_audio(), Goal(1.0))


tables = st.integers(1, 3).flatmap(
    lambda n: st.lists(
        st.tuples(
            st.lists(st.integers(0, 6), min_size=4, max_size=4),
            st.lists(st.integers(0, 10), min_size=4, max_size=4),
        ),
        min_size=n, max_size=n,
    )
)  # fmt: skip


@settings(max_examples=100)
@given(tables, st.integers(0, 12))
def test_no_way_to_share_the_budget_is_better(table: list[tuple[list[int], list[int]]], budget: int) -> None:
    n_false = np.array([row[0] for row in table])
    rejected = np.array([row[1] for row in table]) / 10
    ways = [
        (round(sum(rejected[label, one] for label, one in enumerate(way)), 9), spent)
        for way in itertools.product(range(4), repeat=len(table))
        if (spent := sum(n_false[label, one] for label, one in enumerate(way))) <= budget
    ]
    chosen = share_events(n_false, rejected, budget)
    if chosen is None:
        assert ways == []
        return
    spent = sum(n_false[label, one] for label, one in enumerate(chosen))
    assert (round(sum(rejected[label, one] for label, one in enumerate(chosen)), 9), spent) == min(ways)
