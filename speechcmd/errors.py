"""Every error that speechcmd raises on purpose.

    SpeechcmdError
    ├── UsageError      what was asked for does not fit together, or not what is there
    ├── AudioError      a recording cannot be read, or is not what it should be
    ├── CorpusError     a folder of clips cannot be used, or a download went wrong
    ├── StoreError      a store is missing, incomplete, damaged or lacks what is asked of it
    ├── ModelError      a model file cannot be used, or a network cannot be built
    ├── TrainingError   a training cannot start or go on
    ├── ExportError     an export failed its checks; nothing was written
    ├── DeviceError     a microphone is missing, refused or went away
    ├── EvaluationError what a model shall be measured on is missing, or not what it should be
    ├── RulesError      a file of rules for --exec cannot be used
    ├── BusyError       another process writes in the same folder
    └── DependencyError an optional package is missing

A message is one line: what was expected, what came, what to do. Its parts are attributes of the error, so
nobody has to take the message apart.
"""

from __future__ import annotations

import os
import re
from copy import copy
from pathlib import Path
from typing import Self

STREAM = "<stream>"
"""The path, in messages, of what was read from no file."""


class SpeechcmdError(Exception):
    """Root of all errors that a caller may want to catch; the command line prints it and exits 1.

    The message is `path: reason; advice`. An error can be sent to another process.

    Parameters
    ----------
    reason
        What was expected, and what came.
    path
        The file or folder that it is about.
    advice
        What to do.

    Examples
    --------
    >>> str(SpeechcmdError("the file is empty", path="yes.wav", advice="record it again"))
    'yes.wav: the file is empty; record it again'
    """

    def __init__(self, reason: str, *, path: str | os.PathLike[str] | None = None, advice: str = "") -> None:
        self.reason = reason
        self.path = path
        self.advice = advice
        self._where = "" if path is None else f"{printable(os.fspath(path))}: "
        super().__init__(f"{self._where}{self.without_path}")

    @property
    def without_path(self) -> str:
        """The message for whoever shows the path elsewhere."""
        return f"{self.reason}; {self.advice}" if self.advice else self.reason

    @property
    def without_advice(self) -> str:
        """The message for whoever shows the advice elsewhere."""
        return f"{self._where}{self.reason}"

    def at(self, path: str | os.PathLike[str]) -> Self:
        """The same error about a path, unless it names one itself: for whoever knows what was being read."""
        same = copy(self)
        if same.path in (None, STREAM):
            SpeechcmdError.__init__(same, self.reason, path=path, advice=self.advice)
        return same


class UsageError(SpeechcmdError):
    """What was asked for does not fit together, or not what is there; the command line exits 2."""


class AudioError(SpeechcmdError):
    """A recording cannot be read, or is not what it should be."""


class AudioWarning(UserWarning):
    """Something about a recording that does not hinder, and that its owner should know."""


class CorpusError(SpeechcmdError):
    """A folder of clips cannot be used, or a download went wrong."""


class StoreError(SpeechcmdError):
    """A store is missing, incomplete, damaged or lacks what is asked of it."""


class ModelError(SpeechcmdError):
    """A model file cannot be used, or a network cannot be built."""


class TrainingError(SpeechcmdError):
    """A training cannot start or go on."""


class ExportError(SpeechcmdError):
    """An export failed its checks; nothing was written."""


class DeviceError(SpeechcmdError):
    """A microphone is missing, refused or went away."""

    def __init__(self, reason: str, *, advice: str = "", is_busy: bool = False) -> None:
        super().__init__(reason, advice=advice)
        self.is_busy = is_busy
        """The device is there, but another program holds it: worth trying again later."""


class EvaluationError(SpeechcmdError):
    """What a model shall be measured on is missing, or not what it should be."""


class RulesError(SpeechcmdError):
    """A file of rules for --exec cannot be used."""


class BusyError(SpeechcmdError):
    """Another process writes in the same folder."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{holder} writes there", path=path, advice="wait until it has ended, or choose another name"
        )
        self.holder = holder
        """Which process it is, in words."""

    def __reduce__(self) -> tuple[type[BusyError], tuple[Path, str]]:
        return type(self), (Path(self.path or ""), self.holder)  # it may come from another process


class DependencyError(SpeechcmdError):
    """An optional package is missing; the message holds the pip line that brings it."""


JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Letters without width that say how their neighbours are written: part of the spelling of words."""

# what a terminal acts on or orders text by: control characters, line ends of Unicode, directions of writing;
# and half characters, which stand for bytes of a name that are no text
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def make_visible(text: str) -> str:
    r"""Write what a terminal would act on as \x1b and the like; ends of lines and tabs stay.

    >>> make_visible("\x1b[31mred")
    '\\x1b[31mred'
    """
    return _OBEYED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a name that is no text
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def printable(text: str, instead: str = "\ufffd") -> str:
    """Replace line ends, control characters and bytes that are no text: a message is one line.

    Names of files, devices and labels may hold what a terminal obeys.
    """
    return "".join(character if is_printable(character) else instead for character in text)


def is_printable(text: str) -> bool:
    """Whether a text is one line that no terminal obeys; Persian and Indic words may hold joiners.

    >>> is_printable("\u0645\u06cc\u200c\u0631\u0648\u0645"), is_printable("a\\x1b")
    (True, False)
    """
    return text.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()
