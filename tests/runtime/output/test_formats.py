"""Result files of one recording, read back by programs that know nothing of speechcmd."""

from __future__ import annotations

import csv
import html
import io
from itertools import pairwise
from pathlib import Path

import pytest
import srt
import textgrid
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from speechcmd.cli.commands.transcribe import transcribe
from speechcmd.runtime.output.formats import (
    SUFFIXES,
    WHOLE_FILE_FORMATS,
    LineWriter,
    WholeFileWriter,
    separate_intervals,
)
from speechcmd.runtime.output.lines import DETECTION_FIELDS, LINE_FORMATS, LineFormatter
from speechcmd.runtime.recognition.decoder import Detection

LONG_S = 3_700.25


def word(label: str, start_s: float, end_s: float) -> Detection:
    return Detection(label, start_s, end_s, 0.9, end_s + 0.1)


WORDS = [word("yes", 0.5, 0.9), word("no", 61.25, 61.75), word("yes", 3_661.5, 3_662.0)]
TIMES = [(0.5, 0.9, "yes"), (61.25, 61.75, "no"), (3_661.5, 3_662.0, "yes")]
# Unusual, but a label may hold any character that can be printed
MARKUP = 'a<b>&amp; "q" {x} ü'


def made(output_format: str, words: list[Detection], duration_s: float = LONG_S) -> str:
    writer = WholeFileWriter(output_format)
    assert [writer.feed(one) for one in words] == [""] * len(words)
    return writer.finish(duration_s)


def read_srt(text: str) -> list[tuple[float, float, str]]:
    cues = list(srt.parse(text, ignore_errors=False))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    return [(cue.start.total_seconds(), cue.end.total_seconds(), cue.content) for cue in cues]


def read_vtt(text: str) -> list[tuple[str, str, str]]:
    captions = webvtt.from_buffer(io.StringIO(text), format="vtt").captions
    return [(one.start, one.end, one.text) for one in captions]


def read_audacity(text: str) -> list[tuple[float, float, str]]:
    rows = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(float(start), float(end), label) for start, end, label in rows]


def read_textgrid(text: str, folder: Path) -> textgrid.IntervalTier:
    path = folder / "read.TextGrid"
    path.write_text(text, encoding="utf-8")
    grid = textgrid.TextGrid.fromFile(str(path))
    assert [tier.name for tier in grid] == ["words"]
    return grid[0]


def spoken(tier: textgrid.IntervalTier) -> list[tuple[float, float, str]]:
    return [(one.minTime, one.maxTime, one.mark) for one in tier if one.mark]


def test_the_command_offers_every_format_there_is() -> None:
    (option,) = (one for one in transcribe.params if one.name == "output_format" and one.opts == ["--format"])
    assert set(option.type.choices) == set(SUFFIXES) == {*LINE_FORMATS, *WHOLE_FILE_FORMATS}  # type: ignore[attr-defined]


def test_srt() -> None:
    assert read_srt(made("srt", WORDS)) == TIMES


def test_vtt() -> None:
    text = made("vtt", WORDS)
    assert text.startswith("WEBVTT\n\n")
    assert read_vtt(text) == [
        ("00:00:00.500", "00:00:00.900", "yes"),
        ("00:01:01.250", "00:01:01.750", "no"),
        ("01:01:01.500", "01:01:02.000", "yes"),
    ]


def test_audacity() -> None:
    assert read_audacity(made("audacity", WORDS)) == TIMES


def test_textgrid(tmp_path: Path) -> None:
    tier = read_textgrid(made("textgrid", WORDS), tmp_path)
    assert spoken(tier) == TIMES
    assert (tier.minTime, tier.maxTime) == (0.0, LONG_S)
    # Praat wants the tier covered without a gap
    assert [one.minTime for one in tier][1:] == [one.maxTime for one in tier][:-1]


@pytest.mark.parametrize("duration_s", [0.0, 2.5])
def test_nothing_heard_is_still_a_file_of_its_format(tmp_path: Path, duration_s: float) -> None:
    assert read_srt(made("srt", [], duration_s)) == []
    assert read_vtt(made("vtt", [], duration_s)) == []
    assert read_audacity(made("audacity", [], duration_s)) == []
    tier = read_textgrid(made("textgrid", [], duration_s), tmp_path)
    assert spoken(tier) == []
    assert tier.maxTime == max(duration_s, 0.001)


def test_markup_in_a_label_is_text(tmp_path: Path) -> None:
    words = [word(MARKUP, 0.5, 0.9)]
    assert read_srt(made("srt", words))[0][2] == MARKUP
    assert html.unescape(read_vtt(made("vtt", words))[0][2]) == MARKUP
    assert read_audacity(made("audacity", words))[0][2] == MARKUP
    assert spoken(read_textgrid(made("textgrid", words), tmp_path))[0][2] == MARKUP


def test_words_are_written_in_the_order_in_which_they_begin() -> None:
    assert [cue[2] for cue in read_srt(made("srt", [word("b", 1.0, 1.2), word("a", 0.9, 1.5)]))] == ["a", "b"]


def test_words_without_length_get_a_millisecond(tmp_path: Path) -> None:
    words = [word("a", 1.0, 1.0), word("b", 1.0, 1.0), word("c", LONG_S, LONG_S)]
    assert read_srt(made("srt", words))[:2] == [(1.0, 1.001, "a"), (1.0, 1.001, "b")]
    tier = read_textgrid(made("textgrid", words), tmp_path)
    assert spoken(tier) == [(1.0, 1.001, "a"), (1.001, 1.002, "b"), (LONG_S, LONG_S + 0.001, "c")]


def test_intervals_that_overlap_are_cut_where_the_next_begins() -> None:
    words = [word("a", 1.0, 2.0), word("b", 1.5, 1.6), word("c", 1.6, 3.0), word("d", 2.5, 2.8)]
    assert separate_intervals(words) == [
        (1.0, 1.5, "a"),
        (1.5, 1.6, "b"),
        (1.6, 2.5, "c"),
        (2.5, 2.8, "d"),
    ]


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 2)), max_size=12))
def test_intervals_never_overlap_and_none_is_lost(spans: list[tuple[float, float]]) -> None:
    words = [word(str(k), start, start + length) for k, (start, length) in enumerate(sorted(spans))]
    intervals = separate_intervals(words)
    assert [label for _, _, label in intervals] == [one.label for one in words]
    assert all(end - start > 0.0009 for start, end, _ in intervals)
    assert all(one[1] <= other[0] for one, other in pairwise(intervals))
    shift = 0.001 * (len(words) + 1)  # each of those that begin together moves on by 1 ms
    assert all(abs(start - one.start_s) < shift for (start, _, _), one in zip(intervals, words, strict=True))


def test_lines_are_written_at_once_and_errors_too() -> None:
    writer = LineWriter(LineFormatter("jsonl", DETECTION_FIELDS), "a.wav")
    assert writer.feed(WORDS[0]).endswith('"decided_s": 1.0}\n')
    assert writer.finish(1.0) == ""
    assert writer.fail("a.wav: broken") == '{"path": "a.wav", "error": "a.wav: broken"}\n'
    assert LineWriter(LineFormatter("text", DETECTION_FIELDS), "a.wav").fail("a.wav: broken") == ""
    assert WholeFileWriter("srt").fail("a.wav: broken") == ""
