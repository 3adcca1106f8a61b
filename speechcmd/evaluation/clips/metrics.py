"""Figures of a set of answers: accuracy, each label, confusions, calibration, speakers.

Every clip counts. The 95 % intervals are as `share_interval` says.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray, IntArray
from speechcmd.evaluation.clips.answers import Answers
from speechcmd.evaluation.clips.clip_result import (
    Accuracy,
    Bar,
    ClipMeasures,
    ConfusedPair,
    LabelMeasures,
    ScoreBin,
    ScoreCalibration,
    ScoredClip,
    SpeakerAccuracy,
    SpeakerSpread,
    UnknownWords,
    WordAccuracy,
)
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.evaluation.clips.share_interval import share_interval
from speechcmd.labels import UNKNOWN

N_BINS = 15
MOST_PAIRS = 10
CLIPS_OF_A_PAIR = 5
MOST_SPEAKERS = 10
WORST_SHARE = 0.1
_N_TENTHS = 10


def measure_clips(clips: Sequence[LabelledClip], answers: Answers, labels: Sequence[str]) -> ClipMeasures:
    """All figures of a run over clips.

    Parameters
    ----------
    labels
        Labels of the task. Answers beyond them get a row and a column of their own at the end.
    """
    truths = [clip.label for clip in clips]
    is_right = answers.are_right(clips)
    speakers = [clip.speaker for clip in clips]
    labels = join_labels(labels, answers.labels)
    confusion = count_confusions(truths, answers.labels, labels)
    by_label = measure_labels(confusion, labels)
    return ClipMeasures(
        labels=tuple(labels),
        accuracy=measure_accuracy(is_right, speakers),
        macro_f1=mean_f1(by_label),
        by_label=tuple(_with_interval(row, truths, speakers, is_right) for row in by_label),
        confusion=tuple(map(tuple, confusion.tolist())),
        pairs=list_pairs(clips, answers),
        calibration=measure_calibration(answers.scores, is_right),
        by_speaker=measure_speakers(speakers, is_right),
        unknown_by_word=_measure_unknown(clips, is_right),
    )


def measure_accuracy(is_right: BoolArray, speakers: Sequence[str]) -> Accuracy:
    """Share of right answers with its interval. Shape: (n_clips,)."""
    n_right, n_all = int(is_right.sum()), len(is_right)
    found = share_interval(is_right, speakers)
    return Accuracy(
        value=n_right / n_all if n_all else None,
        low=found.low,
        high=found.high,
        interval=found.name,
        n=n_all,
        n_right=n_right,
    )


def join_labels(labels: Sequence[str], answers: Sequence[str]) -> list[str]:
    """Labels of the task, and after them those that are only answers."""
    return [*labels, *sorted(set(answers) - set(labels))]


def count_confusions(truths: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> IntArray:
    """Clips of each true label (rows) and each answer (columns). Shape: (n_labels, n_labels)."""
    index_of = {label: index for index, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for truth, answer in zip(truths, answers, strict=True):
        confusion[index_of[truth], index_of[answer]] += 1
    return confusion


def measure_labels(confusion: IntArray, labels: Sequence[str]) -> list[LabelMeasures]:
    """Precision, recall and F1 of each label. Shape: (n_labels, n_labels).

    Precision and F1 of a label that was never the answer are 0 by definition; a label without clips has
    no recall and no F1.
    """
    rows = []
    for index, label in enumerate(labels):
        n_right = int(confusion[index, index])
        n_clips, n_answers = int(confusion[index].sum()), int(confusion[:, index].sum())
        rows.append(
            LabelMeasures(
                label=label,
                n=n_clips,
                precision=n_right / n_answers if n_answers else 0.0,
                recall=n_right / n_clips if n_clips else None,
                f1=2 * n_right / (n_clips + n_answers) if n_clips else None,
            )
        )
    return rows


def mean_f1(by_label: Sequence[LabelMeasures]) -> float | None:
    """Macro F1: the mean over the labels that have clips."""
    return _mean(row.f1 for row in by_label if row.f1 is not None)


def _with_interval(
    row: LabelMeasures, truths: Sequence[str], speakers: Sequence[str], is_right: BoolArray
) -> LabelMeasures:
    inside = [index for index, truth in enumerate(truths) if truth == row.label]
    if not inside:
        return row
    found = share_interval(is_right[inside], [speakers[index] for index in inside])
    return replace(row, recall_low=found.low, recall_high=found.high, interval=found.name)


def list_pairs(clips: Sequence[LabelledClip], answers: Answers) -> tuple[ConfusedPair, ...]:
    """The most frequent confusions, each with the clips to listen to, highest score first."""
    found: dict[tuple[str, str], list[ScoredClip]] = defaultdict(list)
    for clip, answer, score in zip(clips, answers.labels, answers.scores, strict=True):
        if clip.label != answer:
            found[clip.label, answer].append(ScoredClip(clip.path, float(score)))
    pairs = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_PAIRS]
    return tuple(
        ConfusedPair(
            truth,
            answer,
            len(scored),
            tuple(sorted(scored, key=lambda clip: -clip.score)[:CLIPS_OF_A_PAIR]),
        )
        for (truth, answer), scored in pairs
    )


def measure_calibration(scores: DoubleArray, is_right: BoolArray, n_bins: int = N_BINS) -> ScoreCalibration:
    """Expected calibration error and the reliability curve, over bins of equal width of the answer's score.

    The error is the mean distance of accuracy and mean score in a bin, weighted by its clips (Guo et al.
    2017, arXiv 1706.04599). A bin holds its upper boundary. Shape: (n_clips,).
    """
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    bin_of = np.searchsorted(edges[1:-1], scores)
    bins, error = [], 0.0
    for index in range(n_bins):
        inside = bin_of == index
        n_inside = int(inside.sum())
        confidence = float(scores[inside].mean()) if n_inside else None
        accuracy = float(is_right[inside].mean()) if n_inside else None
        if confidence is not None and accuracy is not None:
            error += n_inside / len(scores) * abs(accuracy - confidence)
        low, high = float(edges[index]), float(edges[index + 1])
        bins.append(ScoreBin(low, high, n_inside, confidence, accuracy))
    return ScoreCalibration(error if len(scores) else None, tuple(bins))


def measure_speakers(speakers: Sequence[str], is_right: BoolArray) -> SpeakerSpread:
    """Accuracy by speaker: every speaker counts once; clips without a speaker are left out."""
    spoken = np.array([speaker != "" for speaker in speakers], dtype=bool)
    hits = _count_hits([speaker for speaker in speakers if speaker], is_right[spoken])
    ranked = _rank(hits)
    values = [accuracy for *_, accuracy in ranked]
    return SpeakerSpread(
        n_speakers=len(ranked),
        mean=_mean(values),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        worst_tenth=_mean(values[: math.ceil(WORST_SHARE * len(values))]),
        histogram=_count_tenths(hits.values()),
        worst=tuple(SpeakerAccuracy(*row) for row in ranked[:MOST_SPEAKERS]),
    )


def _count_tenths(hits: Iterable[tuple[int, int]]) -> tuple[Bar, ...]:
    # in whole numbers: 3 of 10 is the lower boundary of a tenth, 0.3 is a little less
    counts = Counter(min(_N_TENTHS - 1, _N_TENTHS * n_right // n_all) for n_right, n_all in hits)
    return tuple(Bar(tenth / _N_TENTHS, (tenth + 1) / _N_TENTHS, counts[tenth]) for tenth in range(_N_TENTHS))


def _measure_unknown(clips: Sequence[LabelledClip], is_right: BoolArray) -> UnknownWords | None:
    """`_unknown_` by the words that stand for it: how often is each rejected? Worst first."""
    of_unknown = np.array([clip.label == UNKNOWN for clip in clips], dtype=bool)
    words = [clip.word for clip in clips if clip.label == UNKNOWN]
    if not words:
        return None
    rows = tuple(WordAccuracy(*row) for row in _rank(_count_hits(words, is_right[of_unknown])))
    return UnknownWords(float(np.mean([row.accuracy for row in rows])), rows)


def worst_mistakes(clips: Sequence[LabelledClip], answers: Answers, n_most: int, of_a_pair: int) -> list[int]:
    """Numbers of the mistakes with the highest scores, not more than so many of one pair of labels."""
    taken: Counter[tuple[str, str]] = Counter()
    worst: list[int] = []
    for index in np.argsort(-answers.scores, kind="stable"):
        pair = (clips[index].label, answers.labels[index])
        if pair[0] != pair[1] and taken[pair] < of_a_pair and len(worst) < n_most:
            taken[pair] += 1
            worst.append(int(index))
    return worst


def _count_hits(keys: Sequence[str], is_right: BoolArray) -> dict[str, tuple[int, int]]:
    """Right clips and all clips of each key."""
    n_all = Counter(keys)
    n_right = Counter(key for key, right in zip(keys, is_right, strict=True) if right)
    return {key: (n_right[key], n) for key, n in n_all.items()}


def _rank(hits: Mapping[str, tuple[int, int]]) -> list[tuple[str, int, float]]:
    """Each key with its clips and its accuracy, the worst first; of equals the one with more clips."""
    ranked = sorted((n_right / n_all, -n_all, key) for key, (n_right, n_all) in hits.items())
    return [(key, -n_negative, accuracy) for accuracy, n_negative, key in ranked]


def _mean(values: Iterable[float]) -> float | None:
    given = list(values)
    return float(np.mean(given)) if given else None
