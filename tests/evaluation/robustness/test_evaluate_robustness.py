"""Robustness: which clips, what is done to them, what is counted, how it is shown."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from evaluation_results import plain, robustness
from fakes import LABELS, tone_recording, toy_model

from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.clips.labelled_clip import ClipSet, LabelledClip
from speechcmd.evaluation.intervals import wilson_interval
from speechcmd.evaluation.report.results import to_plain
from speechcmd.evaluation.robustness.condition import ClipFacts, Condition, ConditionPoint, make_conditions
from speechcmd.evaluation.robustness.distortion import WordPlace, find_word
from speechcmd.evaluation.robustness.evaluate_robustness import (
    draw_evenly,
    find_facts,
    make_robustness_result,
    measure_robustness,
)
from speechcmd.evaluation.robustness.noise_source import NoiseFiles
from speechcmd.evaluation.robustness.robustness_result import RobustnessResult
from speechcmd.evaluation.robustness.robustness_text import render_robustness
from speechcmd.runtime.recognition.recognizer import Recognizer

RATE = 16_000
AXES = {
    "signal-to-noise ratio, dB": {"noise: white", "noise: pink", "noise: brown"},
    "gain, dB": {"gain"},
    "share of samples clipped": {"clipping"},
    "RT60, s": {"reverberation"},
    "time shift, ms": {"time shift"},
    "speaking rate": {"speaking rate"},
    "upper end of the band, Hz": {"band: sampled at 8 kHz", "band: telephone, 300 Hz up"},
    "bit rate, kbit/s": {
        "coding: MP3",
        "coding: Opus",
        "coding: G.711 µ-law, 8 kHz",
        "coding: GSM 06.10, 8 kHz",
    },
    "quality": {"coding: Vorbis"},
}


def make_example(label: str, number: int) -> LabelledClip:
    words = [(label, 0.3)] if label in ("low", "high") else []
    clip = tone_recording(words, 0.9, seed=number)
    return LabelledClip(f"{label}/{number}.wav", label if words else "", label, "", lambda: clip)


def facts(n_clips: int = 1, level: float = 1.0) -> list[ClipFacts]:
    """Of clips of a second, each with random numbers of its own."""
    return [ClipFacts(100 + number, WordPlace(0, RATE, level)) for number in range(n_clips)]


def make_set(n_low: int = 2, n_high: int = 2, n_silence: int = 1) -> ClipSet:
    examples = [
        make_example(label, number)
        for label, n in (("low", n_low), ("high", n_high), ("_silence_", n_silence))
        for number in range(n)
    ]
    return ClipSet("made", "own", "testing", LABELS, tuple(examples), None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_model())
    return path


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    return Recognizer.load(model)


@pytest.fixture(scope="module")
def measured(recognizer: Recognizer, model: Path) -> RobustnessResult:
    return make_robustness_result(recognizer, model, make_set(1, 1, 1), command=["speechcmd", "evaluate"])


@pytest.fixture(scope="module")
def result(measured: RobustnessResult) -> dict[str, Any]:
    return to_plain(measured)


class TestDraw:
    def test_evenly_over_the_labels_and_in_order(self) -> None:
        examples = make_set(30, 6, 2).clips
        drawn = draw_evenly(examples, 12, seed=0)
        labels = [example.label for example in drawn]
        assert {label: labels.count(label) for label in set(labels)} == {"low": 5, "high": 5, "_silence_": 2}
        assert [examples.index(example) for example in drawn] == sorted(map(examples.index, drawn))

    def test_the_seed_decides(self) -> None:
        examples = make_set(30, 30, 0).clips
        assert draw_evenly(examples, 12, seed=1) == draw_evenly(examples, 12, seed=1)
        assert draw_evenly(examples, 12, seed=1) != draw_evenly(examples, 12, seed=2)

    def test_all_if_there_are_no_more(self) -> None:
        examples = make_set().clips
        assert draw_evenly(examples, 5, seed=0) == list(examples)

    def test_a_larger_limit_draws_the_same_and_others(self) -> None:
        examples = make_set(30, 9, 4).clips
        smaller = [example.path for example in draw_evenly(examples, 10, seed=2)]
        larger = [example.path for example in draw_evenly(examples, 20, seed=2)]
        assert set(smaller) < set(larger)
        turned = draw_evenly(examples[::-1], 10, seed=2)
        assert {example.path for example in turned} == set(smaller)


def test_clips_without_a_word_take_the_median_level() -> None:
    def example(label: str, level: float) -> LabelledClip:
        return LabelledClip("x", "", label, "", lambda: np.tile(np.float32([level, -level]), 800))

    examples = [example("low", 0.1), example("_silence_", 0.5), example("high", 0.2), example("high", 0.0)]
    found = [one.word for one in find_facts([*examples, example("low", 0.3)], 0)]
    assert [word.level for word in found] == pytest.approx([0.1, 0.2, 0.2, 0.2, 0.3])
    assert {(word.start, word.end) for word in found} == {(0, 1_600)}
    assert find_facts([example("_silence_", 0.5)], 0)[0].word.level > 0


def test_random_numbers_are_those_of_the_clip_wherever_it_stands() -> None:
    """Pinned: the same on every computer, in every version."""
    clips = make_set(3, 3, 0).clips
    seeds = [one.seed for one in find_facts(clips, 7)]
    assert len(set(seeds)) == 6
    assert [one.seed for one in find_facts(clips[::-1], 7)] == seeds[::-1]
    assert [one.seed for one in find_facts(clips[2:3], 7)] == seeds[2:3]
    assert find_facts(clips[:1], 8)[0].seed != seeds[0]
    assert seeds[0] == int(hashlib.sha256(b"7\nlow/0.wav").hexdigest(), 16)


class TestConditions:
    def test_all_of_them(self) -> None:
        found: dict[str, set[str]] = {}
        for condition in make_conditions(facts()):
            found.setdefault(condition.axis, set()).add(condition.name)
        assert found == AXES

    def test_length_form_and_independence_of_order(self) -> None:
        """Clip 3 is changed alike whether it comes first or last; other clips and seeds differ."""
        clip = make_example("low", 0).read()[2_400:9_600]
        before = clip.copy()
        n_random = 0
        for condition in make_conditions(facts(4, 0.2)):
            for point in condition.points:
                first = point.distort(clip, 3)
                second = point.distort(clip, 1)
                assert first.shape == clip.shape
                assert first.dtype == np.float32
                assert np.isfinite(first).all()
                np.testing.assert_array_equal(first, point.distort(clip, 3))
                n_random += not np.array_equal(first, second)
        np.testing.assert_array_equal(clip, before)
        assert n_random == 3 * 6 + 3 + 6 + 2  # noise, rooms, shifts, what surrounds faster speech

    def test_the_seed_matters(self) -> None:
        clip = make_example("low", 0).read()
        example = make_example("low", 0)
        one, other = (
            make_conditions(find_facts([example], seed))[0].points[0].distort(clip, 0) for seed in (0, 1)
        )
        assert not np.array_equal(one, other)

    def test_a_clip_without_samples_stays_so(self) -> None:
        nothing = np.zeros(0, dtype=np.float32)
        for condition in make_conditions(facts()):
            for point in condition.points:
                assert point.distort(nothing, 0).shape == (0,)

    @pytest.mark.parametrize("n_samples", [1, 2, 500])
    @pytest.mark.parametrize("value", [0.0, 0.3])
    def test_a_constant_clip_of_any_length_passes(self, n_samples: int, value: float) -> None:
        clip = np.full(n_samples, value, dtype=np.float32)
        example = LabelledClip("x", "low", "low", "", lambda: clip)
        for condition in make_conditions(find_facts([example], 0)):
            for point in condition.points:
                distorted = point.distort(clip, 0)
                assert np.isfinite(distorted).all()
                assert distorted.shape == (n_samples,)

    def test_the_noise_has_the_ratio_of_its_point_and_is_the_same_at_all(self) -> None:
        clip = make_example("low", 0).read()
        word = find_word(clip)
        white = make_conditions([ClipFacts(0, word)])[0]
        added = {point.value: point.distort(clip, 0) - clip for point in white.points}
        assert list(added) == [20.0, 15.0, 10.0, 5.0, 0.0, -5.0]
        for snr_db, noise in added.items():
            under = np.std(noise[word.start : word.end])
            assert 20 * np.log10(word.level / under) == pytest.approx(snr_db, abs=0.01)
        np.testing.assert_allclose(added[0.0] / 10**0.25, added[5.0], atol=1e-6)

    def test_given_noise_and_responses_take_the_place_of_made_ones(self, tmp_path: Path) -> None:
        noise, room = tmp_path / "hum.wav", tmp_path / "hall.wav"
        soundfile.write(noise, tone_recording([("low", 0.0)], 0.5), RATE)
        response = np.zeros(4_000)
        response[[1_600, 2_400]] = 1.0, 0.5
        soundfile.write(room, response, RATE, subtype="FLOAT")
        conditions = make_conditions(facts(), noises=[NoiseFiles("hum", [noise])], responses=[room])
        by_name = {condition.name: condition for condition in conditions}
        assert [name for name in by_name if name.startswith(("noise", "reverb"))] == [
            "noise: hum",
            "reverberation: hall",
        ]
        hall = by_name["reverberation: hall"]
        assert hall.note == "100 ms of it come before its strongest sample"
        click = np.zeros(4_000, dtype=np.float32)
        click[500] = 0.5
        np.testing.assert_allclose(
            np.flatnonzero(np.abs(hall.points[0].distort(click, 0)) > 1e-3), [500, 1_300]
        )

    def test_a_format_that_is_missing_is_a_note(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV", "OGG": "OGG"})
        coding = {condition.name: condition for condition in make_conditions(facts())}
        assert coding["coding: MP3"].points == ()
        assert coding["coding: MP3"].note.startswith("not measured: this libsndfile")
        assert coding["coding: GSM 06.10, 8 kHz"].points


class TestMeasure:
    def test_what_robustness_json_holds(self, result: dict[str, Any]) -> None:
        assert json.loads(json.dumps(result)) == result
        assert result["kind"] == "robustness"
        assert result["source"]["n_clips"] == 3
        assert result["drawn"] == {"n_clips": 3, "n_all": 3, "seed": 0}
        low, high = wilson_interval(3, 3)
        assert result["clean"] == {"value": 1.0, "low": low, "high": high, "n": 3}
        for condition in result["conditions"]:
            assert set(condition) == {"name", "axis", "points", "note"}
            assert condition["points"] or condition["note"].startswith("not measured")
            for point in condition["points"]:
                assert set(point) == {"value", "accuracy", "low", "high", "n"}
                assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1

    def test_tones_survive_coding_and_drown_in_noise(self, result: dict[str, Any]) -> None:
        accuracy = {
            (condition["name"], point["value"]): point["accuracy"]
            for condition in result["conditions"]
            for point in condition["points"]
        }
        assert accuracy["coding: G.711 µ-law, 8 kHz", 64.0] == 1.0
        assert accuracy["gain", 0.0] == 1.0
        assert accuracy["noise: white", 20.0] > accuracy["noise: white", -5.0]

    def test_known_figures(self, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Silencing every second clip of ten, silence among them: the five other answers are right."""

        def silence_odd(waveform: Waveform, index: int) -> Waveform:
            return waveform * np.float32(0.0) if index % 2 else waveform

        conditions = [Condition("odd ones out", "nothing", (ConditionPoint(1.0, silence_odd),), "a note")]
        monkeypatch.setattr(
            "speechcmd.evaluation.robustness.evaluate_robustness.make_conditions", lambda *_, **__: conditions
        )
        done: list[tuple[int, int]] = []
        clip_set = make_set(4, 4, 2)
        result = plain(
            measure_robustness(recognizer, clip_set, on_progress=lambda *counts: done.append(counts))
        )
        low, high = wilson_interval(6, 10)  # the silenced clip of silence is still silence
        point = {"value": 1.0, "accuracy": 0.6, "low": low, "high": high, "n": 10}
        expected = {"name": "odd ones out", "axis": "nothing", "points": [point], "note": "a note"}
        assert result["conditions"] == [expected]
        assert done == [(number, 20) for number in range(1, 21)]

    def test_the_limit(self, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "speechcmd.evaluation.robustness.evaluate_robustness.make_conditions", lambda *_, **__: []
        )
        result = plain(measure_robustness(recognizer, make_set(4, 4, 2), limit=6, seed=3))
        assert result["drawn"] == {"n_clips": 6, "n_all": 10, "seed": 3}
        assert result["clean"]["n"] == 6


class TestText:
    def test_a_row_a_condition_in_80_columns(self, result: dict[str, Any]) -> None:
        text = render_robustness(robustness(result))
        lines = text.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0] == "toy on made: task own, testing"
        assert lines[1] == "3 of 3 clips, drawn evenly over the labels, seed 0"
        assert lines[2] == "clean: 100.0 % of them right (43.9–100.0 %, 95 % interval)"
        header = next(line for line in lines if line.startswith("signal"))
        assert header.split()[-6:] == ["20", "15", "10", "5", "0", "-5"]
        white = lines[lines.index(header) + 1].split()
        assert white[:2] == ["noise:", "white"]
        assert len(white) == 8
        for condition in result["conditions"]:
            assert any(line.startswith(f"  {condition['name']}") for line in lines)
        assert "gain: rounded to 16 bits, clipped at full scale" in lines

    def test_points_stand_under_their_value(self, result: dict[str, Any]) -> None:
        def condition(name: str, *points: tuple[float, float]) -> dict[str, Any]:
            made = [{"value": v, "accuracy": a, "low": a, "high": a, "n": 9} for v, a in points]
            return {"name": name, "axis": "bit rate", "points": made, "note": ""}

        two = [condition("one", (32.0, 0.9), (8.0, 0.5)), condition("two", (13.0, 0.7))]
        lines = render_robustness(robustness({**result, "conditions": two})).splitlines()[5:]
        assert lines == [
            "bit rate                            32     13      8",
            "  one                             90.0          50.0",
            "  two                                    70.0",
        ]
        many = [
            condition(f"room {n:02}: a name that is longer than a column", (n / 7, 0.5)) for n in range(8)
        ]
        lines = render_robustness(robustness({**result, "conditions": many})).splitlines()[5:]
        assert lines[:3] == [
            "bit rate",
            "  room 00: a name that is longer than a column  0: 50.0",
            "  room 01: a name that is longer than a column  0.142857: 50.0",
        ]
        long = [condition("a name that is much longer than its column", (1.0, 0.5))]
        lines = render_robustness(robustness({**result, "conditions": long})).splitlines()[5:]
        assert lines[1] == "  a name that is much longer …    50.0"

    def test_a_condition_that_was_not_measured(self, result: dict[str, Any]) -> None:
        missing = {"name": "coding: MP3", "axis": "bit rate", "points": [], "note": "not measured: too old"}
        text = render_robustness(robustness({**result, "conditions": [missing]}))
        assert "coding: MP3: not measured: too old" in text
