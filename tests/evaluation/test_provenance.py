"""What every result says of itself."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import LABELS, plain_card, toy_card, toy_model

from speechcmd import __version__
from speechcmd.errors import ModelError
from speechcmd.evaluation.provenance import describe_run
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard
from speechcmd.runtime.model.engine import onnxruntime
from speechcmd.runtime.model.model_file import load_model_file
from speechcmd.typed import as_plain

pytestmark = pytest.mark.runtime


def plain_run(card: ModelCard, model: Any, command: Any = None) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(json.dumps(as_plain(describe_run(card, model, command))))
    return run


def test_the_fields_that_all_results_share(tmp_path: Path) -> None:
    path = tmp_path / "toy.onnx"
    path.write_bytes(toy_model())
    run = plain_run(toy_card(), path, ["speechcmd", "evaluate", "my clips", "-m", str(path)])
    assert list(run) == ["schema", "model", "command", "versions", "date"]
    assert run["schema"] == 1
    assert run["command"] == f"speechcmd evaluate 'my clips' -m {path}"
    assert run["versions"] == {
        "speechcmd": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "platform": platform.platform(),
    }
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", run["date"])
    assert run["model"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert json.loads(json.dumps(run)) == run


def test_what_is_said_of_the_model() -> None:
    decoder = DecoderSettings(LabelSettings(threshold=0.6), {"high": LabelSettings(threshold=0.9)}, 5)
    card = plain_card(decoder=decoder, temperature=1.5)
    model = plain_run(card, b"bytes")["model"]
    assert model == {
        "name": "toy",
        "architecture": "tones",
        "parameters": 24,
        "labels": list(LABELS),
        "sample_rate": 16_000,
        "window_s": 0.3,
        "step_s": 0.02,
        "temperature": 1.5,
        "thresholds": {"low": 0.6, "high": 0.9},
        "smoothing_s": pytest.approx(0.1),
        "measured_on": "nothing",
        "data": [{"name": "made tones", "licence": "CC0-1.0", "url": "https://example.org"}],
        "licence": "Apache-2.0",
        "tool_version": "0",
        "sha256": hashlib.sha256(b"bytes").hexdigest(),
    }


def test_the_command_is_the_one_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/speechcmd", "evaluate", "a b"])
    assert plain_run(plain_card(), b"")["command"] == "speechcmd evaluate 'a b'"


def test_the_released_model_is_found_by_name() -> None:
    model_bytes, card = load_model_file("cnn")
    expected = hashlib.sha256(model_bytes).hexdigest()
    assert plain_run(card, None)["model"]["sha256"] == expected
    assert plain_run(card, "cnn")["model"]["sha256"] == expected
    with pytest.raises(ModelError, match="no released model"):
        plain_run(card, "nosuch")
