"""Labels of a recording: which words are said where.

Two forms are read: our JSON, which `speechcmd make-stream` writes, and label tracks of Audacity, which
anybody can draw by hand. Both come back as an `Annotation`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechcmd.errors import EvaluationError, printable
from speechcmd.files import write_text
from speechcmd.json_toml import parse_json
from speechcmd.labels import normalise_label

SCHEMA = 1
SUFFIXES = (".json", ".txt")
Attribute = str | float | bool
_LARGEST = 1e9  # thirty years of seconds
_LARGEST_INTEGER = 2**63
_TIME_DIGITS = 6  # what Audacity itself writes
_LINE_FORM = "expected start, end and label with tabs between them, times in seconds"


@dataclass(frozen=True, slots=True)
class Word:
    """Something that is said, from `start_s` to `end_s`; equal times mark a point.

    `attributes` says how: a signal-to-noise ratio, a speaker, where it comes from.
    """

    label: str
    start_s: float
    end_s: float
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotation:
    """What is said in a recording.

    `words` are keywords, `others` what is said beside them: unknown words and running speech, in which no
    keyword is. Both are in the order of their times. `duration_s` is None where the labels do not say it.
    """

    words: tuple[Word, ...]
    others: tuple[Word, ...] = ()
    duration_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


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
        raise EvaluationError(f"{name}: expected labels as .json or .txt (a label track of Audacity)")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{name}: cannot read the labels: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{name}: the labels are not text in UTF-8; save them as UTF-8") from error
    return _parse_json(text, name) if suffix == ".json" else _parse_audacity(text, name)


def write_json(annotation: Annotation, path: Path) -> None:
    """Write all there is to know, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content = {
        "schema": SCHEMA,
        "duration_s": annotation.duration_s,
        "settings": dict(annotation.settings),
        "words": [_word_to_dict(word) for word in annotation.words],
        "others": [_word_to_dict(word) for word in annotation.others],
    }
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


def _word_to_dict(word: Word) -> dict[str, Any]:
    return {
        "label": word.label,
        "start_s": word.start_s,
        "end_s": word.end_s,
        "attributes": dict(word.attributes),
    }


def _parse_audacity(text: str, name: str) -> Annotation:
    words = []
    # not splitlines: a label may hold what Python, but not Audacity, takes for the end of a line
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("\\"):  # the second line of a label with frequencies
            continue
        where = f"{name}, line {number}"
        start, end, label, *_ = [*line.split("\t", 2), "", ""]
        words.append(_checked_word(label, _number(start, where), _number(end, where), {}, where))
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
        raise EvaluationError(f"{name}: cannot be understood as JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("words"), list):
        raise EvaluationError(f'{name}: expected an object with a list "words", as make-stream writes it')
    if content.get("schema", SCHEMA) != SCHEMA:
        raise EvaluationError(f"{name}: labels of schema {content['schema']}, this version reads {SCHEMA}")
    others, duration_s = content.get("others", []), content.get("duration_s")
    if not isinstance(others, list):
        raise EvaluationError(f'{name}: expected a list of words for "others"')
    if duration_s is not None and not (_is_number(duration_s) and duration_s >= 0):
        raise EvaluationError(f"{name}: expected seconds for duration_s, got {duration_s!r}")
    settings = content.get("settings")
    return Annotation(
        _in_order(_words_of(content["words"], f"{name}, words")),
        _in_order(_words_of(others, f"{name}, others")),
        duration_s,
        settings if isinstance(settings, dict) else {},
    )


def _words_of(entries: list[Any], name: str) -> list[Word]:
    words = []
    for number, entry in enumerate(entries, start=1):
        where = f"{name}, number {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise EvaluationError(f"{where}: expected an object with label, start_s and end_s")
        for key in ("start_s", "end_s"):
            if not _is_number(entry.get(key)):
                raise EvaluationError(f"{where}: expected seconds for {key}, got {entry.get(key)!r}")
        attributes = entry.get("attributes", {})
        if not isinstance(attributes, dict) or not all(map(_is_attribute, attributes.values())):
            raise EvaluationError(f"{where}: expected attributes that are text, numbers, true or false")
        words.append(_checked_word(entry["label"], entry["start_s"], entry["end_s"], attributes, where))
    return words


def _is_attribute(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < _LARGEST_INTEGER)


def _is_number(value: object) -> bool:
    """A number that arithmetic can take: JSON of Python's kind may hold nan, and integers of any length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _checked_word(
    label: str, start_s: float, end_s: float, attributes: Mapping[str, Attribute], where: str
) -> Word:
    if not (_is_number(start_s) and _is_number(end_s)):
        raise EvaluationError(f"{where}: expected times in seconds, got {start_s} and {end_s}")
    if start_s < 0:
        raise EvaluationError(f"{where}: begins at {start_s:g} s, before the recording does")
    if end_s < start_s:
        raise EvaluationError(f"{where}: ends at {end_s:g} s, before it begins at {start_s:g} s")
    if not label.strip():
        raise EvaluationError(f"{where}: expected a word, got a label without text")
    return Word(normalise_label(label), float(start_s), float(end_s), dict(attributes))


def _in_order(words: Iterable[Word]) -> tuple[Word, ...]:
    return tuple(sorted(words, key=lambda word: (word.start_s, word.end_s)))
