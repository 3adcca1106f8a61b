"""Words put beside words: where they come to lie, what is added, and which of the two is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechcmd.training.augment.neighbour import GAP_FRAMES, put_beside
from speechcmd.training.augment.placement import without_long
from speechcmd.training.loop.targets import AnswerTargets, leave_to_neighbours, make_targets

NOTHING = [math.nan, math.nan]
SPANS = 60 + torch.tensor([[40.0, 50.0], [45.0, 52.0], NOTHING, [30.0, 38.0], [48.0, 61.0], [44.0, 49.0]])


def clips() -> torch.Tensor:
    """Silence of -10, and of each clip its number where its word lies. Shape: (6, 220, 3)."""
    log_mel = torch.full((len(SPANS), 220, 3), -10.0)
    for number, (first, last) in enumerate(SPANS.nan_to_num(0).int().tolist()):
        log_mel[number, first:last] = float(number)
    return log_mel


@pytest.mark.parametrize("seed", range(5))
def test_a_neighbour_is_another_clips_word_beside_the_own(seed: int) -> None:
    log_mel, found = clips(), []
    mixed, neighbours = put_beside(log_mel, SPANS, 100.0, np.random.default_rng(seed))
    for own, span, before, after in zip(SPANS, neighbours, log_mel, mixed, strict=True):
        if span.isnan().any():
            assert torch.equal(before, after)
            continue
        gap = max(float(span[0] - own[1]), float(own[0] - span[1]))
        assert GAP_FRAMES[0] - 1 <= gap <= GAP_FRAMES[1] + 1
        changed = (before != after).all(dim=1).nonzero().flatten().tolist()
        first, last = (min(220, max(0, int(edge))) for edge in span)
        assert changed == list(range(first, last))
        lengths = (SPANS[:, 1] - SPANS[:, 0]).tolist()
        other = lengths.index(float(span[1] - span[0]))  # no two are alike
        if changed:
            expected = math.log(math.exp(-10) + math.exp(other))
            assert after[changed] == pytest.approx(np.full((len(changed), 3), expected), abs=1e-5)
            found.append(other)
    assert found
    assert neighbours[2].isnan().all()  # a recording has none
    assert torch.equal(log_mel, clips())


def test_a_share_of_the_words() -> None:
    spans = torch.tensor([[40.0, 50.0]]).repeat(4_000, 1)
    _, neighbours = put_beside(torch.zeros(4_000, 100, 1), spans, 30.0, np.random.default_rng(0))
    has_one = ~neighbours[:, 0].isnan()
    assert float(has_one.float().mean()) == pytest.approx(0.3, abs=0.03)
    is_after = neighbours[has_one, 0] > 50
    assert float(is_after.float().mean()) == pytest.approx(0.5, abs=0.05)


def test_one_clip_alone_may_meet_itself() -> None:
    _, neighbours = put_beside(
        torch.zeros(1, 100, 1), torch.tensor([[40.0, 50.0]]), 100.0, np.random.default_rng(0)
    )
    assert float(neighbours[0, 1] - neighbours[0, 0]) == 10


def test_of_two_words_the_nearer_to_the_middle_is_asked_for() -> None:
    """Windows of 20 frames, each four on; the own word in 20 to 30, its neighbour in 35 to 45."""
    own, neighbour = torch.tensor([[20.0, 30.0]]), torch.tensor([[35.0, 45.0]])
    asked = make_targets(own, torch.zeros(1, dtype=torch.bool), 10, 4, 20)
    assert asked.label[0].nonzero().flatten().tolist() == [3, 4, 5]  # windows from 12, 16 and 20 on
    assert asked.no_word[0].nonzero().flatten().tolist() == [0, 1, 7, 8, 9]
    left = leave_to_neighbours(asked, own, neighbour, 4, 20)
    # middles 22, 26 and 30: 3, 1 and 5 from the own, 18, 14 and 10 from the neighbour's
    assert left.label[0].nonzero().flatten().tolist() == [3, 4]
    assert left.no_word[0].nonzero().flatten().tolist() == [0, 1]  # later the neighbour is in view


def test_without_neighbours_nothing_changes() -> None:
    asked = AnswerTargets(torch.rand(3, 5) > 0.5, torch.rand(3, 5) > 0.5)
    left = leave_to_neighbours(asked, torch.rand(3, 2), torch.full((3, 2), math.nan), 4, 20)
    assert torch.equal(left.label, asked.label)
    assert torch.equal(left.no_word, asked.no_word)


def test_what_fills_a_window_is_no_word() -> None:
    spans = torch.tensor([[10.0, 60.0], [10.0, 79.0], [10.0, 80.0], NOTHING])
    kept = without_long(spans, 100)  # 70 of 100 frames are the longest word that is known
    assert torch.equal(kept[0], spans[0])
    assert kept[1:].isnan().all()
