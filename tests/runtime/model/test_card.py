"""The model card: a strict reading of what a model file says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes import plain_card
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import DecoderSettings, LabelSettings, ModelCard

pytestmark = pytest.mark.runtime

CONTENT: dict[str, Any] = json.loads(plain_card().to_json())
OWN = CONTENT["decoder"]["default"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def read(content: dict[str, Any]) -> ModelCard:
    return ModelCard.from_json(json.dumps(content))


def test_a_card_survives_the_round_trip() -> None:
    card = plain_card(
        temperature=1.5,
        decoder=DecoderSettings(labels={"low": LabelSettings(0.9, 0.5, 0.1, 3)}, smoothing_steps=3),
        training={"draw": "all", "seed": 7, "figures": {"accuracy": 0.97}},
        measured_on="größe 3 h of speech",
    )
    assert ModelCard.from_json(card.to_json()) == card


def test_a_key_from_a_later_version_is_passed_over() -> None:
    assert read({**CONTENT, "new": 1}) == plain_card()


def test_a_card_of_an_older_version_is_float32() -> None:
    older = {name: value for name, value in CONTENT.items() if name != "precision"}
    assert read(older).precision == "float32"
    assert read({**CONTENT, "precision": "int8"}).precision == "int8"


@pytest.mark.parametrize("key", sorted(set(CONTENT) - {"precision"}))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ModelError, match=rf"^model card: {key}: expected .*, got nothing; re-export"):
        read({name: value for name, value in CONTENT.items() if name != key})


@pytest.mark.parametrize("part", ["decoder", "check"])
def test_a_missing_key_inside_is_named(part: str) -> None:
    for key in CONTENT[part]:
        inner = {name: value for name, value in CONTENT[part].items() if name != key}
        with pytest.raises(ModelError, match=rf"^model card: {part}.{key}: expected .*, got nothing"):
            read({**CONTENT, part: inner})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", 3, "name: expected text, got 3"),
        ("labels", "yes", "labels: expected a list, got 'yes'"),
        ("labels", ["a", 2], r"labels\[1\]: expected text, got 2"),
        ("labels", ["a", "a", "b", "c"], "labels: expected no duplicates"),
        ("labels", ["a", " ", "b", "c"], "printable text of 1 to 80 characters"),
        ("labels", ["a", "\u200c", "b", "c"], "printable text of 1 to 80 characters"),
        ("labels", ["a", "\u202eb", "b", "c"], "printable text of 1 to 80 characters"),
        ("labels", ["_silence_", "_unknown_"], "expected a word that may fire, got none"),
        ("labels", ["a", "b", "c"], "a logit for each label"),
        ("sample_rate", 16000.0, "a whole number from 4000 to 48000, got 16000.0"),
        ("sample_rate", True, "a whole number from 4000 to 48000, got True"),
        ("window_samples", 0, "whole number above 0"),
        ("step_samples", 4801, r"expected at most window_samples \(4800\), got 4801"),
        ("precision", "int4", "expected float32 or int8, got 'int4'"),
        ("precision", ["int8"], "expected float32 or int8, got"),
        ("temperature", 0, "a number from 0.01 to 100"),
        ("temperature", float("nan"), "a number from 0.01 to 100, got nan"),
        ("temperature", 10**400, "a number from 0.01 to 100, got 1000"),
        ("labels", ["a" * 100, "b"], "printable text of 1 to 80 characters"),
        ("sample_rate", 100, "a whole number from 4000 to 48000, got 100"),
        ("window_samples", 2**30, "expected at most 10 s"),
        (
            "decoder",
            {**CONTENT["decoder"], "smoothing_steps": 2**30},
            "decoder.smoothing_steps: expected a whole number from 1 to 1000",
        ),
        ("decoder", [], r"decoder: expected a table, got \[\]"),
        (
            "decoder",
            {**CONTENT["decoder"], "default": {**OWN, "threshold": 1.2}},
            "over 0 and at most 1, got 1.2",
        ),
        ("decoder", {**CONTENT["decoder"], "labels": {"left": OWN}}, "'left' is not a label"),
        (
            "decoder",
            {**CONTENT["decoder"], "labels": {"low": 0.5}},
            "decoder.labels.low: expected a table, got 0.5",
        ),
        (
            "decoder",
            {**CONTENT["decoder"], "labels": {"low": {}}},
            "low.*threshold: expected a value, got nothing",
        ),
        (
            "decoder",
            {**CONTENT["decoder"], "default": {**OWN, "refractory_s": -1}},
            "a number from 0 to 3600, got -1",
        ),
        ("data", [{"name": "x", "licence": "y"}], r"data\[0\].url: expected text, got nothing"),
        ("training", [], "training: expected a table"),
        ("check", {**CONTENT["check"], "logits": [[[0, 0, 0, 0]]]}, "two signals"),
        ("check", {**CONTENT["check"], "logits": [[], []]}, "two signals"),
        ("check", {**CONTENT["check"], "logits": [[[0] * 4], [[0] * 4] * 2]}, "two signals"),
        ("check", {**CONTENT["check"], "tolerance": 0}, "over 0"),
        ("check", {**CONTENT["check"], "tolerance": 2}, "at most 1"),
        ("decoder", {**CONTENT["decoder"], "labels": {"a\nb": {}}}, "got nothing"),
        ("schema", 2, "schema: expected 1, which this version reads, got 2; re-export"),
    ],
)
def test_a_wrong_value_is_one_line(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ModelError, match=expected) as caught:
        read({**CONTENT, key: value})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("re-export the model")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_not_a_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"not JSON|expected a table, got"):
        ModelCard.from_json(text)


@settings(deadline=None)
@given(key=st.sampled_from(sorted(CONTENT)), value=JSON_VALUES)
def test_any_value_gives_a_card_or_one_printable_line(key: str, value: Any) -> None:
    problem = ""
    try:
        assert isinstance(read({**CONTENT, key: value}), ModelCard)
    except ModelError as error:
        problem = str(error)
    assert problem.isprintable()


def test_labels_without_settings_of_their_own_use_the_default() -> None:
    settings = DecoderSettings(LabelSettings(0.6), {"low": LabelSettings(0.9)})
    assert (settings.of("low").threshold, settings.of("high").threshold) == (0.9, 0.6)
    assert settings.of("low").release == pytest.approx(0.63)


def test_an_override_reaches_every_label_and_single_thresholds_come_last() -> None:
    settings = DecoderSettings(labels={"low": LabelSettings(0.9, min_steps=4)})
    changed = settings.override({"high": 0.4}, threshold=0.5, refractory_s=1.0)
    assert changed.of("low") == LabelSettings(0.5, refractory_s=1.0, min_steps=4)
    assert changed.of("high") == LabelSettings(0.4, refractory_s=1.0)
    assert changed.of("other") == LabelSettings(0.5, refractory_s=1.0)
    assert settings.of("high") == LabelSettings()


def test_words_and_seconds() -> None:
    card = replace(plain_card(), window_samples=8_000, step_samples=400)
    assert card.words == ("low", "high")
    assert (card.window_s, card.step_s) == (0.5, 0.025)
