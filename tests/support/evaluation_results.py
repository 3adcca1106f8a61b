"""Made-up results of an evaluation, in the form in which the commands write them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from speechcmd.evaluation.clips.clip_result import ClipsResult
from speechcmd.evaluation.intervals import poisson_interval, wilson_interval
from speechcmd.evaluation.report.results import Result, from_plain
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.streams.stream_result import StreamResult
from speechcmd.typed import as_plain

WORDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")
LABELS = (*WORDS, "_unknown_", "_silence_")
MODEL = b"the bytes of a model file"
SHA256 = hashlib.sha256(MODEL).hexdigest()


def read(result: dict[str, Any]) -> Result:
    """A result as the commands have it."""
    return from_plain(result, result["kind"])


def clips(result: dict[str, Any] | None = None, **changes: Any) -> ClipsResult:
    """The clips below, or such a result, as `evaluate` has them."""
    found = read(clips_result(**changes) if result is None else result)
    assert isinstance(found, ClipsResult)
    return found


def stream(result: dict[str, Any] | None = None, **changes: Any) -> StreamResult:
    """The recordings below, or such a result, as `evaluate-stream` has them."""
    found = read(stream_result(**changes) if result is None else result)
    assert isinstance(found, StreamResult)
    return found


def robustness(result: dict[str, Any] | None = None, **changes: Any) -> RobustnessResult:
    """The distorted clips below, or such a result, as `evaluate --robustness` has them."""
    found = read(robustness_result(**changes) if result is None else result)
    assert isinstance(found, RobustnessResult)
    return found


def plain(record: Any) -> Any:
    """A record as JSON gives it back."""
    return json.loads(json.dumps(as_plain(record)))


def common(kind: str, labels: Sequence[str] = LABELS, sha256: str = SHA256) -> dict[str, Any]:
    """What every result begins with."""
    return {
        "kind": kind,
        "schema": 1,
        "model": {
            "name": "toy",
            "architecture": "tones",
            "parameters": 168_090,
            "labels": list(labels),
            "sample_rate": 16_000,
            "window_s": 0.99,
            "step_s": 0.04,
            "temperature": 1.25,
            "thresholds": {label: 0.7 for label in labels if not label.startswith("_")},
            "smoothing_s": 0.36,
            "measured_on": "2.3 h of speech and noise: 2 false accepts",
            "data": [{"name": "made tones", "licence": "CC0-1.0", "url": "https://example.org"}],
            "licence": "Apache-2.0",
            "tool_version": "0.2.0",
            "sha256": sha256,
        },
        "command": f"speechcmd {kind} -m 'toy model.onnx' --report out",
        "versions": {
            "speechcmd": "0.2.0",
            "python": "3.11.2",
            "numpy": "2.3.1",
            "onnxruntime": "1.26.0",
            "platform": "Linux-x86_64",
        },
        "date": "2026-01-31",
    }


def proportion(n_right: int, n: int) -> dict[str, Any]:
    low, high = wilson_interval(n_right, n)
    return {"value": n_right / n, "low": low, "high": high, "interval": "Wilson", "n": n, "n_right": n_right}


def clips_result(labels: Sequence[str] = LABELS, n_each: int = 200, **changes: Any) -> dict[str, Any]:
    """Clips: the k-th label is right but for 4 + 3 k clips, which are taken for the next label."""
    n = len(labels)
    confusion = np.zeros((n, n), dtype=int)
    for row in range(n):
        n_wrong = min(4 + 3 * row, n_each // 2)
        confusion[row, row] = n_each - n_wrong
        confusion[row, (row + 1) % n] += n_wrong
    result = common("clips", labels) | {
        "source": {
            "path": "stores/words",
            "task": "own",
            "split": "testing",
            "n_clips": n * n_each,
            "draw": {"rule": "official", "seed": 0, "n_unknown": 200, "n_silence": 200, "sha256": "ab" * 32},
            "voices": "",
        },
        "labels": list(labels),
        "accuracy": proportion(int(np.trace(confusion)), n * n_each),
        "macro_f1": 0.912,
        "by_label": [_label_row(label, confusion, index) for index, label in enumerate(labels)],
        "confusion": confusion.tolist(),
        "pairs": [
            {"truth": labels[0], "answer": labels[1], "n": 4,
             "clips": [{"path": f"{labels[0]}/a_nohash_0.wav", "score": 0.81}]},
        ],
        "calibration": {"ece": 0.0183, "bins": _bins()},
        "by_speaker": {
            "n_speakers": 211, "mean": 0.931, "sd": 0.11, "worst_tenth": 0.64,
            "histogram": [{"low": k / 10, "high": (k + 1) / 10, "n": (k + 1) ** 2} for k in range(10)],
            "worst": [{"speaker": "0a7c2a8d", "n": 4, "accuracy": 0.25}, {"speaker": "1b2", "n": 3, "accuracy": 1 / 3}],
        },
        "unknown_by_word": {"mean": 0.78, "words": [{"word": "on", "n": 30, "accuracy": 0.4}, {"word": "bed", "n": 12, "accuracy": 1.0}]},
        "groups": [
            {"column": "age", "largest_gap": 0.08, "gap_low": 0.01, "gap_high": 0.15, "chance": 0.031, "note": "",
             "groups": [_group("child", 84, 100), _group("adult", 92, 100)]},
        ],
    }  # fmt: skip
    return result | changes


def _label_row(label: str, confusion: np.ndarray[Any, Any], index: int) -> dict[str, Any]:
    n, right = int(confusion[index].sum()), int(confusion[index, index])
    low, high = wilson_interval(right, n)
    precision = right / int(confusion[:, index].sum())
    recall = right / n
    return {
        "label": label, "n": n, "precision": precision, "recall": recall,
        "recall_low": low, "recall_high": high, "interval": "Wilson", "f1": 2 * precision * recall / (precision + recall),
    }  # fmt: skip


def _bins() -> list[dict[str, Any]]:
    edges = np.linspace(0, 1, 16)
    bins = []
    for index, (low, high) in enumerate(pairwise(edges)):
        n = 0 if index < 4 else 10 * 2 ** (index - 4)
        middle = float(low + high) / 2
        bins.append({
            "low": float(low), "high": float(high), "n": n,
            "confidence": middle if n else None, "accuracy": max(0.0, middle - 0.04) if n else None,
        })  # fmt: skip
    return bins


def _group(value: str, n_right: int, n: int) -> dict[str, Any]:
    low, high = wilson_interval(n_right, n)
    return {
        "value": value, "n": n, "accuracy": n_right / n, "low": low, "high": high,
        "interval": "bootstrap by speaker", "macro_f1": 0.8, "by_label": [{"label": "yes", "n": n, "recall": n_right / n}],
    }  # fmt: skip


def stream_row(label: str, n_words: int, n_found: int, n_false: int, hours: float) -> dict[str, Any]:
    low, high = wilson_interval(n_words - n_found, n_words) if n_words else (None, None)
    fa_low, fa_high = poisson_interval(n_false, hours) if hours else (None, None)
    return {
        "label": label, "n_words": n_words, "n_found": n_found,
        "false_reject_rate": 1 - n_found / n_words if n_words else None, "low": low, "high": high,
        "n_substituted": 3, "n_duplicates": 1, "n_false": n_false, "hours": hours,
        "false_accepts_per_hour": n_false / hours if hours else None, "fa_low": fa_low, "fa_high": fa_high,
        "delay_ms": {"median": 210.0, "p95": 480.0, "median_low": 190.0, "median_high": 230.0} if n_found else None,
    }  # fmt: skip


def stream_result(labels: Sequence[str] = WORDS, **changes: Any) -> dict[str, Any]:
    """Recordings: 30 words of each label, an hour of speech and half an hour of noise."""
    curve = _curve(1.0)
    result = common("stream", (*labels, "_unknown_", "_silence_")) | {
        "recordings": [
            {"path": "stream.wav", "kind": "speech", "duration_s": 4_000.0, "n_words": 30 * len(labels)},
            {"path": "rain.wav", "kind": "noise", "duration_s": 1_800.0, "n_words": 0},
        ],
        "hours": {"speech": 1.0, "noise": 0.5},
        "n_words": 30 * len(labels),
        "promise": None,
        "points": [
            _point("as the model is set", None, labels, 0.0, 6),
            _point("0.5 false accepts per hour", 0.5, labels, 1.5, 0),
            _point("1 false accept per hour", 1.0, labels, 1.0, 1),
            _point("5 false accepts per hour", 5.0, labels, 0.2, 7),
            {
                "name": "0.01 false accepts per hour",
                "target": 0.01,
                "reached": False,
                "note": "not reached: 1 false accept in 1.50 h is left",
            },
        ],
        "curve": curve,
        "curves_by_label": {label: _curve(0.2 + 0.1 * index) for index, label in enumerate(labels)},
    }
    return result | changes


def _curve(scale: float) -> list[dict[str, float]]:
    offsets = np.linspace(-3, 6, 60)
    return [
        {
            "offset": float(offset),
            "false_reject_rate": float(1 / (1 + math.exp(-(offset - 3)))),
            "false_accepts_per_hour": round(float(120 * scale * math.exp(-1.2 * (offset + 3))), 2),
            "n_false": round(float(180 * scale * math.exp(-1.2 * (offset + 3)))),
        }
        for offset in offsets
    ]


def _point(
    name: str, target: float | None, labels: Sequence[str], offset: float, n_false: int
) -> dict[str, Any]:
    def rows(n_words: int, share: float) -> list[dict[str, Any]]:
        found = round(n_words * share)
        each = [
            stream_row(label, n_words, found - index % 2, index % 2, 1.5)
            for index, label in enumerate(labels)
        ]
        return [stream_row("overall", n_words * len(labels), found * len(labels), n_false, 1.5), *each]

    every = rows(30, 0.9)
    kinds = [
        stream_row("overall", 240, 210, n_false, 1.0) | {"kind": "speech"},
        stream_row("overall", 0, 0, 0, 0.5) | {"kind": "noise"},
    ]
    return {
        "name": name, "target": target, "reached": True, "offset": offset,
        "thresholds": dict.fromkeys(labels, 0.7),
        "overall": every[0], "by_label": every[1:], "by_kind": kinds,
        "without_homophones": {"overall": stream_row("overall", 240, 210, max(0, n_false - 2), 1.4), "by_kind": kinds},
        "by_attribute": [
            {"attribute": "snr_db", "values": [{"value": snr_db, "rows": rows(10, 1 - 0.04 * (20 - snr_db))} for snr_db in (20, 10, 5, 0)]},
            {"attribute": "same word twice", "values": [{"value": True, "rows": rows(5, 0.8)}]},
        ],
        "at_10_db": stream_row("all", 120, 114, 0, 0.0),
        "note": "",
    }  # fmt: skip


def robustness_result(**changes: Any) -> dict[str, Any]:
    """Two noises, and clipping."""
    result = common("robustness") | {
        "source": clips_result()["source"],
        "drawn": {"n_clips": 2_000, "n_all": 2_000, "seed": 0},
        "clean": {
            key: value
            for key, value in proportion(1_820, 2_000).items()
            if key not in ("n_right", "interval")
        },
        "conditions": [
            _condition("noise: pink", "signal-to-noise ratio, dB", (20.0, 10.0, 5.0, 0.0)),
            _condition("noise: white", "signal-to-noise ratio, dB", (20.0, 10.0, 5.0, 0.0)),
            _condition("clipping", "share of the samples clipped", (0.01, 0.05, 0.1)),
        ],
    }
    return result | changes


def _condition(name: str, axis: str, values: Sequence[float]) -> dict[str, Any]:
    points = []
    for index, value in enumerate(values):
        right = 1_800 - 150 * index
        low, high = wilson_interval(right, 2_000)
        points.append({"value": value, "accuracy": right / 2_000, "low": low, "high": high, "n": 2_000})
    return {"name": name, "axis": axis, "points": points, "note": "the level is measured over the word"}
