"""Results as lines: aligned text for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from speechcmd.errors import printable
from speechcmd.runtime.recognition.decoder import Detection
from speechcmd.runtime.recognition.recognizer import ClipResult

Fields = dict[str, str | float]

LINE_FORMATS = ("text", "jsonl", "csv")
CLIP_FIELDS = ("path", "label", "score")
DETECTION_FIELDS = ("path", "label", "start_s", "end_s", "score", "decided_s")
_ERROR = "error"
_LINE_END = "\r\n"
_TIME_DIGITS, _SCORE_DIGITS = 3, 4


def clip_fields(path: str, result: ClipResult) -> Fields:
    """Fields of a classified clip."""
    return {"path": path, "label": result.label, "score": round(result.score, _SCORE_DIGITS)}


def detection_fields(path: str, detection: Detection) -> Fields:
    """Fields of a word in a recording."""
    return {
        "path": path,
        "label": detection.label,
        "start_s": round(detection.start_s, _TIME_DIGITS),
        "end_s": round(detection.end_s, _TIME_DIGITS),
        "score": round(detection.score, _SCORE_DIGITS),
        "decided_s": round(detection.decided_s, _TIME_DIGITS),
    }


def error_fields(path: str, message: str) -> Fields:
    """Fields of a recording that failed."""
    return {"path": path, _ERROR: message}


class LineFormatter:
    """Formats results of one kind, a line each.

    Parameters
    ----------
    output_format
        "text", "jsonl" or "csv".
    fields
        `CLIP_FIELDS` or `DETECTION_FIELDS`.
    paths, labels
        All that may come: the text columns are as wide as the longest.
    """

    def __init__(
        self, output_format: str, fields: Sequence[str], paths: Sequence[str] = (), labels: Sequence[str] = ()
    ) -> None:
        self._format = output_format
        self._fields = [*fields, _ERROR]
        self._path_width = max(map(len, paths), default=0)
        self._label_width = max(map(len, labels), default=0)

    def header(self) -> str | None:
        """Line to write before the first result, if the format has one."""
        return _csv_line(self._fields) if self._format == "csv" else None

    def line(self, fields: Fields) -> str | None:
        """Format one result; None for an error in text format, where errors are not results."""
        if self._format == "jsonl":
            return json.dumps(fields)
        if self._format == "csv":
            return _csv_line([fields.get(name, "") for name in self._fields])
        return None if _ERROR in fields else self._text_line(fields)

    def _text_line(self, fields: Fields) -> str:
        columns = [f"{printable(str(fields['path'])):<{self._path_width}}"]
        if "start_s" in fields:
            columns.append(format_time(float(fields["start_s"])))
        columns.append(f"{fields['label']:<{self._label_width}}")
        columns.append(f"{fields['score']:.2f}")
        return "   ".join(columns)


def format_time(time_s: float) -> str:
    """Minutes, seconds and hundredths, with hours where there are any: 0:03.42, 1:02:03.42."""
    hundredths = round(time_s * 100)
    minutes, rest = divmod(hundredths, 6_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 100:02d}.{rest % 100:02d}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def _csv_line(values: Sequence[str | float]) -> str:
    text = io.StringIO()
    # a cell with either letter of the line end is quoted; the end itself is the caller's
    csv.writer(text, lineterminator=_LINE_END).writerow(
        [_as_unicode(value) if isinstance(value, str) else value for value in values]
    )
    return text.getvalue().removesuffix(_LINE_END)


def _as_unicode(text: str) -> str:
    """The text exactly, but for bytes of a file's name that are no text: UTF-8 cannot hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
