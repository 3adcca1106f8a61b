"""Result lines: text, JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json

import pytest

from speechcmd.runtime.output.lines import (
    CLIP_FIELDS,
    DETECTION_FIELDS,
    LineFormatter,
    clip_fields,
    detection_fields,
    error_fields,
    format_time,
)
from speechcmd.runtime.recognition.decoder import Detection
from speechcmd.runtime.recognition.recognizer import ClipResult

pytestmark = pytest.mark.runtime

DETECTION = Detection("yes", 3.42049, 4.02049, 0.971149, 4.1)
ROW = detection_fields("examples/x.flac", DETECTION)
CLIP = clip_fields("a.wav", ClipResult("down", 0.5, {"down": 0.5, "_unknown_": 0.4}))
ERROR = error_fields("b.wav", "b.wav: no such file")


def test_text_is_aligned_for_people() -> None:
    transcript = LineFormatter("text", DETECTION_FIELDS, ["examples/x.flac", "a.wav"], ["yes", "right"])
    assert transcript.header() is None
    assert transcript.line(ROW) == "examples/x.flac   0:03.42   yes     0.97"
    assert transcript.line({**ROW, "path": "a.wav"}) == "a.wav             0:03.42   yes     0.97"
    assert LineFormatter("text", CLIP_FIELDS, ["a.wav"], ["down"]).line(CLIP) == "a.wav   down   0.50"


def test_errors_are_no_results_in_text() -> None:
    assert LineFormatter("text", CLIP_FIELDS).line(ERROR) is None


def test_json_lines_hold_the_promised_fields() -> None:
    transcript = LineFormatter("jsonl", DETECTION_FIELDS)
    assert transcript.header() is None
    assert json.loads(transcript.line(ROW) or "") == {
        "path": "examples/x.flac",
        "label": "yes",
        "start_s": 3.42,
        "end_s": 4.02,
        "score": 0.9711,
        "decided_s": 4.1,
    }
    assert json.loads(transcript.line(CLIP) or "") == {"path": "a.wav", "label": "down", "score": 0.5}
    assert json.loads(transcript.line(ERROR) or "") == {"path": "b.wav", "error": "b.wav: no such file"}


def test_csv_can_be_read_back() -> None:
    transcript = LineFormatter("csv", DETECTION_FIELDS)
    strange = {**ROW, "path": 'a, "b".wav'}
    lines = [transcript.header() or "", transcript.line(strange) or "", transcript.line(ERROR) or ""]
    word, failed = csv.DictReader(lines)
    assert list(word) == ["path", "label", "start_s", "end_s", "score", "decided_s", "error"]
    assert (word["path"], word["start_s"], word["error"]) == ('a, "b".wav', "3.42", "")
    assert (failed["path"], failed["label"], failed["error"]) == ("b.wav", "", "b.wav: no such file")


@pytest.mark.parametrize(
    "name", ["a\nb.wav", "a\rb.wav", "a\x1b[2Jb\u202e.wav", "=1+1", "\u200c", 'a"\n", "b']
)
def test_csv_cells_are_exact(name: str) -> None:
    transcript = LineFormatter("csv", DETECTION_FIELDS)
    lines = (
        transcript.header(),
        transcript.line({**ROW, "path": name, "label": name}),
        transcript.line(ERROR),
    )
    text = "".join(f"{line}\n" for line in lines)
    word, failed = csv.DictReader(io.StringIO(text, newline=""))
    assert (word["path"], word["label"], failed["path"]) == (name, name, "b.wav")


def test_a_file_name_that_is_no_text_can_be_written() -> None:
    row = {**CLIP, "path": b"\xff.wav".decode("utf-8", "surrogateescape")}
    for output_format in ("text", "jsonl", "csv"):
        line = LineFormatter(output_format, CLIP_FIELDS).line(row)
        assert line is not None
        line.encode("utf-8")


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [
        (0, "0:00.00"),
        (3.42, "0:03.42"),
        (59.999, "1:00.00"),
        (754.5, "12:34.50"),
        (3_723.42, "1:02:03.42"),
        (36_000, "10:00:00.00"),
    ],
)
def test_times(time_s: float, expected: str) -> None:
    assert format_time(time_s) == expected
