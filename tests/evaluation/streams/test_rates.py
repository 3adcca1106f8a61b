"""Rates and their intervals, curves and operating points, on outcomes that can be counted by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from made_audio import CARD, made_audio, made_recording
from scipy.stats import bootstrap

from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.evaluation.provenance import describe_run
from speechcmd.evaluation.report.results import to_plain
from speechcmd.evaluation.streams import sweep
from speechcmd.evaluation.streams.annotation import Word
from speechcmd.evaluation.streams.evaluate_streams import (
    Measurement,
    make_stream_result,
    measure_stream,
    note_on_hours,
)
from speechcmd.evaluation.streams.heard import HeardSet
from speechcmd.evaluation.streams.outcome import Scorer
from speechcmd.evaluation.streams.rates import count_rates, false_reject_rate
from speechcmd.evaluation.streams.stream_result import CurvePoint, NotReached
from speechcmd.evaluation.streams.sweep import logit, score_all, shift_probability, shift_thresholds
from speechcmd.evaluation.streams.trade_off import choose_offsets, find_offset, trade_off


@pytest.fixture(scope="module")
def audio() -> HeardSet:
    """Twelve recordings of a yes and a no; yes is found in nine, no in six; and six minutes of music."""
    stream = []
    for number in range(12):
        words = [Word("yes", 2.0, 2.4, {"snr_db": 10 * (number % 2)}), Word("no", 6.0, 6.4, {"snr_db": 20})]
        peaks = [("yes", 2.5, 0.75 + 0.01 * number)] * (number < 9) + [("no", 6.5, 0.8)] * (number < 6)
        stream.append(made_recording(peaks, words, kind=f"stream{number}"))
    music = made_recording([("yes", t, 0.9) for t in (100.0, 200.0, 300.0)], kind="music", duration_s=360.0)
    return made_audio(*stream, music)


def test_rows_by_hand(audio: HeardSet) -> None:
    outcome = Scorer(audio).score(CARD.decoder)
    everything, yes = count_rates(audio, outcome), count_rates(audio, outcome, "yes")
    assert (yes.n_words, yes.n_found, yes.n_false) == (12, 9, 3)
    assert yes.false_reject_rate == pytest.approx(0.25)
    hours = 0.1 + 12 * (10 - 0.8) / 3600
    assert everything.hours == pytest.approx(hours)
    assert everything.false_accepts_per_hour == pytest.approx(3 / hours)
    assert everything.fa_low == pytest.approx(0.6187 / hours, abs=1e-3), "Garwood's limits for three events"
    assert everything.fa_high == pytest.approx(8.7673 / hours, abs=1e-3)
    assert everything.false_reject_rate == pytest.approx(9 / 24)
    assert yes.delay_ms is not None
    assert yes.delay_ms.median == pytest.approx(120, abs=21)
    assert false_reject_rate(audio, outcome) == pytest.approx((0.25 + 0.5) / 2)


@pytest.fixture(scope="module")
def sessions() -> HeardSet:
    """Forty recordings of five words: in every fourth none is heard, in the others all, sooner and sooner."""
    heard = []
    for number in range(40):
        words = [Word("yes", 2.0 * n, 2.0 * n + 0.4) for n in range(1, 6)]
        late_s = 0.5 - 0.01 * number
        peaks = [("yes", word.end_s + late_s, 0.9) for word in words] if number % 4 else []
        heard.append(made_recording(peaks, words, duration_s=13.0))
    return made_audio(*heard)


def test_the_interval_is_the_bootstrap_of_an_independent_library(sessions: HeardSet) -> None:
    """Words of one recording share their fate: an interval that drew words would be half as wide."""
    outcome = Scorer(sessions).score(CARD.decoder)
    row = count_rates(sessions, outcome, "yes")
    assert row.false_reject_rate == 0.25
    missed = np.array([0.0 if number % 4 else 1.0 for number in range(40)])
    theirs = bootstrap((missed,), np.mean, method="percentile", n_resamples=9_999, rng=0).confidence_interval
    assert row.low == pytest.approx(theirs.low, abs=0.026)  # one recording is 0.025
    assert row.high == pytest.approx(theirs.high, abs=0.026)
    by_word = wilson_interval(50, 200)
    assert row.high - row.low > 1.8 * (by_word[1] - by_word[0])


def test_the_median_delay_and_its_interval(sessions: HeardSet) -> None:
    outcome = Scorer(sessions).score(CARD.decoder)
    delay = count_rates(sessions, outcome).delay_ms
    assert delay is not None
    delays = outcome.delays_s.reshape(40, 5)
    of_recordings = 1_000 * delays[~np.isnan(delays[:, 0])][:, 0]  # the five are alike
    assert delay.median == pytest.approx(1_000 * np.nanmedian(delays))
    theirs = bootstrap((of_recordings,), np.median, method="percentile", n_resamples=9_999, rng=0)
    assert delay.median_low == pytest.approx(theirs.confidence_interval.low, abs=21)  # a step is 20 ms
    assert delay.median_high == pytest.approx(theirs.confidence_interval.high, abs=21)


def test_few_recordings_have_the_interval_of_single_words() -> None:
    words = [Word("yes", 2.0 * n, 2.0 * n + 0.4) for n in range(1, 5)]
    few = made_audio(*[made_recording([("yes", 2.5, 0.9)], words) for _ in range(9)])
    row = count_rates(few, Scorer(few).score(CARD.decoder))
    assert (row.low, row.high) == wilson_interval(27, 36)


def test_a_rate_of_nothing_has_an_interval_with_width(audio: HeardSet) -> None:
    outcome = Scorer(audio).score(CARD.decoder.override(threshold=0.2))
    among = np.zeros(24, dtype=bool)
    among[:10] = True
    row = count_rates(audio, outcome, "yes", among=among)
    assert (row.n_words, row.false_reject_rate, row.low) == (5, 0.0, 0.0)
    assert row.high == pytest.approx(0.4345, abs=1e-3), "Wilson's limit for none of five"


def test_nothing_to_divide_by_is_none() -> None:
    silent = made_audio(made_recording([], kind="music"))
    row = count_rates(silent, Scorer(silent).score(CARD.decoder), "yes")
    assert (row.false_reject_rate, row.low, row.delay_ms) == (None, None, None)
    said = made_audio(made_recording([], [Word("yes", 0.0, 10.0)]))
    assert count_rates(said, Scorer(said).score(CARD.decoder)).false_accepts_per_hour is None


def test_thresholds_move_on_the_logit_scale() -> None:
    assert shift_probability(0.5, 0.0) == pytest.approx(0.5)
    assert logit(shift_probability(0.7, 1.3)) == pytest.approx(logit(0.7) + 1.3)
    assert shift_probability(0.7, 100.0) == 0.9999
    assert shift_probability(0.7, -100.0) == 0.001
    shifted = shift_thresholds(CARD.decoder.override({"no": 0.5}), 1.0)
    assert shifted.of("no").threshold == pytest.approx(0.7311, abs=1e-4)
    assert shifted.of("yes").threshold == pytest.approx(0.8638, abs=1e-4)
    assert shifted.of("no").release_ratio == CARD.decoder.default.release_ratio


def test_the_curve_falls_and_holds_the_model_as_set(audio: HeardSet) -> None:
    offsets = choose_offsets(audio, CARD.decoder, 20)
    assert 0.0 in offsets
    assert len(offsets) in (19, 20)
    assert offsets == sorted(offsets)
    outcomes = score_all(audio, [shift_thresholds(CARD.decoder, offset) for offset in offsets])
    curve = trade_off(audio, offsets, outcomes)
    assert all(a.n_false >= b.n_false for a, b in pairwise(curve))
    assert all(a.false_reject_rate <= b.false_reject_rate for a, b in pairwise(curve))
    at_zero = curve[offsets.index(0.0)]
    assert (at_zero.n_false, at_zero.false_reject_rate) == (3, pytest.approx(0.375))
    yes = trade_off(audio, offsets, outcomes, "yes")[offsets.index(0.0)]
    assert (yes.n_false, yes.false_reject_rate) == (3, pytest.approx(0.25))


def test_a_rate_holds_from_a_point_on() -> None:
    def curve(*counts: int) -> list[CurvePoint]:
        return [CurvePoint(float(n), 0.1, count / 2, count) for n, count in enumerate(counts)]

    assert find_offset(curve(9, 5, 2, 1, 0), 1.0, 2.0) == 2
    assert find_offset(curve(9, 2, 3, 1, 0), 1.0, 2.0) == 3, (
        "a lucky dip before the rate holds does not count"
    )
    assert find_offset(curve(9, 5, 4, 3, 3), 1.0, 2.0) is None
    assert find_offset(curve(9, 5, 4, 0), 0.3, 2.0) == 3, "half an event is none"
    assert find_offset(curve(0, 0), 1.0, 0.0) is None, "no hours show no rate"


def test_too_few_hours_are_said_in_plain_words() -> None:
    assert note_on_hours(1.0, 3.1, 2) == ""
    note = note_on_hours(1.0, 2.0, 2)
    assert "2.00 h" in note
    assert "3.0 h without a single one" in note


def test_the_result_holds_points_curves_and_mistakes(audio: HeardSet) -> None:
    offsets = (-1.0, 0.0, 3.0)
    outcomes = score_all(audio, [shift_thresholds(CARD.decoder, offset) for offset in offsets])
    run = describe_run(CARD, b"")
    result = to_plain(make_stream_result(run, Measurement(audio, offsets, tuple(outcomes)), [1.0, 0.001]))
    as_set, one, few = result["points"]
    assert as_set["offset"] == 0.0
    assert as_set["overall"]["n_false"] == 3
    assert (one["reached"], one["offset"]) == (True, 3.0)
    assert one["overall"]["false_reject_rate"] == 1.0
    assert few["reached"]
    assert [row["kind"] for row in as_set["by_kind"]][-1] == "music"
    assert sum(row["n_false"] for row in as_set["by_kind"]) == 3
    (table,) = as_set["by_attribute"]
    assert table["attribute"] == "snr_db"
    shares = {one["value"]: one["rows"][0]["false_reject_rate"] for one in table["values"]}
    assert shares == {0: pytest.approx(1 / 6), 10: pytest.approx(2 / 6), 20: pytest.approx(0.5)}
    assert [point["n_false"] for point in result["curve"]] == [3, 3, 0]
    assert [one["what"] for one in result["mistakes"]] == ["false accept"] * 3 + ["miss"] * 6
    assert result["hours"]["music"] == pytest.approx(0.1)
    assert as_set["without_homophones"] is None
    assert not any(math.isnan(row["low"]) for row in as_set["by_label"])


def test_an_unreachable_rate_is_said() -> None:
    loud = made_audio(made_recording([("yes", 3.0, 0.99)], kind="music"))
    outcomes = score_all(loud, [CARD.decoder])
    point = measure_stream(Measurement(loud, (0.0,), tuple(outcomes)), [1.0]).points[1]
    assert isinstance(point, NotReached)
    assert "1 false accepts in 0.00 h are left" in point.note


def test_processes_give_the_same_in_order(audio: HeardSet, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [shift_thresholds(CARD.decoder, offset) for offset in (-2.0, 0.0, 1.0)]
    monkeypatch.setattr(sweep, "_WORTH_PROCESSES", 0.0)
    alone, seen = score_all(audio, settings), []
    together = score_all(audio, settings, n_processes=2, on_progress=seen.append)
    assert seen == [1, 2, 3]
    for one, other in zip(alone, together, strict=True):
        assert one.settings == other.settings
        assert one.fates.tolist() == other.fates.tolist()
        assert one.false_accepts == other.false_accepts
