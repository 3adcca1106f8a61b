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
import math
import shutil
import string
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechcmd.errors import JOINERS, RulesError
from speechcmd.json_toml import parse_toml
from speechcmd.labels import normalise_label

PLACEHOLDERS = ("label", "score", "start_s", "end_s", "decided_s")

_KEYS = ("label", "command", "min_score", "cooldown_s", "any_label")
_ALL = "*"
_EXAMPLE = 'label = "yes" and command = ["notify-send", "{label}"]'
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


class _WrongError(Exception):
    """What is wrong with a rule, without the place."""


def load_rules(path: Path, words: Collection[str]) -> tuple[Rule, ...]:
    """Read a file of rules for a model that hears `words`.

    Raises
    ------
    RulesError
        If the file cannot be read, or at the first mistake in it, with the rule, the key and what was
        expected.
    """
    content = _read_toml(path)
    try:
        _check_keys(content, ("rule",))
        tables = content.get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise _WrongError("each rule begins with [[rule]], in double brackets")
        if not tables:
            raise _WrongError(f"expected at least one [[rule]] with {_EXAMPLE}, found none")
    except _WrongError as error:
        raise RulesError(f"{path}: {error}") from None
    return tuple(_load_rule(path, f"rule {i}", table, words) for i, table in enumerate(tables, start=1))


def fill_in(argument: str, values: dict[str, str]) -> str:
    """Replace the placeholders of one argument, once: what they bring in is not looked at again."""
    return "".join(
        literal + (values[field] if field is not None else "")
        for literal, field, _, _ in string.Formatter().parse(argument)
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_bytes())
    except OSError as error:
        raise RulesError(f"{path}: the rules cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RulesError(f"{path}: the rules are not TOML: {error}") from None


def _load_rule(path: Path, name: str, table: dict[str, Any], words: Collection[str]) -> Rule:
    key = ""
    try:
        _check_keys(table, _KEYS)
        key = ", label"
        labels = _read_labels(_required(table, "label"), words)
        key = ", command"
        command = _read_command(_required(table, "command"))
        key = ", any_label"
        any_label = _read_flag(table.get("any_label", False))
        key = ", command"
        _check_labels_stay_arguments(command[1:], labels, any_label)
        key = ", min_score"
        min_score = _read_number(table.get("min_score", 0.0), largest=1.0)
        key = ", cooldown_s"
        cooldown_s = _read_number(table.get("cooldown_s", 0.0))
    except _WrongError as error:
        raise RulesError(f"{path}: {name}{key}: {error}") from None
    return Rule(name, labels, command, min_score, cooldown_s)


def _check_keys(table: dict[str, Any], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            raise _WrongError(f"unknown key {_shown(key)}; {_nearest(key, known)}")


def _required(table: dict[str, Any], key: str) -> Any:
    if key not in table:
        raise _WrongError(f"is missing; a rule needs {_EXAMPLE}")
    return table[key]


def _read_labels(value: Any, words: Collection[str]) -> frozenset[str]:
    labels = [value] if isinstance(value, str) else value
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise _WrongError(f'expected a word, a list of words or "*" for all, got {_shown(value)}')
    labels = [normalise_label(label) for label in labels]
    if _ALL in labels:
        return frozenset(words)
    for label in labels:
        if label not in words:
            raise _WrongError(f"{_shown(label)} is not a word of this model; {_nearest(label, words)}")
    return frozenset(labels)


def _read_command(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise _WrongError(
            f"expected a list of arguments, got the text {_shown(value)}; "
            'no shell reads it, so write each argument by itself: ["notify-send", "{label}"]'
        )
    if not isinstance(value, list) or not all(isinstance(argument, str) for argument in value):
        raise _WrongError(
            f'expected a list of arguments such as ["notify-send", "{{label}}"], got {_shown(value)}'
        )
    if not value or not value[0]:
        raise _WrongError("expected a program and its arguments, got no program")
    for argument in value:
        _check_argument(argument)
    return (_find_program(value[0]), *value[1:])


def _check_argument(argument: str) -> None:
    if "\0" in argument:
        raise _WrongError(f"{_shown(argument)} holds a zero character, which no argument can")
    try:
        parts = list(string.Formatter().parse(argument))
    except ValueError:
        raise _WrongError(
            f"{_shown(argument)} holds a single brace; write {{{{ or }}}} for a brace"
        ) from None
    for _, field, form, conversion in parts:
        if field is None:
            continue
        if field not in PLACEHOLDERS or form or conversion:
            raise _WrongError(
                f"unknown placeholder in {_shown(argument)}; known are "
                + " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                + ", and {{ or }} is a brace"
            )


def _find_program(template: str) -> str:
    if any(field is not None for _, field, _, _ in string.Formatter().parse(template)):
        raise _WrongError(f"the program {_shown(template)} cannot hold a placeholder; name one program")
    program = fill_in(template, {})
    found = shutil.which(program)
    if found is None:
        raise _WrongError(f"no program {_shown(program)} is found; install it or give its full path")
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
            raise _WrongError(
                f"the word {_shown(label)} would be read as an option; put text before {{label}}"
            )
        if not any_label and not is_plain(label):
            raise _WrongError(
                f"the word {_shown(label)} holds more than letters, digits, spaces, - _ and ', which some "
                "programs run; use the variable SPEECHCMD_LABEL, or any_label = true if it does not"
            )


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"expected true or false, got {_shown(value)}")
    return value


def _read_number(value: Any, largest: float = math.inf) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= largest:
        expected = "a number of at least 0" if math.isinf(largest) else f"a number from 0 to {largest:g}"
        raise _WrongError(f"expected {expected}, got {_shown(value)}")
    return float(value)


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
