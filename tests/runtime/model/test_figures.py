"""Figures beside a model file, and the promise inside it: read strictly, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import plain_card
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.errors import ModelError
from speechcmd.runtime.model.figures import ClipFigures, Figures, OperatingPoint, Rate, Share, StreamFigures
from speechcmd.runtime.model.promise import Promise, promise_of

pytestmark = pytest.mark.runtime

RATE = Rate(0.75, 0.16, 2.19, 3, 4.0)
AS_SET = OperatingPoint(None, RATE, Share(0.1, 0.08, 0.12, 900), Share(0.04, 0.03, 0.05, 600))
FIGURES = Figures(
    name="cnn",
    sha256="ab" * 32,
    clips=ClipFigures("12", "testing", Share(0.98, 0.97, 0.99, 2_790), 0.975, {"größe": Share(1.0, 0.9, 1.0, 9)}),
    stream=StreamFigures((AS_SET, OperatingPoint(0.5, None, None, None)), {"music": RATE}, None),
)  # fmt: skip
CONTENT: dict[str, Any] = json.loads(FIGURES.to_json())
CALIBRATION = {
    "false_accepts_per_hour": 1, "confidence": None, "n_events": 3, "hours": 4.0,
    "rate": 0.75, "low": 0.16, "high": 2.19,
}  # fmt: skip


def test_figures_survive_the_round_trip() -> None:
    assert Figures.from_json(FIGURES.to_json()) == FIGURES
    nothing = Figures("cnn", "ab" * 32, None, None)
    assert Figures.from_json(nothing.to_json()) == nothing


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000,
        json.dumps(CONTENT | {"schema": 2}),
        json.dumps({key: value for key, value in CONTENT.items() if key != "schema"}),
        json.dumps({key: value for key, value in CONTENT.items() if key != "clips"}),
        json.dumps(CONTENT | {"clips": {}}),
        json.dumps(CONTENT | {"clips": CONTENT["clips"] | {"mean_recall": "much\nmore"}}),
        json.dumps(CONTENT | {"clips": CONTENT["clips"] | {"recalls": []}}),
        json.dumps(CONTENT | {"stream": CONTENT["stream"] | {"points": []}}),
        json.dumps(CONTENT | {"stream": CONTENT["stream"] | {"points": CONTENT["stream"]["points"][1:]}}),
    ],
)  # fmt: skip
def test_what_are_no_figures_is_one_line(text: str) -> None:
    with pytest.raises(ModelError, match=r"^no figures of this version \(.+\); write them with") as caught:
        Figures.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_promise_is_read_from_the_card() -> None:
    promise = promise_of(plain_card(training={"calibration": CALIBRATION}))
    assert promise == Promise(1.0, None, 3, 4.0, 0.75, 0.16, 2.19)
    assert promise.describe() == (
        "for 1 false accept per hour: 3 in 4.00 h are 0.75 per hour, 95 % interval 0.16 to 2.19"
    )
    proved = promise_of(plain_card(training={"calibration": CALIBRATION | {"confidence": 0.9, "false_accepts_per_hour": 2}}))  # fmt: skip
    assert proved is not None
    assert proved.describe().startswith("for 2 false accepts per hour with 90 % confidence: 3 in")


def test_without_calibration_there_is_no_promise() -> None:
    assert promise_of(plain_card()) is None
    assert promise_of(plain_card(training={"calibration": "yes"})) is None


@given(
    key=st.sampled_from(sorted(set(CALIBRATION) - {"confidence"})),
    value=st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
    | st.sampled_from([float("inf"), float("nan"), float("-inf")]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_damaged_number_is_no_promise(key: str, value: Any) -> None:
    assert promise_of(plain_card(training={"calibration": CALIBRATION | {key: value}})) is None
