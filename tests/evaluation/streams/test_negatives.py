"""A calibrated model is held to its promise on other audio."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_audio import CARD, made_audio, made_recording

from speechcmd.evaluation.streams.annotation import Word
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.negatives import Negatives, check_promise
from speechcmd.evaluation.streams.outcome import Scorer


def promised(n_events: object, hours: object, n_heard: int) -> HeardSet:
    """A model that promised so many events in so many hours, and 360 s of noise in which it hears others."""
    peaks = [("yes", 10.0 * (n + 1), 0.9) for n in range(n_heard)]
    know = made_recording([("no", 3.0, 0.9)], kind="talk", sounds=["no"])
    audio = made_audio(made_recording(peaks, kind="noise", duration_s=360.0), know)
    promise = {"calibration": {"n_events": n_events, "hours": hours, "unlabelled": True}}
    return replace(audio, card=replace(CARD, training=promise))


@pytest.mark.parametrize(
    ("n_heard", "is_kept", "is_within"),
    [(0, True, False), (6, True, True), (22, True, True), (23, False, False)],
)
def test_other_hours_bear_the_promise_out_or_not(n_heard: int, is_kept: bool, is_within: bool) -> None:
    """Ten events in as many hours: 3 to 22 are not refused (P(X >= 22) of 32 = 0.0251, of 33: 0.0175)."""
    audio = promised(10, 0.1, n_heard)
    check = check_promise(audio, Scorer(audio).score(CARD.decoder))
    assert check is not None
    assert (check.n_events, check.hours, check.low, check.high) == (n_heard, pytest.approx(0.1), 3, 22)
    assert (check.is_kept, check.is_within) == (is_kept, is_within)
    verdict = "as promised" if is_within else "fewer than promised" if is_kept else "BROKEN"
    assert check.describe().endswith(f"after 10 in 0.10 h of calibration: {verdict}")


def test_other_settings_and_models_promise_nothing() -> None:
    audio = promised(10, 0.1, 3)
    outcome = Scorer(audio).score(CARD.decoder.override(threshold=0.5))
    assert check_promise(audio, outcome) is None
    for made in (promised("ten", 0.1, 1), promised(10, 0, 1), replace(promised(1, 1, 1), card=CARD)):
        assert check_promise(made, Scorer(made).score(CARD.decoder)) is None


def test_labelled_recordings_count_only_if_there_are_no_others() -> None:
    stream = made_recording([("no", 8.0, 0.9)], [Word("yes", 1.0, 1.5)], kind="stream")
    alone = Negatives(made_audio(stream))
    assert alone.hours == pytest.approx(9.5 / 3600)
    assert len(alone.false_accepts(Scorer(alone.audio).score(CARD.decoder))) == 1
    both = Negatives(made_audio(stream, made_recording([], kind="noise")))
    assert both.hours_by_kind == {"noise": pytest.approx(10 / 3600)}
    assert both.false_accepts(Scorer(both.audio).score(CARD.decoder)) == []
