"""The few figures of a report folder that a released model is listed with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechcmd.errors import EvaluationError, printable
from speechcmd.evaluation.clips.metrics import mean_recall
from speechcmd.evaluation.report.results import no_results, read_results, refuse_unreadable
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.figures import ClipFigures, Figures, OperatingPoint, Rate, Share, StreamFigures


def read_own_results(card: ModelCard, sha256: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Read what was measured on a model file, by kind.

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
    if not results:
        raise EvaluationError(no_results(folder))
    with refuse_unreadable(results):
        for kind, result in results.items():
            _check_model(folder / f"{kind}.json", result, card, sha256)
    return results


def _check_model(path: Path, result: Mapping[str, Any], card: ModelCard, sha256: str) -> None:
    measured = str(result["model"]["sha256"])
    if measured != sha256:
        raise EvaluationError(
            f"{printable(str(path))}: measured on another model file than {printable(card.name)} "
            f"(sha256 {measured:.12}, expected {sha256:.12}); measure this one into a folder of its own"
        )


def make_figures(card: ModelCard, model_bytes: bytes, folder: Path) -> Figures:
    """Return the figures of a model file, from its report folder.

    Raises
    ------
    EvaluationError
        As `read_own_results`.
    """
    sha256 = hashlib.sha256(model_bytes).hexdigest()
    results = read_own_results(card, sha256, folder)
    with refuse_unreadable(results):
        clips, stream = results.get("clips"), results.get("stream")
        return Figures(
            card.name,
            sha256,
            None if clips is None else _clip_figures(clips),
            None if stream is None else stream_figures(stream),
        )


def _clip_figures(result: Mapping[str, Any]) -> ClipFigures | None:
    accuracy, mean = result["accuracy"], mean_recall(result)
    if mean is None:
        return None
    recalls = {
        str(row["label"]): Share(row["recall"], row["recall_low"], row["recall_high"], row["n"])
        for row in result["by_label"]
        if row["recall"] is not None
    }
    return ClipFigures(
        task=result["source"]["task"],
        split=result["source"]["split"],
        accuracy=Share(accuracy["value"], accuracy["low"], accuracy["high"], accuracy["n"]),
        mean_recall=mean,
        recalls=recalls,
    )


def stream_figures(result: Mapping[str, Any]) -> StreamFigures:
    """The figures of what was measured on recordings."""
    own = result["points"][0]
    by_kind = _promised(own)["by_kind"]
    return StreamFigures(
        points=tuple(_operating_point(point) for point in result["points"]),
        false_accepts_by_kind={str(row["kind"]): rate for row in by_kind if (rate := _rate(row))},
        false_accepts_with_homophones=_rate(own["overall"]) if own["without_homophones"] else None,
    )


def _promised(point: Mapping[str, Any]) -> Mapping[str, Any]:
    """The counts that promises are about: without sentences that hold a homophone."""
    found: Mapping[str, Any] = point["without_homophones"] or point
    return found


def _operating_point(point: Mapping[str, Any]) -> OperatingPoint:
    if not point["reached"]:
        return OperatingPoint(point["target"], None, None, None)
    # a stream.json of an older version says nothing of 10 dB
    return OperatingPoint(
        false_accepts_per_hour=point["target"],
        false_accepts=_rate(_promised(point)["overall"]),
        false_reject_rate=_missed(point["overall"]),
        false_reject_rate_at_10_db=_missed(point.get("at_10_db")),
    )


def _rate(row: Mapping[str, Any]) -> Rate | None:
    if row["false_accepts_per_hour"] is None:
        return None
    return Rate(row["false_accepts_per_hour"], row["fa_low"], row["fa_high"], row["n_false"], row["hours"])


def _missed(row: Mapping[str, Any] | None) -> Share | None:
    if row is None or row["false_reject_rate"] is None:
        return None
    return Share(row["false_reject_rate"], row["low"], row["high"], row["n_words"])
