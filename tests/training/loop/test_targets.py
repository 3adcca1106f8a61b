"""What each answer has in view of its clip's word: by hand, at the edges, for recordings, for long words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_features import toy_features
from toy_run import WORDS, toy_store

from data_prep.row_source import AnyStore
from data_prep.store import Store
from data_prep.task import Examples, TaskConfig, make_split_task
from speechcmd.training.augment.placement import HALF_SEEN_SHIFT, draw_half_seen, word_spans
from speechcmd.training.data.dataset import ClipDataset
from speechcmd.training.data.sampler import ItemKey
from speechcmd.training.loop.loss import answer_losses, soft_targets
from speechcmd.training.loop.targets import AnswerTargets, label_targets, make_targets
from speechcmd.training.settings.config import AugmentConfig

NAN = math.nan
N_WINDOW = 480 + 39 * 160  # 40 frames; a word counts up to 2352 samples from its centre


def examples_of(*places: tuple[int, int, int, bool]) -> Examples:
    """Speech from, to, centre of each, and whether it is a word."""
    start, end, centre, is_word = (np.array(column) for column in zip(*places, strict=True))
    zero, n = np.zeros(len(places), np.int64), len(places)
    return Examples(
        ("",) * n,
        zero,
        zero,
        zero + 10**6,
        start,
        end,
        centre,
        zero.astype(np.float32),
        is_word,
        zero,
        zero > 0,
    )


def test_where_words_begin_and_end_by_hand() -> None:
    examples = examples_of(
        (5_000, 8_200, 6_600, True),
        (5_000, 8_200, 6_600, False),
        (0, 16_000, 10_000, True),
        (5_000, 8_200, 5_100, True),
    )
    starts = np.array([4_200, 4_200, 10_000 - N_WINDOW // 2, 6_600])
    spans = word_spans(examples, np.arange(4), starts, N_WINDOW, 160)
    assert spans.dtype == np.float32
    assert spans[0].tolist() == [5.0, 25.0]
    assert np.isnan(spans[1]).all()
    # of a word of a second seven tenths of the window around its centre: 2352 samples on both sides
    assert np.allclose(spans[2], [(3_360 - 2_352) / 160, (3_360 + 2_352) / 160])
    assert np.allclose(spans[3], [-10, (5_100 + 2_352 - 6_600) / 160])  # before the window


@pytest.mark.parametrize(
    ("span", "whole", "half"),
    [
        ((0, 20), [1, 0, 0, 0], [0, 0, 0, 1]),  # 20, 16, 12 and 8 of 20 frames: 0.8 and 0.6 are left open
        ((24, 44), [0, 1, 1, 1], [0, 0, 0, 0]),  # 16, then all
        ((30, 50), [0, 0, 1, 1], [1, 0, 0, 0]),  # 10 is half, 14 neither, 18 nine tenths, 20
        ((2, 22), [1, 1, 0, 0], [0, 0, 0, 1]),  # 20, 18, 14, 10
        ((50, 60), [0, 0, 0, 0], [1, 1, 1, 1]),  # behind them; of the last window's frames two
        ((-20, -5), [0, 0, 0, 0], [1, 1, 1, 1]),
        ((-10, 70), [0, 0, 0, 0], [1, 1, 1, 1]),  # twice the window
    ],
)  # fmt: skip
def test_views_by_hand(span: tuple[float, float], whole: list[int], half: list[int]) -> None:
    """Four answers of 40 frames, four apart."""
    for is_unknown in (False, True):
        asked = make_targets(torch.tensor([span], dtype=torch.float32), torch.tensor([is_unknown]), 4, 4, 40)
        assert asked.label.int().tolist() == [whole]
        assert asked.no_word.int().tolist() == [half]


def test_noise_is_noise_and_speech_may_be_a_pause() -> None:
    spans = torch.full((2, 2), NAN)
    asked = make_targets(spans, torch.tensor([False, True]), 3, 4, 40)
    assert asked.label.tolist() == [[True] * 3, [False] * 3]
    assert asked.no_word.tolist() == [[False] * 3, [True] * 3]


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-200, 200, width=32), st.floats(1, 200, width=32), st.integers(1, 6), st.integers(1, 9), st.integers(2, 90)
)  # fmt: skip
def test_no_answer_sees_a_word_whole_and_half(
    first: float, length: float, n_steps: int, step: int, window: int
) -> None:
    spans = torch.tensor([[first, first + length]])
    asked = make_targets(spans, torch.tensor([False]), n_steps, step, window)
    assert asked.label.shape == asked.no_word.shape == (1, n_steps)
    assert not bool((asked.label & asked.no_word).any())
    for number, (whole, half) in enumerate(
        zip(asked.label[0].tolist(), asked.no_word[0].tolist(), strict=True)
    ):
        begin = number * step
        seen = max(0.0, min(first + length, begin + window) - max(first, begin)) / length
        if min(abs(seen - 0.9), abs(seen - 0.5)) > 1e-3:  # float32
            assert (whole, half) == (seen > 0.9, seen < 0.5)


def test_without_neighbours_and_moved_words_the_label_is_asked() -> None:
    asked = label_targets(torch.tensor([3, 1]))
    assert (asked.label.tolist(), asked.no_word.tolist()) == ([[True], [True]], [[False], [False]])


# --- what it costs to answer otherwise


def scores_of(*scores: float) -> list[float]:
    """Logits whose softmax they are."""
    assert sum(scores) == pytest.approx(1.0)
    return np.log(scores).tolist()  # type: ignore[no-any-return]


# the first clip's word is whole, half, not counted; the second's nowhere; of the third, which weighs 3, two answers are half
SCORES = torch.tensor([
    [scores_of(0.5, 0.1, 0.3, 0.1), scores_of(0.5, 0.1, 0.3, 0.1), scores_of(0.1, 0.7, 0.1, 0.1)],
    [scores_of(0.1, 0.7, 0.1, 0.1)] * 3,
    [scores_of(0.25, 0.25, 0.25, 0.25), scores_of(0.1, 0.1, 0.1, 0.7), scores_of(0.7, 0.1, 0.1, 0.1)],
])  # fmt: skip
WHOLE = torch.tensor([[True, False, False], [False] * 3, [False, False, False]])
HALF = torch.tensor([[False, True, False], [False] * 3, [True, True, False]])
NO_WORDS = torch.tensor([2, 3])
TARGETS = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 3, 0, 0]])


@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
def test_the_loss_of_several_answers_by_hand(focal: float) -> None:
    def own(score: float) -> float:
        return -math.log(score) * math.pow(1 - score, focal)

    first = (own(0.5) + own(0.3 + 0.1)) / 2
    third = 3 * (own(0.25 + 0.25) + own(0.1 + 0.7)) / 2
    given = answer_losses(SCORES, TARGETS, AnswerTargets(WHOLE, HALF), NO_WORDS, focal)
    assert float(given) == pytest.approx((first + third) / (1 + 3), rel=1e-5)
    order = [2, 0, 3, 1]  # of the labels: what is no word is told, not guessed from its place
    moved = answer_losses(
        SCORES[..., order], TARGETS[:, order], AnswerTargets(WHOLE, HALF), torch.tensor([0, 2]), focal
    )
    assert float(moved) == pytest.approx(float(given), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_an_answer_that_does_not_count_has_no_gradient(seed: int, focal: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = (30 * torch.randn(4, 5, 4, generator=rng)).requires_grad_()  # some scores round to 0 or 1
    state = torch.randint(0, 3, (4, 5), generator=rng)
    targets = soft_targets(torch.randint(0, 4, (4,), generator=rng), 4, 0.0)
    loss = answer_losses(logits, targets, AnswerTargets(state == 0, state == 1), NO_WORDS, focal)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert bool((logits.grad[state == 2] == 0).all())


def test_half_a_word_may_be_either_of_what_is_no_word() -> None:
    """Its gradient lowers the words' logits, and leaves the two others their proportion."""
    half = AnswerTargets(torch.tensor([[False]]), torch.tensor([[True]]))
    logits = torch.tensor([[[2.0, 1.0, 0.5, -3.0]]], requires_grad=True)
    answer_losses(logits, torch.tensor([[1.0, 0, 0, 0]]), half, NO_WORDS, 0.0).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    word, other, unknown, silence = logits.grad.flatten().tolist()
    assert word > other > 0 > silence > unknown
    assert unknown / silence == pytest.approx(math.exp(3.5), rel=1e-4)


def test_where_nothing_counts_there_is_no_loss() -> None:
    nothing = AnswerTargets(torch.zeros(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool))
    assert float(answer_losses(SCORES, TARGETS, nothing, NO_WORDS, 2.0)) == 0


# --- in batches


def test_half_seen_words_are_moved_far() -> None:
    off, half = AugmentConfig.off(), AugmentConfig(half_seen_percent=40.0)
    assert not draw_half_seen(off, 1_000, 10_000, np.random.default_rng(0)).any()
    moved = draw_half_seen(half, 10_000, 10_000, np.random.default_rng(0))
    assert np.count_nonzero(moved) == pytest.approx(4_000, abs=5 * 49)  # five standard deviations
    far = np.abs(moved[moved != 0]) / 10_000
    assert far.min() >= HALF_SEEN_SHIFT[0]
    assert far.max() <= HALF_SEEN_SHIFT[1]
    assert far.mean() == pytest.approx(0.5, abs=0.02)
    assert np.count_nonzero(moved > 0) == pytest.approx(2_000, abs=200)


@pytest.mark.parametrize("half_seen_percent", [0.0, 50.0])
@pytest.mark.parametrize("open_store", [toy_store, toy_features])
def test_a_batch_says_where_its_words_lie(
    open_store: Callable[[], AnyStore], half_seen_percent: float
) -> None:
    """Compared with what was cut: each row is found in its store, whatever it was moved by."""
    store = open_store()
    task = make_split_task(store, TaskConfig(WORDS), "training")
    augment = replace(AugmentConfig.off(), time_shift_ms=20, half_seen_percent=half_seen_percent)
    # windows of 40 frames are placed, of which 100 are seen
    dataset = ClipDataset(store, task, 480 + 99 * 160, augment, n_placed=N_WINDOW)
    indices = np.concatenate([task.words[:20], task.silence[:1]])
    batch = dataset.__getitems__([ItemKey(0, 0, int(index)) for index in indices])
    assert np.isnan(batch.spans[-1].numpy()).all()
    examples, shifts = task.examples, []
    for row, index in enumerate(indices[:20]):
        if isinstance(store, Store):
            clip = store.audio[examples.first[index] : examples.end[index]]
            start, off_by = start_of_audio(clip, batch.waveform[row]), 0.01
        else:
            frames = store.log_mel[examples.first[index]].astype(np.float32)
            start, off_by = 160 * start_of(frames, batch.log_mel[row].numpy()), 0.51  # at the nearest frame
        begin, end, centre = (
            column[index] - examples.first[index] for column in (examples.speech_start, examples.speech_end, examples.centre)
        )  # fmt: skip
        expected = np.array([max(begin, centre - 2_352), min(end, centre + 2_352)]) - start
        assert np.allclose(batch.spans[row].numpy(), expected / 160, atol=off_by)
        shifts.append(float(batch.spans[row].mean()) - 50)
    n_far = np.count_nonzero(np.abs(shifts) > 15)  # half a word lies at the window's edge, 20 frames away
    assert (3 <= n_far <= 13) if half_seen_percent else n_far == 0


@pytest.mark.parametrize("open_store", [toy_store, toy_features])
def test_words_lie_later_than_in_the_middle(open_store: Callable[[], AnyStore]) -> None:
    store, batches = open_store(), []
    task = make_split_task(store, TaskConfig(WORDS), "training")
    keys = [ItemKey(0, 0, int(index)) for index in (*task.words[:20], *task.silence[:1])]
    for late_ms in (0.0, 50.0):
        augment = replace(AugmentConfig.off(), time_shift_ms=20, late_ms=late_ms)
        dataset = ClipDataset(store, task, 480 + 99 * 160, augment, n_placed=N_WINDOW)
        batches.append(dataset.__getitems__(keys))
    middle, late = (batch.spans.numpy() for batch in batches)
    assert np.allclose(late[:20] - middle[:20], 5.0, atol=1e-3)
    assert np.isnan(late[20:]).all()
    assert np.abs(late[:20].mean(axis=1) - 55).max() < 4  # of 100 frames


def start_of(clip: np.ndarray, window: np.ndarray) -> int:
    """Where in its clip a window begins: they have some frame in common."""
    same = (clip[:, None] == window[None]).all(axis=2)
    at, place = (int(each[0]) for each in np.nonzero(same))
    return at - place


def start_of_audio(clip: np.ndarray, window: torch.Tensor) -> int:
    samples = np.rint(window.numpy() * 32_768).astype(np.int64)
    for place in range(0, len(samples) - 64, 64):
        part = samples[place : place + 64]
        found = np.flatnonzero(clip[: len(clip) - 64] == part[0])
        for at in found.tolist():
            if np.array_equal(clip[at : at + 64], part):
                return int(at) - place
    raise AssertionError("not cut out of this clip")
