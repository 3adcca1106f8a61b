"""What labels are called: the two that are no words, the official words, and lists as people write them.

A label is compared in one form only, composed Unicode (NFC): macOS takes names of folders apart (an e and
its accent), and what is typed is composed. Whatever brings a label in from outside puts it through
`normalise_label`.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable

SILENCE = "_silence_"
UNKNOWN = "_unknown_"
NEVER_FIRE = frozenset({SILENCE, UNKNOWN})

TEN_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""Of the official 12-class task (Warden 2018)."""
ALL_WORDS = (
    *TEN_WORDS, "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "backward", "bed", "bird", "cat", "dog", "follow", "forward", "happy", "house", "learn", "marvin",
    "sheila", "tree", "visual", "wow",
)  # fmt: skip
"""All 35 words of Speech Commands v0.02."""

_END = "end"


def normalise_text(text: str) -> str:
    """The one form in which names are compared: composed Unicode (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def normalise_label(text: str) -> str:
    """The one form of a label: composed Unicode, without spaces at its ends.

    >>> normalise_label(" cafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return normalise_text(text).strip()


def split_fields(text: str) -> list[str]:
    """The parts of a list with commas between them, as in CSV: one in double quotes may hold commas.

    >>> split_fields('yes, "lamp, off"=0.7')
    ['yes', 'lamp, off=0.7']

    Raises
    ------
    ValueError
        If a quote is not closed, or the text has more than one line.
    """
    try:
        # a field more: a quote that is not closed swallows it
        (fields,) = csv.reader([f"{text},{_END}"], skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise ValueError("expected one line") from error
    if fields[-1] != _END:
        raise ValueError("a double quote is not closed")
    return [normalise_label(field) for field in fields[:-1]]


def split_labels(texts: str | Iterable[str]) -> tuple[str, ...]:
    """The labels of one list, or of several together: `yes,no`; a label with a comma stands in double quotes.

    Raises
    ------
    ValueError
        As `split_fields`.
    """
    lists = [texts] if isinstance(texts, str) else texts
    return tuple(label for text in lists for label in split_fields(text) if label)


def join_labels(labels: Iterable[str]) -> str:
    """A list of labels that `split_labels` reads back, for messages that show what to type.

    >>> join_labels(["yes", "lamp, off"])
    'yes,"lamp, off"'
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(labels)
    return line.getvalue()


def name_labels(labels: Iterable[str]) -> str:
    """The same for messages that name labels, with spaces between them.

    >>> name_labels(["yes", "lamp, off"])
    'yes, "lamp, off"'
    """
    return ", ".join(join_labels([label]) for label in labels)
