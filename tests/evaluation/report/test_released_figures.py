"""The figures of a released model are those of its report folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluation_results import MODEL, SHA256, clips_result, robustness_result, stream_result
from fakes import plain_card

from speechcmd.errors import EvaluationError
from speechcmd.evaluation.report.released_figures import make_figures
from speechcmd.runtime.model.figures import Figures, Share


def figures_of(folder: Path, *results: dict[str, Any]) -> Figures:
    for result in results:
        (folder / f"{result['kind']}.json").write_text(json.dumps(result))
    return make_figures(plain_card(), MODEL, folder)


def test_every_figure_is_the_measured_one(tmp_path: Path) -> None:
    clips, stream = clips_result(), stream_result()
    figures = figures_of(tmp_path, clips, stream)
    assert (figures.name, figures.sha256) == ("toy", SHA256)
    assert figures.clips is not None
    assert figures.stream is not None
    assert (figures.clips.task, figures.clips.split) == ("own", "testing")
    # the k-th of ten labels has 4 + 3 k wrong of 200
    assert (
        figures.clips.accuracy.value == pytest.approx(1 - (40 + 3 * 45) / 2_000) == figures.clips.mean_recall
    )
    assert figures.clips.recalls["up"].value == 190 / 200
    own, half, *_, missed = figures.stream.points
    assert own.false_accepts is not None
    assert (own.false_accepts.n_events, own.false_accepts.hours) == (4, 1.4), "without homophones"
    assert own.false_reject_rate_at_10_db == Share(pytest.approx(0.05), pytest.approx(0.023, abs=5e-4), pytest.approx(0.105, abs=5e-4), 120)  # fmt: skip
    assert (own.false_accepts_per_hour, half.false_accepts_per_hour) == (None, 0.5)
    assert (missed.false_accepts_per_hour, missed.false_accepts, missed.false_reject_rate) == (
        0.01,
        None,
        None,
    )
    assert set(figures.stream.false_accepts_by_kind) == {"speech", "noise"}
    assert figures.stream.false_accepts_with_homophones is not None
    assert figures.stream.false_accepts_with_homophones.n_events == 6
    assert Figures.from_json(figures.to_json()) == figures


def test_what_was_not_measured_is_none(tmp_path: Path) -> None:
    figures = figures_of(tmp_path, robustness_result())
    assert (figures.clips, figures.stream) == (None, None)


def test_a_stream_of_an_older_version_or_without_homophones(tmp_path: Path) -> None:
    stream = stream_result()
    for point in stream["points"]:
        point.pop("at_10_db", None)
        point["without_homophones"] = None
    figures = figures_of(tmp_path, stream)
    assert figures.stream is not None
    own = figures.stream.points[0]
    assert own.false_reject_rate_at_10_db is None
    assert own.false_accepts is not None
    assert own.false_accepts.n_events == 6
    assert figures.stream.false_accepts_with_homophones is None


def test_recordings_without_words_or_hours(tmp_path: Path) -> None:
    stream = stream_result()
    nothing = {"false_accepts_per_hour": None, "false_reject_rate": None}
    stream["points"][0] |= {"without_homophones": None, "at_10_db": None}
    stream["points"][0]["overall"] |= nothing
    for row in stream["points"][0]["by_kind"]:
        row |= nothing
    own = figures_of(tmp_path, stream).stream
    assert own is not None
    assert (own.points[0].false_accepts, own.points[0].false_reject_rate) == (None, None)
    assert own.false_accepts_by_kind == {}


def test_no_clips_are_no_figure(tmp_path: Path) -> None:
    clips = clips_result()
    clips["accuracy"] |= {"value": None, "n": 0}
    for row in clips["by_label"]:
        row["recall"] = None
    assert figures_of(tmp_path, clips).clips is None


def test_figures_of_another_model_file_are_refused(tmp_path: Path) -> None:
    stream = stream_result()
    stream["model"]["sha256"] = "ee" * 32
    with pytest.raises(EvaluationError, match=r"stream\.json: measured on another model file than toy"):
        figures_of(tmp_path, clips_result(), stream)
