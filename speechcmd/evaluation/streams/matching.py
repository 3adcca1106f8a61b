"""Which detection heard which word.

A detection may belong to a word if it was decided between the word's start and 0.75 s after its end. Each
word has at most one detection and each detection at most one word; of all such pairings the one is taken that
has the most pairs of one label, then the most pairs of any label, then the least delay in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from speechcmd.arrays import BoolArray, IntArray
from speechcmd.runtime.recognition.decoder import Detection

TOLERANCE_S = 0.75


_MS_PER_S = 1_000


class Spoken(Protocol):
    """A word that is known to be in a recording."""

    @property
    def label(self) -> str: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """The pairs, and what is left over of the detections."""

    heard_by: IntArray
    """For each word the number of its detection, -1 if it was missed. Shape: (n_words,)."""
    duplicates: IntArray
    """Detections without a word of their own that belong to a word of their label: it was heard twice."""
    false: IntArray
    """All other detections without a word."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """All pairs that are allowed, one an entry."""

    word: IntArray
    detection: IntArray
    is_same: BoolArray
    delay_ms: IntArray


def match_words(words: Sequence[Spoken], detections: Sequence[Detection]) -> Matching:
    """Pair the words of a recording with the detections in it.

    Parameters
    ----------
    words
        In any order.
    detections
        In any order.
    """
    candidates = _find_candidates(words, detections)
    heard_by = np.full(len(words), -1, dtype=np.int64)
    if len(candidates.word):
        pairs = _best_pairs(candidates, len(words), len(detections))
        heard_by[candidates.word[pairs]] = candidates.detection[pairs]
    is_left = np.ones(len(detections), dtype=bool)
    is_left[heard_by[heard_by >= 0]] = False
    is_repeat = np.zeros(len(detections), dtype=bool)
    is_repeat[candidates.detection[candidates.is_same]] = True
    return Matching(heard_by, np.flatnonzero(is_left & is_repeat), np.flatnonzero(is_left & ~is_repeat))


def _find_candidates(words: Sequence[Spoken], detections: Sequence[Detection]) -> _Candidates:
    decided = np.array([detection.decided_s for detection in detections], dtype=np.float64)
    order = np.argsort(decided, kind="stable")
    ends_s = np.array([word.end_s for word in words], dtype=np.float64)
    first = np.searchsorted(decided[order], [word.start_s for word in words], side="left")
    last = np.searchsorted(decided[order], ends_s + TOLERANCE_S, side="right")
    counts = np.maximum(last - first, 0)
    word = np.repeat(np.arange(len(words)), counts)
    within = np.arange(len(word)) - np.repeat(np.cumsum(counts) - counts, counts)
    detection = order[np.repeat(first, counts) + within]
    word_labels = np.array([one.label for one in words], dtype=object)
    detection_labels = np.array([one.label for one in detections], dtype=object)
    delays = np.rint((decided[detection] - ends_s[word]) * _MS_PER_S).astype(np.int64)
    return _Candidates(word, detection, word_labels[word] == detection_labels[detection], delays)


def _best_pairs(candidates: _Candidates, n_words: int, n_detections: int) -> IntArray:
    """Numbers of the chosen candidates: an assignment in which each word may also stay alone.

    The three aims become one cost in whole numbers, exact in float64: a pair saves more than all delays
    together, a pair of one label more than all other pairs.
    """
    words, rows = np.unique(candidates.word, return_inverse=True)
    delays = candidates.delay_ms - candidates.delay_ms.min()
    pair = (int(delays.max()) + 1) * (len(words) + 1)
    same = pair * (len(words) + 1)
    alone = same + pair + 1  # no cost may be 0, which would be no entry
    costs = alone - pair - same * candidates.is_same + delays
    columns = np.concatenate([candidates.detection, n_detections + np.arange(len(words))])
    graph = coo_array(
        (
            np.concatenate([costs, np.full(len(words), alone)]).astype(np.float64),
            (np.concatenate([rows, np.arange(len(words))]), columns),
        ),
        shape=(len(words), n_detections + len(words)),
    ).tocsr()
    chosen_rows, chosen_columns = min_weight_full_bipartite_matching(graph)
    chosen = np.full(len(words), -1, dtype=np.int64)
    chosen[chosen_rows] = chosen_columns
    return np.flatnonzero(chosen[rows] == candidates.detection)
