"""Pictures: what they show, read from the SVG; colours, widths, and text that is not meant well."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from evaluation_results import (
    LABELS,
    clips,
    clips_result,
    robustness,
    robustness_result,
    stream,
    stream_result,
)
from fakes import SAMPLE_RATE, tone_recording

from speechcmd.evaluation.clips.share_interval import name_ways
from speechcmd.evaluation.report.clip_picture import (
    draw_condition,
    draw_conditions,
    draw_confusion,
    draw_group,
    draw_speakers,
)
from speechcmd.evaluation.report.drawing import (
    COLOURS,
    FONT_PT,
    WIDTH_IN,
    Dot,
    Picture,
    draw_dots,
    draw_heat,
    shorten,
)
from speechcmd.evaluation.report.page import render_page
from speechcmd.evaluation.report.results import Results
from speechcmd.evaluation.report.saliency import Saliency
from speechcmd.evaluation.report.sound_picture import draw_sound
from speechcmd.evaluation.report.stream_picture import draw_attribute, draw_delays, draw_kinds, draw_trade_off
from speechcmd.evaluation.report.tables import tabulate_robustness

SVG = "{http://www.w3.org/2000/svg}"
POINTS_PER_IN = 72


@pytest.fixture(scope="module")
def confusion() -> Picture:
    return draw_confusion(clips())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and never drawn, where only the words beside them are looked at."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)


def texts_of(svg: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def size_of(picture: Picture) -> tuple[float, float]:
    root = ElementTree.fromstring(picture.svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    return width / POINTS_PER_IN, height / POINTS_PER_IN


def test_the_confusion_matrix_shows_counts_and_recalls(confusion: Picture) -> None:
    shown = texts_of(confusion.svg)
    assert {"196", "4", "98.0 %", "answer", "what it was"} <= set(shown)
    assert [text for text in shown if text in LABELS] == [*LABELS, *LABELS]
    assert "31 times, “_silence_” was taken for “yes”" in confusion.alt


def test_many_labels_make_a_wider_picture_without_numbers(confusion: Picture) -> None:
    labels = [f"word{k}" for k in range(20)]
    picture = draw_confusion(clips(labels=labels, n_each=300))
    assert picture.width_in == pytest.approx(size_of(picture)[0], abs=0.01)
    assert picture.width_in > WIDTH_IN
    assert not {text for text in texts_of(picture.svg) if text.isdecimal()}
    assert confusion.width_in == WIDTH_IN == pytest.approx(size_of(confusion)[0], abs=0.01)
    assert "196" in texts_of(confusion.svg)


@pytest.mark.usefixtures("undrawn")
def test_nothing_confused_is_said() -> None:
    result = clips_result(("yes", "no"))
    result["confusion"] = [[5, 0], [0, 5]]
    assert "no clip was taken for another label" in draw_confusion(clips(result)).alt


def test_pictures_are_alike_each_time_and_hold_no_date() -> None:
    one, two = (draw_dots("title", [Dot("a", 1.0, 0.5, 2.0)], "axis", alt="alt").svg for _ in range(2))
    assert one == two
    assert b"<dc:date>" not in one


def test_missing_values_leave_their_row_empty() -> None:
    picture = draw_dots("title", [Dot("a", 1.0, 0.5, 2.0), Dot("nothing", None)], "axis", alt="alt")
    assert {"a", "nothing", "axis"} <= set(texts_of(picture.svg))
    table = np.array([[0.1, math.nan], [0.9, 1.0]])
    heat = draw_heat(
        "t", table, ["r1", "r2"], ["c1", "c2"], axis="axis", alt="alt", texts=[["10", ""], ["90", "100"]]
    )
    assert {"10", "90", "100", "r1", "c2"} <= set(texts_of(heat.svg))


def test_labels_are_shown_as_they_are() -> None:
    labels = ["<script>", "$x^2$", r"a$\bad{$b", "a$b", "語 \U0001f600", "l" * 200, "&amp;", r"\frac{1}{2}"]
    picture = draw_dots("title", [Dot(label, 1.0) for label in labels], "axis", alt="alt")
    expected = {label if len(label) <= 24 else "l" * 23 + "…" for label in labels}
    assert expected <= set(texts_of(picture.svg))
    assert size_of(picture)[0] == pytest.approx(WIDTH_IN, abs=0.01)


def test_shorten_keeps_short_names() -> None:
    assert [shorten("yes"), shorten("a" * 17), shorten("$1")] == ["yes", "a" * 15 + "…", "$1"]


def test_the_trade_off_has_every_label_and_a_place_for_zero() -> None:
    picture = draw_trade_off(stream())
    shown = texts_of(picture.svg)
    assert {"yes", "go", "all words", "as it is set", "0", "0.5", "1", "5"} <= set(shown)
    assert "10.0 % of the words with 4.00 false accepts per hour" in picture.alt


def test_a_curve_without_a_rate_or_without_words_is_drawn() -> None:
    result = stream_result()
    for point in result["curve"]:
        point["false_accepts_per_hour"] = None
    result["curves_by_label"] = {"yes": []}
    result["points"][0]["overall"] |= {"false_reject_rate": None, "false_accepts_per_hour": None}
    assert "as it is set" not in texts_of(draw_trade_off(stream(result)).svg)


def test_kinds_without_audio_are_left_out() -> None:
    result = stream_result()
    result["points"][0]["by_kind"][1] |= {
        "hours": 0.0,
        "false_accepts_per_hour": None,
        "fa_low": None,
        "fa_high": None,
    }
    shown = texts_of(draw_kinds(stream(result).own).svg)
    assert "speech (60 min)" in shown
    assert not any(text.startswith("noise") for text in shown)


@pytest.mark.usefixtures("undrawn")
def test_delays_need_a_word_that_was_found() -> None:
    result = stream_result()
    picture = draw_delays(stream(result).own)
    assert picture is not None
    assert "median 210 ms, 95 % under 480 ms" in picture.alt
    for row in result["points"][0]["by_label"]:
        row["delay_ms"] = None
    assert draw_delays(stream(result).own) is None


def test_noise_levels_are_columns_with_their_unit() -> None:
    point = stream().own
    picture = draw_attribute(point, "snr_db")
    assert picture is not None
    assert {"20 dB", "0 dB", "overall", "yes", "80"} <= set(texts_of(picture.svg))
    assert draw_attribute(point, "same word twice") is None  # one value makes no picture


@pytest.mark.usefixtures("undrawn")
def test_no_speakers_no_histogram() -> None:
    assert draw_speakers(clips()) is not None
    nobody = {"n_speakers": 0, "mean": None, "sd": None, "worst_tenth": None, "histogram": [], "worst": []}
    assert draw_speakers(clips(by_speaker=nobody)) is None


@pytest.mark.usefixtures("undrawn")
def test_a_condition_names_its_worst_point() -> None:
    result = robustness()
    picture = draw_condition(result.conditions[0], result.clean)
    assert picture.alt == "Accuracy against signal-to-noise ratio, dB: 67.5 % at 0, 91.0 % clean."


def test_distortions_of_one_strength_share_a_picture_and_those_not_tried_have_none() -> None:
    result = robustness_result()
    result["conditions"][1]["points"] = result["conditions"][1]["points"][:1]
    result["conditions"][2]["points"] = []
    curve, others = draw_conditions(robustness(result))
    assert (curve.title, others.title) == ("noise: pink", "At one strength")
    assert {"clean", "noise: white"} <= set(texts_of(others.svg))
    assert others.alt == "Accuracy under noise: white: 90.0 %."
    rows = tabulate_robustness(robustness(result)).rows
    assert ("clipping", "–", "not measured", "–", "0") in rows
    assert len(rows) == 1 + 4 + 1 + 1


def test_the_sound_has_its_times_and_frequencies() -> None:
    waveform = tone_recording([("low", 0.1)], 0.5)
    falls = np.zeros((2, 5))
    falls[0, 2] = 3.0
    saliency = Saliency("low", 0.9, falls, np.linspace(0, 0.5, 6), np.array([0.0, 1_000.0, 8_000.0]))
    svg = draw_sound(waveform, SAMPLE_RATE, saliency)
    assert {"the sound", "what the answer rests on", "kHz", "seconds", "most"} <= set(texts_of(svg))
    assert svg.count(b"data:image/png;base64") >= 2
    assert len(svg) < 150_000


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_lines_stand_out_from_white() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert all(1.05 / (luminance(colour) + 0.05) > 1.9 for colour in COLOURS)
    assert FONT_PT * 336 / (WIDTH_IN * POINTS_PER_IN) >= 9  # CSS pixels on a screen 360 of them wide


@pytest.mark.usefixtures("undrawn")
def test_a_gap_is_told_only_where_there_is_one() -> None:
    (column,) = clips().groups
    assert draw_group(column).note == (
        "Largest gap 8.0 points (95 % interval 1.0 to 15.0); "
        "a gap this large comes by chance in 3.1 % of shuffles."
    )
    column = replace(column, gap_low=None, gap_high=None, chance=None, note="too few speakers to tell")
    assert draw_group(column).note == "Largest gap 8.0 points; too few speakers to tell."
    column = replace(column, largest_gap=None, note="no gap is reported")
    assert draw_group(column).note == "No gap is reported."


@pytest.mark.usefixtures("undrawn")
def test_a_column_without_groups_has_its_note_and_no_picture() -> None:
    result = clips_result()
    nothing = dict.fromkeys(("largest_gap", "gap_low", "gap_high", "chance"))
    result["groups"].append({"column": "remark", **nothing, "note": "too many texts", "groups": []})
    page = render_page(Results(clips=clips(result)), {})
    assert "Groups: age" in page
    assert "Groups: remark" not in page
    assert "remark: too many texts" in page
    assert "intervals by age: bootstrap by speaker" in page
    assert "Intervals: Wilson." in page


def test_how_intervals_were_found_is_named() -> None:
    rows = [(name, "Wilson") for name in "abcdefg"]
    speakers = ("all", "bootstrap by speaker")
    assert name_ways(rows) == "Wilson"
    assert name_ways([speakers, ("x", None)]) == "bootstrap by speaker"
    assert name_ways([speakers, *rows]) == "bootstrap by speaker; Wilson for a, b, c, d, e and 2 others"
    assert name_ways([]) == "–"
