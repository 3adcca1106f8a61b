"""Commands that run when a word is heard: a file of rules, read strictly.

    [[rule]]
    label = "yes"            # or a list of labels, or "*" for all
    command = ["notify-send", "speechcmd", "{label} {score}"]
    min_score = 0.8          # optional
    cooldown_s = 2.0         # optional
    any_label = true         # optional: labels that are not plain may be arguments

A command is a list of arguments and never goes through a shell, so nothing in a label can split an
argument or begin another command. But the program may run what stands in an argument (`sh -c`, `env sh -c`,
`awk`, `python3 -c`, `xargs`), and which programs do cannot be listed. So a label enters an argument only if
it is plain: letters, digits and marks of any script, `_`, spaces, `-` within a word, one apostrophe.
"""

from __future__ import annotations

import difflib
import shutil
import string
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from speechcmd.errors import JOINERS, RulesError
from speechcmd.json_toml import parse_toml
from speechcmd.labels import normalise_label
from speechcmd.typed import as_type

PLACEHOLDERS = ("label", "score", "start_s", "end_s", "decided_s")

_ALL = "*"
_LONGEST_SHOWN = 40
_APOSTROPHES = frozenset("'\N{RIGHT SINGLE QUOTATION MARK}")
_PLAIN = frozenset(f" _-{JOINERS}") | _APOSTROPHES  # besides letters, digits and marks


@dataclass(frozen=True, slots=True)
class Rule:
    """What to run when one of its labels is heard."""

    name: str
    """As messages call it: "rule 1"."""
    labels: frozenset[str]
    command: tuple[str, ...]
    """Full path of the program, then its arguments with their placeholders."""
    min_score: float = 0.0
    cooldown_s: float = 0.0
    """Least distance between the detections of two runs."""


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A [[rule]] as the file holds it."""

    label: Annotated[
        str | Annotated[list[str], Meta(min_length=1)],
        Meta(description='a word, a list of words or "*" for all'),
    ]
    command: Annotated[
        list[str],
        Meta(
            min_length=1,
            description='a program and its arguments, each by itself, such as ["notify-send", "{label}"]',
        ),
    ]
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0
    cooldown_s: Annotated[float, Meta(ge=0, le=1e9, description="a number of at least 0")] = 0.0
    any_label: bool = False


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    rule: Annotated[
        list[dict[str, Any]],
        Meta(min_length=1, description="[[rule]], in double brackets, with a label and a command"),
    ]


def load_rules(path: Path, words: Collection[str]) -> tuple[Rule, ...]:
    """Read a file of rules for a model that hears `words`.

    Raises
    ------
    RulesError
        If the file cannot be read, or at the first mistake in it, with the rule, the key and what was
        expected.
    """
    try:
        content = parse_toml(path.read_bytes())
    except OSError as error:
        raise RulesError(f"the rules cannot be read ({error.strerror})", path=path) from error
    except ValueError as error:
        raise RulesError(f"the rules are not TOML: {error}", path=path) from None
    where = ""
    rules = []
    try:
        for number, table in enumerate(as_type(content, _File).rule, start=1):
            where = f"rule {number}, "
            rules.append(_rule_of(f"rule {number}", as_type(table, _Entry), words))
    except ValueError as error:
        raise RulesError(f"{where}{error}", path=path) from None
    return tuple(rules)


def fill_in(argument: str, values: dict[str, str]) -> str:
    """Replace the placeholders of one argument, once: what they bring in is not looked at again."""
    return "".join(
        literal + (values[field] if field is not None else "")
        for literal, field, _, _ in string.Formatter().parse(argument)
    )


def _rule_of(name: str, entry: _Entry, words: Collection[str]) -> Rule:
    labels = _labels_of(entry, words)
    for argument in entry.command:
        _check_argument(argument)
    _check_labels_stay_arguments(entry.command[1:], labels, entry.any_label)
    command = (_find_program(entry.command[0]), *entry.command[1:])
    return Rule(name, labels, command, entry.min_score, entry.cooldown_s)


def _labels_of(entry: _Entry, words: Collection[str]) -> frozenset[str]:
    named = [entry.label] if isinstance(entry.label, str) else entry.label
    labels = frozenset(map(normalise_label, named))
    if _ALL in labels:
        return frozenset(words)
    for label in sorted(labels.difference(words)):
        raise ValueError(f"label: {_shown(label)} is not a word of this model; {_nearest(label, words)}")
    return labels


def _check_argument(argument: str) -> None:
    if "\0" in argument:
        raise ValueError(f"command: {_shown(argument)} holds a zero character, which no argument can")
    try:
        parts = list(string.Formatter().parse(argument))
    except ValueError:
        raise ValueError(
            f"command: {_shown(argument)} holds a single brace; write {{{{ or }}}} for a brace"
        ) from None
    for _, field, form, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or form or conversion):
            raise ValueError(
                f"command: unknown placeholder in {_shown(argument)}; known are "
                + " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                + ", and {{ or }} is a brace"
            )


def _find_program(template: str) -> str:
    if any(field is not None for _, field, _, _ in string.Formatter().parse(template)):
        raise ValueError(
            f"command: the program {_shown(template)} cannot hold a placeholder; name one program"
        )
    program = fill_in(template, {})
    found = shutil.which(program)
    if found is None:
        raise ValueError(f"command: no program {_shown(program)} is found; install it or give its full path")
    return found


def is_plain(label: str) -> bool:
    """Whether no program reads a label as more than words: letters, digits, marks, `_`, `-`, one apostrophe.

    >>> [is_plain(label) for label in ("yes", "can't", "lamp on", "yes$(reboot)", "-rf", "a'b c'd")]
    [True, True, True, False, False, False]
    """
    has_option = any(word.startswith("-") for word in label.split())
    has_quoted_text = label.count("'") > 1
    if has_option or has_quoted_text:
        return False
    inside = all(letter in _PLAIN or unicodedata.category(letter)[0] in "LMN" for letter in label)
    return inside and label[:1] not in _APOSTROPHES and label[-1:] not in _APOSTROPHES


def _check_labels_stay_arguments(arguments: Sequence[str], labels: Collection[str], any_label: bool) -> None:
    """Words come from a model file: none may become an option, or text that a program runs."""
    parsed = [list(string.Formatter().parse(argument)) for argument in arguments]
    holding = [parts for parts in parsed if any(field == "label" for _, field, _, _ in parts)]
    for label in sorted(labels) if holding else ():
        if label.startswith("-") and any(parts[0][:2] == ("", "label") for parts in holding):
            raise ValueError(
                f"command: the word {_shown(label)} would be read as an option; put text before {{label}}"
            )
        if not any_label and not is_plain(label):
            raise ValueError(
                f"command: the word {_shown(label)} holds more than letters, digits, spaces, - _ and ', "
                "which some programs run; use the variable SPEECHCMD_LABEL, "
                "or any_label = true if it does not"
            )


def _nearest(name: str, known: Collection[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
