"""The decoder: from hand-written posteriors to detections."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fakes import plain_card
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.arrays import DoubleArray, FloatArray
from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard
from speechcmd.runtime.recognition.decoder import Decoder, Detection

pytestmark = pytest.mark.runtime

# 20 ms a step, windows of 0.4 s: half a window is 10 steps, the refractory time of 0.5 s 25
CARD = replace(
    plain_card(),
    labels=("_silence_", "_unknown_", "yes", "no"),
    sample_rate=1_000,
    window_samples=400,
    step_samples=20,
    decoder=DecoderSettings(LabelSettings(refractory_s=0.5), smoothing_steps=1),  # 0.7, 0.49, two steps
)
PEAK = [0.2, 0.8, 0.9, 0.6, 0.3]


def posteriors(yes: list[float], no: list[float] | None = None) -> FloatArray:
    """Columns as in CARD; what the words leave goes to silence."""
    table = np.zeros((max(len(yes), len(no or [])), 4), dtype=np.float32)
    table[: len(yes), 2] = yes
    table[: len(no or []), 3] = no or []
    table[:, 0] = 1 - table[:, 2:].sum(axis=1)
    return table


def decode(table: FloatArray, card: ModelCard = CARD) -> list[Detection]:
    decoder = Decoder(card)
    return decoder.feed(table) + decoder.flush()


def labels_of(detections: list[Detection]) -> list[str]:
    return [detection.label for detection in detections]


def smoothed_card(steps: int) -> ModelCard:
    return replace(CARD, decoder=replace(CARD.decoder, smoothing_steps=steps))


def test_one_peak_by_hand() -> None:
    """Above the threshold at steps 1 and 2, peak at 2, below the release level at 4."""
    (detection,) = decode(posteriors(PEAK + [0.0] * 5))
    assert detection.label == "yes"
    assert detection.score == pytest.approx(0.9)
    assert (detection.start_s, detection.end_s) == pytest.approx((0.04, 0.44))
    assert detection.decided_s == pytest.approx(3 * 0.02 + 0.4)  # the first step without a rise


def test_positions_count_from_the_first_sample() -> None:
    decoder = Decoder(CARD, first_sample=-200)
    (detection,) = decoder.feed(posteriors(PEAK))
    assert detection.start_s == pytest.approx(0.04 - 0.2)


def test_a_settled_peak_is_decided_a_step_later() -> None:
    decoder = Decoder(CARD)
    assert decoder.feed(posteriors([0.8, 0.9])) == []
    assert labels_of(decoder.feed(posteriors([0.9]))) == ["yes"]


def test_a_peak_that_keeps_rising_is_decided_after_half_a_window() -> None:
    rising = [0.71 + 0.02 * step for step in range(11)]
    decoder = Decoder(CARD)
    assert decoder.feed(posteriors(rising[:10])) == []
    (detection,) = decoder.feed(posteriors(rising[10:]))
    assert detection.score == pytest.approx(0.91)


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ([0.1] * 30, 2),  # a word spoken twice
        ([0.5] * 30, 1),  # no dip below the release level of 0.49: still the same word
        ([0.1] * 10, 1),  # the peaks lie 15 steps apart, within the refractory time of 25
        ([0.1] * 20, 2),  # 25 apart: just outside
        ([0.1] * 19, 1),  # 24 apart: just inside
    ],
)
def test_a_word_counts_again_after_a_dip_and_the_refractory_time(gap: list[float], expected: int) -> None:
    word = [0.75, 0.8, 0.9, 0.8, 0.75]
    assert labels_of(decode(posteriors(word + gap + word))) == ["yes"] * expected


def test_too_few_steps_above_the_threshold_do_not_fire() -> None:
    assert decode(posteriors([0.0, 0.95, 0.0, 0.0, 0.95, 0.0])) == []
    assert labels_of(decode(posteriors([0.0, 0.95, 0.5, 0.95, 0.0]))) == ["yes"]  # no release between


def test_silence_and_unknown_never_fire() -> None:
    table = np.zeros((100, 4), dtype=np.float32)
    table[:50, 0] = 1
    table[50:, 1] = 1
    assert decode(table) == []


def test_a_word_held_for_ever_fires_once() -> None:
    assert labels_of(decode(posteriors([0.95] * 2_000))) == ["yes"]


def test_of_two_labels_at_one_moment_the_stronger_fires() -> None:
    """Thresholds low enough that both pass."""
    low = replace(CARD, decoder=CARD.decoder.override(threshold=0.3))
    strong, weak = [0.1, 0.5, 0.6, 0.5, 0.1, 0, 0], [0.1, 0.32, 0.35, 0.32, 0.1, 0, 0]
    assert labels_of(decode(posteriors(strong, weak), low)) == ["yes"]
    assert labels_of(decode(posteriors(weak, strong), low)) == ["no"]


def test_a_decided_label_waits_for_a_stronger_one_that_still_rises() -> None:
    low = replace(CARD, decoder=CARD.decoder.override(threshold=0.3))
    early = [0.35, 0.4, 0.4, 0.4, 0.1, 0.1, 0.1, 0.1]
    late = [0.0, 0.3, 0.45, 0.55, 0.65, 0.65, 0.65, 0.1]
    assert labels_of(decode(posteriors(early, late), low)) == ["no"]


def test_a_waiting_label_fires_if_its_rival_was_a_spike() -> None:
    low = replace(CARD, decoder=CARD.decoder.override(threshold=0.3))
    steady, spike = [0.35, 0.4, 0.4, 0.4, 0.4, 0.4, 0.1], [0, 0, 0, 0.5, 0, 0, 0]
    assert labels_of(decode(posteriors(steady, spike), low)) == ["yes"]


def test_a_weaker_label_just_after_a_detection_is_its_echo() -> None:
    word, echo = [0.8, 0.9, 0.9, 0.9, 0.0], [0.0] * 6 + [0.8, 0.85, 0.8, 0.0]
    assert labels_of(decode(posteriors(word, echo))) == ["yes"]
    late_echo = [0.0] * 12 + [0.8, 0.85, 0.8, 0.0]  # half a window after the peak: another word
    assert labels_of(decode(posteriors(word, late_echo))) == ["yes", "no"]


def test_a_stronger_label_after_a_detection_fires_too() -> None:
    word, stronger = [0.8, 0.85, 0.8, 0.8, 0.0], [0.0] * 6 + [0.8, 0.95, 0.8, 0.0]
    assert labels_of(decode(posteriors(word, stronger))) == ["yes", "no"]


@pytest.mark.parametrize("span", [2, 5, 8])
def test_the_average_is_causal_and_shorter_at_the_start(span: int) -> None:
    """Against numpy's convolution: with min_steps 1 the score is the highest average."""
    values = np.random.default_rng(span).uniform(0.5, 1, 12).astype(np.float32)
    card = replace(CARD, decoder=DecoderSettings(LabelSettings(0.01, min_steps=1), smoothing_steps=span))
    counts = np.minimum(np.arange(1, 13), span)
    averages = np.convolve(values.astype(float), np.ones(span))[:12] / counts
    decoder = Decoder(replace(card, window_samples=4_000))  # long windows: the candidate stays open
    scores = [detection.score for detection in decoder.feed(posteriors(values.tolist())) + decoder.flush()]
    first_settled = next(step for step in range(1, 12) if averages[step] <= averages[:step].max() + 0.01)
    assert scores[0] == pytest.approx(averages[: first_settled + 1].max(), abs=1e-9)


def test_times_undo_the_delay_of_the_average() -> None:
    """A symmetric word peaks three steps late in an average of seven; its window is that of the middle."""
    word = [0.0] * 20 + [0.9] * 7 + [0.0] * 20
    (detection,) = decode(posteriors(word), smoothed_card(7))
    assert detection.score == pytest.approx(0.9)
    assert detection.start_s == pytest.approx(23 * 0.02)


def test_flush_decides_what_is_open() -> None:
    decoder = Decoder(CARD)
    assert decoder.feed(posteriors([0.8, 0.9])) == []
    (detection,) = decoder.flush()
    assert detection.decided_s == pytest.approx(0.02 + 0.4)
    assert decoder.feed(posteriors([0.95])) == []
    assert decoder.flush() == []  # one step is not enough at the end either
    assert decoder.flush() == []


def test_only_the_asked_labels_fire() -> None:
    table = posteriors(PEAK + [0.0] * 40, [0.0] * 20 + PEAK)
    assert labels_of(Decoder(CARD).feed(table)) == ["yes", "no"]
    assert labels_of(Decoder(CARD, only_labels=["no"]).feed(table)) == ["no"]
    assert Decoder(CARD, only_labels=[]).feed(table) == []


def test_thresholds_of_the_card_and_of_the_caller() -> None:
    table = posteriors(PEAK)
    picky = replace(CARD, decoder=CARD.decoder.override({"yes": 0.95}))
    assert decode(table, picky) == []
    settings = picky.decoder.override(threshold=0.5)
    assert labels_of(Decoder(picky, settings=settings).feed(table)) == ["yes"]


@pytest.mark.parametrize("shape", [(3,), (3, 5), (1, 3, 4)])
def test_posteriors_of_another_model_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"expected posteriors of shape \(n_steps, 4\)"):
        Decoder(CARD).feed(np.zeros(shape, dtype=np.float32))


def random_posteriors(seed: int) -> FloatArray:
    """Bursts of all labels, with sharp and blurred borders, so that many decisions fall."""
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0, 3, (30, 4)), rng.integers(1, 15, 30), axis=0)
    exponentials = np.exp(logits + rng.normal(0, 0.5, logits.shape))
    table: DoubleArray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return table.astype(np.float32)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=20),
    span=st.integers(1, 6),
)
def test_any_division_gives_the_same_detections(seed: int, sizes: list[int], span: int) -> None:
    table = random_posteriors(seed)
    card = smoothed_card(span)
    expected = decode(table, card)
    decoder = Decoder(card)
    decoder.feed(random_posteriors(seed + 1))
    decoder.reset()  # a decoder that was reset is as new
    for _ in range(2):  # and so is one that was flushed
        detections = []
        for part in np.split(table, np.cumsum(sizes)):
            detections += decoder.feed(part)
        assert detections + decoder.flush() == expected


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_detections_come_in_order_and_apart(seed: int) -> None:
    detections = decode(random_posteriors(seed))
    decided = [detection.decided_s for detection in detections]
    assert decided == sorted(decided)
    for detection in detections:
        assert detection.score >= 0.7
        assert detection.decided_s >= detection.end_s - 1e-9
    for label in ("yes", "no"):
        starts = sorted(detection.start_s for detection in detections if detection.label == label)
        assert all(later - earlier >= 0.5 - 1e-9 for earlier, later in pairwise(starts))


def test_an_hour_in_which_nothing_fires_is_quick() -> None:
    """Numpy's work only, about 0.05 s; a Python loop over the steps would take several."""
    hour = np.full((180_000, 4), 0.25, dtype=np.float32)
    begin = time.perf_counter()
    assert decode(hour) == []
    assert time.perf_counter() - begin < 1.0
