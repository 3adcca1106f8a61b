"""The recordings of a batch: files, folders, patterns and standard input."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speechcmd.audio.reading import AudioSource
from speechcmd.audio.stream_head import HEAD_BYTES, check_stream_head
from speechcmd.audio.suffixes import ALL_SUFFIXES
from speechcmd.audio.wav_stream import PcmFormat, PcmStream, open_wav_stream
from speechcmd.errors import AudioError

STANDARD_INPUT = "-"
_STANDARD_INPUT_NAME = "stdin"
_PATTERN_CHARACTERS = "*?["
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to work on, or the reason why there is none."""

    path: str
    problem: str | None = None
    name: str = ""
    """Path relative to the folder, or the fixed part of the pattern, that it was found by."""


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """Resolve folders (with all below them) and patterns; each recording comes once, in order of name.

    What cannot be found stays in the list with its problem, so that it is reported like a broken file.
    """
    found = [recording for path in paths for recording in _resolve(path)]
    return list({_place_of(recording.path): recording for recording in reversed(found)}.values())[::-1]


def may_be_several(paths: Sequence[str]) -> bool:
    """Whether paths may stand for several recordings, however many there are now."""
    return any(os.path.isdir(path) or _is_pattern(path) for path in paths)  # noqa: PTH112


@contextmanager
def open_recording(recording: Recording, raw: PcmFormat | None = None) -> Iterator[AudioSource]:
    """Give what the audio functions read: the path, or the samples of standard input as they come.

    What comes on standard input and is neither raw PCM (in the form `raw`) nor a plain wav is copied to
    where it can be searched.

    Raises
    ------
    AudioError
        If the recording has a problem, or standard input is closed.
    """
    if recording.problem is not None:
        raise AudioError(recording.problem, path=recording.path)
    if recording.path != STANDARD_INPUT:
        yield recording.path
        return
    if sys.stdin is None:
        raise AudioError("standard input is closed")
    file = sys.stdin.buffer
    stream = open_wav_stream(file) if raw is None else PcmStream(file, raw)
    if isinstance(stream, PcmStream):
        yield stream
        return
    stream += file.read(HEAD_BYTES - len(stream))
    check_stream_head(stream)
    with tempfile.TemporaryFile() as copy:  # on disk: a pipe may bring hours
        copy.write(stream)
        while piece := file.read(_COPY_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield copy


def _resolve(path: str) -> list[Recording]:
    if path == STANDARD_INPUT:
        return [Recording(path, name=_STANDARD_INPUT_NAME)]
    # os.path where a name may be too long or forbidden to look at: pathlib raises, and nothing would be done
    if os.path.isdir(path):  # noqa: PTH112
        files = sorted(
            file
            for file in Path(path).rglob("*")
            if file.suffix.lower() in ALL_SUFFIXES and not _is_hidden(file.relative_to(path))
        )
        problem = Recording(path, "no audio file in this folder")
        found = [str(file) for file in files if os.path.isfile(file)]  # noqa: PTH113
        return [Recording(file, name=os.path.relpath(file, path)) for file in found] or [problem]
    if _is_pattern(path):
        folder = _fixed_part(path)
        matches = _matches(folder, str(Path(path).relative_to(folder)))
        return [Recording(match, name=os.path.relpath(match, folder)) for match in matches] or [
            Recording(path, "no file matches this pattern")
        ]
    return [Recording(path, name=Path(path).name)]


def _place_of(path: str) -> str:
    """What two ways to one file have in common; a link to a file is a file of its own."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name) if name else path  # noqa: PTH118


def _matches(folder: Path, pattern: str) -> list[str]:
    """Files below a folder that match, hidden ones only where the pattern says so; `**` follows no links.

    The links of a folder may lead back to it, and two of those make more paths than anybody can walk.
    """
    wants_hidden = _is_hidden(Path(pattern))
    found = [match for match in folder.glob(pattern) if match.is_file()]
    return sorted(str(match) for match in found if wants_hidden or not _is_hidden(match.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_pattern(path: str) -> bool:
    """Whether a path is a pattern: it has characters of one, and is no name of something."""
    return any(character in path for character in _PATTERN_CHARACTERS) and not os.path.exists(path)  # noqa: PTH110


def _fixed_part(pattern: str) -> Path:
    """The folder below which all matches of a pattern lie."""
    folder = Path(pattern).parent
    while any(character in str(folder) for character in _PATTERN_CHARACTERS):
        folder = folder.parent
    return folder
