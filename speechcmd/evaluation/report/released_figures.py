"""The few figures of a report folder that a released model is listed with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.report.results import Results, kind_of, no_results, read_results
from speechcmd.evaluation.streams.stream_result import NotReached, Point, Rates, StreamResult
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.figures import ClipFigures, Figures, OperatingPoint, Rate, Share, StreamFigures


def read_own_results(card: ModelCard, sha256: str, folder: Path) -> Results:
    """Read what was measured on a model file.

    Parameters
    ----------
    sha256
        Digest of the model file, which the results must bear.
    folder
        A report folder, as `speechcmd evaluate --report` and the other commands write it.

    Raises
    ------
    EvaluationError
        If the folder holds no results, one that cannot be read, or one of another model file.
    """
    results = read_results(folder)
    if not results.measured:
        raise no_results(folder)
    for result in results.measured:
        measured = result.model.sha256
        if measured != sha256:
            raise EvaluationError(
                f"measured on another model file than {printable(card.name)} "
                f"(sha256 {measured:.12}, expected {sha256:.12})",
                path=folder / f"{kind_of(result)}.json",
                advice="measure this one into a folder of its own",
            )
    return results


def make_figures(card: ModelCard, model_bytes: bytes, folder: Path) -> Figures:
    """Return the figures of a model file, from its report folder.

    Raises
    ------
    EvaluationError
        As `read_own_results`.
    """
    sha256 = hashlib.sha256(model_bytes).hexdigest()
    results = read_own_results(card, sha256, folder)
    clips = _clip_figures(results.clips) if results.clips else None
    return Figures(card.name, sha256, clips, stream_figures(results.stream) if results.stream else None)


def _clip_figures(result: ClipsResult) -> ClipFigures | None:
    accuracy, mean = result.accuracy, result.mean_recall
    if mean is None or accuracy.value is None:
        return None
    return ClipFigures(
        task=result.source.task,
        split=result.source.split,
        accuracy=Share(accuracy.value, accuracy.low, accuracy.high, accuracy.n),
        mean_recall=mean,
        recalls={
            row.label: Share(row.recall, row.recall_low, row.recall_high, row.n)
            for row in result.by_label
            if row.recall is not None and row.recall_low is not None and row.recall_high is not None
        },
    )


def stream_figures(result: StreamResult) -> StreamFigures:
    """The figures of what was measured on recordings."""
    own = result.own
    return StreamFigures(
        points=tuple(_operating_point(point) for point in result.points),
        false_accepts_by_kind={
            row.kind: rate for row in own.promised.by_kind if (rate := _rate(row)) is not None
        },
        false_accepts_with_homophones=_rate(own.overall) if own.without_homophones else None,
    )


def _operating_point(point: Point | NotReached) -> OperatingPoint:
    if isinstance(point, NotReached):
        return OperatingPoint(point.target, None, None, None)
    return OperatingPoint(
        false_accepts_per_hour=point.target,
        false_accepts=_rate(point.promised.overall),
        false_reject_rate=_missed(point.overall),
        false_reject_rate_at_10_db=_missed(point.at_10_db) if point.at_10_db else None,
    )


def _rate(row: Rates) -> Rate | None:
    if row.false_accepts_per_hour is None or row.fa_low is None or row.fa_high is None:
        return None
    return Rate(row.false_accepts_per_hour, row.fa_low, row.fa_high, row.n_false, row.hours)


def _missed(row: Rates) -> Share | None:
    if row.false_reject_rate is None or row.low is None or row.high is None:
        return None
    return Share(row.false_reject_rate, row.low, row.high, row.n_words)
