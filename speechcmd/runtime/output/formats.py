"""Detections of one recording as text: lines that are written at once, or a file written at its end."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from speechcmd.runtime.output.lines import LineFormatter, detection_fields, error_fields
from speechcmd.runtime.recognition.decoder import Detection

# what a result file's name gets appended: the suffixes by which other programs know the formats
SUFFIXES = {
    "text": ".txt",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "srt": ".srt",
    "vtt": ".vtt",
    "textgrid": ".TextGrid",
    "audacity": ".labels.txt",
}
_LEAST_MS = 1  # a cue or an interval must last
_LEAST_S = _LEAST_MS / 1000
_TIER = "words"


class LineWriter:
    """A line for each word, as soon as it is decided."""

    def __init__(self, lines: LineFormatter, path: str) -> None:
        self._lines = lines
        self._path = path

    def feed(self, detection: Detection) -> str:
        return as_text(self._lines.line(detection_fields(self._path, detection)))

    def finish(self, duration_s: float) -> str:
        return ""

    def fail(self, message: str) -> str:
        return as_text(self._lines.line(error_fields(self._path, message)))


class WholeFileWriter:
    """All words at the end of the recording: for formats that know one recording only."""

    def __init__(self, output_format: str) -> None:
        self._format = WHOLE_FILE_FORMATS[output_format]
        self._detections: list[Detection] = []

    def feed(self, detection: Detection) -> str:
        self._detections.append(detection)
        return ""

    def finish(self, duration_s: float) -> str:
        return self._format(sorted(self._detections, key=lambda word: word.start_s), duration_s)

    def fail(self, message: str) -> str:
        return ""


def as_text(line: str | None) -> str:
    """A line with its end; nothing for None."""
    return "" if line is None else f"{line}\n"


def make_srt(detections: Sequence[Detection], duration_s: float) -> str:
    """SubRip subtitles: a cue for each word."""
    return _make_subtitles(detections, "srt", str)


def make_vtt(detections: Sequence[Detection], duration_s: float) -> str:
    """WebVTT subtitles: a cue for each word."""
    return _make_subtitles(detections, "vtt", lambda label: html.escape(label, quote=False))


def make_audacity_labels(detections: Sequence[Detection], duration_s: float) -> str:
    """A label track of Audacity: start, end and label of each word with tabs between, in seconds."""
    return "".join(f"{word.start_s:.6f}\t{word.end_s:.6f}\t{word.label}\n" for word in detections)


def make_textgrid(detections: Sequence[Detection], duration_s: float) -> str:
    """A TextGrid of Praat with one interval tier, "words", as long as the recording."""
    from praatio.data_classes.interval_tier import IntervalTier
    from praatio.data_classes.textgrid import Textgrid
    from praatio.utilities.constants import Interval

    intervals = separate_intervals(detections)
    end_s = max([duration_s, _LEAST_S, *(end_s for _, end_s, _ in intervals)])
    grid = Textgrid(0.0, end_s)
    grid.addTier(IntervalTier(_TIER, [Interval(*interval) for interval in intervals], 0.0, end_s))
    with tempfile.TemporaryDirectory() as folder:  # praatio writes files only
        path = Path(folder) / "words.TextGrid"
        grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)
        return path.read_text(encoding="utf-8")


def separate_intervals(detections: Sequence[Detection]) -> list[tuple[float, float, str]]:
    """Start, end and label of each word, such that none overlaps another and each lasts at least 1 ms.

    A word ends where the next begins; of two that begin together the later in the list begins 1 ms later.
    """
    intervals: list[tuple[int, int, str]] = []
    for word in detections:
        start, end = round(word.start_s * 1000), round(word.end_s * 1000)
        if intervals:
            before, before_end, label = intervals[-1]
            start = max(start, before + _LEAST_MS)
            intervals[-1] = (before, min(before_end, start), label)
        intervals.append((start, max(end, start + _LEAST_MS), word.label))
    return [(start / 1000, end / 1000, label) for start, end, label in intervals]


WHOLE_FILE_FORMATS: dict[str, Callable[[Sequence[Detection], float], str]] = {
    "srt": make_srt,
    "vtt": make_vtt,
    "textgrid": make_textgrid,
    "audacity": make_audacity_labels,
}


def _make_subtitles(
    detections: Sequence[Detection], output_format: str, to_text: Callable[[str], str]
) -> str:
    import pysubs2

    cues = pysubs2.SSAFile()
    for word in detections:
        start, end = round(word.start_s * 1000), round(word.end_s * 1000)
        cues.append(pysubs2.SSAEvent(max(start, 0), max(end, start + _LEAST_MS), to_text(word.label)))
    # labels are plain text: nothing in them is markup of another subtitle format
    return cues.to_string(output_format, keep_ssa_tags=True, apply_styles=False)
