"""Labels of a recording: which words are said where.

Two forms are read: our JSON, which `speechcmd make-stream` writes, and label tracks of Audacity, which
anybody can draw by hand. Both come back as an `Annotation`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from speechcmd.errors import EvaluationError, printable
from speechcmd.files import write_text
from speechcmd.json_toml import parse_json
from speechcmd.labels import normalise_label
from speechcmd.typed import as_plain, as_type

SCHEMA = 1
SUFFIXES = (".json", ".txt")
_LARGEST, _MOST = sys.float_info.max, 2**53
Attribute = (
    str | bool | Annotated[int, Meta(ge=-_MOST, le=_MOST)] | Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
)
Seconds = Annotated[float, Meta(ge=0, le=1e9)]  # to thirty years
_TIME_DIGITS = 6  # what Audacity itself writes
_LINE_FORM = "expected start, end and label with tabs between them, times in seconds"


@dataclass(frozen=True, slots=True)
class Word:
    """Something that is said, from `start_s` to `end_s`; equal times mark a point."""

    label: str
    start_s: Seconds
    end_s: Seconds
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """How it is said: a signal-to-noise ratio, a speaker, where it comes from."""


@dataclass(frozen=True)
class Annotation:
    """What is said in a recording."""

    words: tuple[Word, ...]
    """Keywords, in the order of their times."""
    others: tuple[Word, ...] = ()
    """What is said beside them: unknown words and running speech, in which no keyword is."""
    duration_s: Seconds | None = None
    """None where the labels do not say it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of make-stream."""


@dataclass(frozen=True)
class _LabelFile(Annotation):
    """As our JSON holds it."""

    schema: Literal[1] = 1


def read_annotation(path: Path) -> Annotation:
    """Read labels: our .json, or a label track of Audacity as .txt.

    Raises
    ------
    EvaluationError
        If the file cannot be read, has another suffix, or something in it cannot be a label; the line
        or the number of the word is named.
    """
    name, suffix = printable(str(path)), path.suffix.lower()
    if suffix not in SUFFIXES:
        raise EvaluationError("expected labels as .json or .txt (a label track of Audacity)", path=name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"cannot read the labels: {error.strerror}", path=name) from error
    except UnicodeDecodeError as error:
        raise EvaluationError(
            "the labels are not text in UTF-8", path=name, advice="save them as UTF-8"
        ) from error
    return _parse_json(text, name) if suffix == ".json" else _parse_audacity(text, name)


def write_json(annotation: Annotation, path: Path) -> None:
    """Write all there is to know, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content = {"schema": SCHEMA, **as_plain(annotation)}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_audacity(words: Iterable[Word], path: Path) -> None:
    """Write words as a label track of Audacity, whole or not at all; a tab in a label becomes a space.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    lines = [
        f"{word.start_s:.{_TIME_DIGITS}f}\t{word.end_s:.{_TIME_DIGITS}f}\t{printable(word.label, ' ')}\n"
        for word in words
    ]
    write_text(path, "".join(lines))


def _parse_audacity(text: str, name: str) -> Annotation:
    words = []
    # not splitlines: a label may hold what Python, but not Audacity, takes for the end of a line
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("\\"):  # the second line of a label with frequencies
            continue
        where = f"{name}, line {number}"
        start, end, label, *_ = [*line.split("\t", 2), "", ""]
        words.append(_checked(Word(label, _number(start, where), _number(end, where)), where))
    return Annotation(_in_order(words))


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise EvaluationError(f"{where}: {_LINE_FORM}; got {printable(text)!r} for a time") from error


def _parse_json(text: str, name: str) -> Annotation:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise EvaluationError(f"cannot be understood as JSON: {error}", path=name) from error
    try:
        found = as_type(content, _LabelFile)
    except ValueError as error:
        raise EvaluationError(
            f"{error}", path=name, advice="are these labels as make-stream writes them?"
        ) from None
    words, others = (
        _in_order(_checked(word, f"{name}, {part}[{number}]") for number, word in enumerate(said))
        for part, said in (("words", found.words), ("others", found.others))
    )
    return Annotation(words, others, found.duration_s, found.settings)


def _checked(word: Word, where: str) -> Word:
    """The word with its label as labels are spelled."""
    if not (math.isfinite(word.start_s) and math.isfinite(word.end_s)):
        raise EvaluationError(f"{where}: expected times in seconds, got {word.start_s} and {word.end_s}")
    if word.start_s < 0:
        raise EvaluationError(f"{where}: begins at {word.start_s:g} s, before the recording does")
    if word.end_s < word.start_s:
        raise EvaluationError(f"{where}: ends at {word.end_s:g} s, before it begins at {word.start_s:g} s")
    if not word.label.strip():
        raise EvaluationError(f"{where}: expected a word, got a label without text")
    return replace(word, label=normalise_label(word.label))


def _in_order(words: Iterable[Word]) -> tuple[Word, ...]:
    return tuple(sorted(words, key=lambda word: (word.start_s, word.end_s)))
