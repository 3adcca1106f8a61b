"""The recordings that a command line names: files, folders, patterns and standard input."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from speechcmd.errors import AudioError

if TYPE_CHECKING:
    from speechcmd.audio import AudioSource

STANDARD_INPUT = "-"
_MORE_SUFFIXES = {".aif", ".aifc", ".oga", ".opus", ".mp2", ".sph", ".snd"}
# formats of soundfile whose names are suffixes of other things (HTK features, MATLAB files, anything at all)
_NOT_IN_FOLDERS = {".raw", ".mat4", ".mat5", ".htk", ".wavex"}
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to work on, or the reason why there is none."""

    path: str
    problem: str | None = None


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """Resolve folders (with all below them) and patterns; each recording comes once, in order of name.

    What cannot be found stays in the list with its problem, so that it is reported like a broken file.
    """
    found = [recording for path in paths for recording in _resolve(path)]
    return list({recording.path: recording for recording in found}.values())


@contextmanager
def open_recording(recording: Recording) -> Iterator[AudioSource]:
    """Give what the audio functions read: the path, or standard input copied where it can be searched.

    Raises
    ------
    AudioError
        If the recording has a problem.
    """
    if recording.problem is not None:
        raise AudioError(recording.problem)
    if recording.path != STANDARD_INPUT:
        yield recording.path
        return
    with tempfile.TemporaryFile() as copy:  # on disk: a pipe may bring hours
        source = sys.stdin.buffer
        while piece := source.read(_COPY_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield copy


def _resolve(path: str) -> list[Recording]:
    if path == STANDARD_INPUT:
        return [Recording(path)]
    if Path(path).is_dir():
        suffixes = _audio_suffixes()
        files = sorted(
            file
            for file in Path(path).rglob("*")
            if file.suffix.lower() in suffixes and not file.name.startswith(".")
        )
        problem = Recording(path, f"{path}: no audio file in this folder")
        return [Recording(str(file)) for file in files if file.is_file()] or [problem]
    if not Path(path).exists() and any(character in path for character in "*?["):
        # pathlib has no pattern that may be absolute
        found = sorted(glob(path, recursive=True))  # noqa: PTH207
        matches = [match for match in found if Path(match).is_file()]
        return [Recording(match) for match in matches] or [
            Recording(path, f"{path}: no file matches this pattern")
        ]
    return [Recording(path)]


def _audio_suffixes() -> set[str]:
    import soundfile

    from speechcmd.audio import NEEDS_FFMPEG

    known = {f".{name.lower()}" for name in soundfile.available_formats()}
    # what needs converting first is reported, not passed over
    return (known | _MORE_SUFFIXES | NEEDS_FFMPEG) - _NOT_IN_FOLDERS
