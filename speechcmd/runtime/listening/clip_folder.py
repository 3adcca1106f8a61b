"""A folder of saved clips, bounded in size: the oldest make room for the newest."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from speechcmd.errors import SpeechcmdError
from speechcmd.files import remove_leftovers, write_bytes

_NAME = re.compile(r"(?P<stem>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}_.+_(hit|near_miss)(-\d+)?)\.(flac|json)")


@dataclass(slots=True)
class _Saved:
    """A clip in the folder: its files, their size in bytes and the time of the last one."""

    paths: list[Path]
    n_bytes: int = 0
    written_ns: int = 0


class ClipFolder:
    """Write pairs of a flac and a JSON file, and delete the oldest pairs beyond a limit.

    Once it is made it raises nothing for a folder that cannot be written any more: see `take_problems`.

    Parameters
    ----------
    folder
        Made if it does not exist. Files in it that are not named as ours are never touched.
    limit_bytes
        Most that all clips in the folder may take together, those of earlier runs included.
    largest_bytes
        Most that one clip can take.

    Raises
    ------
    SpeechcmdError
        If the folder cannot be written or the limit is too small for one clip.
    """

    def __init__(self, folder: Path, limit_bytes: int, largest_bytes: int) -> None:
        if limit_bytes < largest_bytes:
            raise SpeechcmdError(
                f"expected a limit for saved clips of at least {largest_bytes:,} bytes, which is one clip, "
                f"got {limit_bytes:,}; give more, such as 200MB"
            )
        _prepare_folder(folder)
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._n_bytes = sum(saved.n_bytes for saved in _clips_in(folder))
        self._problems: list[str] = []
        self._kinds_reported: set[str] = set()
        self.n_saved = 0
        self.n_failed = 0

    def write(self, stem: str, flac: bytes, about: bytes) -> None:
        """Write a clip under this name, or with a number behind it if there is one already."""
        try:
            self._n_bytes += _write_pair(self._folder, stem, flac, about)
        except OSError as error:
            self.fail(str(error.errno), f"a clip was not saved ({error.strerror})")
            return
        self.n_saved += 1
        if self._n_bytes > self._limit_bytes:
            self._delete_oldest()

    def fail(self, kind: str, problem: str) -> None:
        """Count a clip that was not saved."""
        self.n_failed += 1
        self._report(kind, problem)

    def take_problems(self) -> list[str]:
        """Return what went wrong since the last call, one line each, each kind once and for all."""
        problems, self._problems = self._problems, []
        return problems

    def _delete_oldest(self) -> None:
        """Bring the folder within the limit; of many clips a twentieth goes at once, to look rarely."""
        try:
            clips = _clips_in(self._folder)
        except OSError as error:
            self._report("look", f"old clips cannot be deleted ({error.strerror})")
            return
        self._n_bytes = sum(saved.n_bytes for saved in clips)
        if self._n_bytes <= self._limit_bytes:
            return  # another program deleted some
        n_least = len(clips) // 20
        for n_deleted, saved in enumerate(clips):
            if self._n_bytes <= self._limit_bytes and n_deleted >= n_least:
                break
            try:
                for path in saved.paths:
                    path.unlink(missing_ok=True)
            except OSError as error:  # another program holds it open
                self._report("delete", f"an old clip cannot be deleted ({error.strerror})")
            else:
                self._n_bytes -= saved.n_bytes

    def _report(self, kind: str, problem: str) -> None:
        if kind not in self._kinds_reported:
            self._kinds_reported.add(kind)
            self._problems.append(f"{self._folder}: {problem}")


def _prepare_folder(folder: Path) -> None:
    """Make the folder and try to write in it: better now than at the first word."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SpeechcmdError(
            f"{folder}: clips cannot be saved here ({error.strerror}); name a folder that can be written"
        ) from error


def _clips_in(folder: Path) -> list[_Saved]:
    """All clips in the folder, the oldest first; files that are not named as ours are passed over."""
    clips: dict[str, _Saved] = {}
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None or path.is_symlink() or not path.is_file():
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # another program deleted it just now
        saved = clips.setdefault(match["stem"], _Saved([]))
        saved.paths.append(path)
        saved.n_bytes += status.st_size
        saved.written_ns = max(saved.written_ns, status.st_mtime_ns)
    return [saved for _, saved in sorted(clips.items(), key=lambda item: (item[1].written_ns, item[0]))]


def _write_pair(folder: Path, stem: str, flac: bytes, about: bytes) -> int:
    """Write both files of a clip, whole or not at all, and return their size in bytes."""
    unique = _unique_stem(folder, stem)
    written: list[Path] = []
    try:
        for suffix, content in ((".flac", flac), (".json", about)):
            path = folder / f"{unique}{suffix}"
            written.append(path)
            write_bytes(path, content)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return len(flac) + len(about)


def _unique_stem(folder: Path, stem: str) -> str:
    unique, number = stem, 1
    while (folder / f"{unique}.flac").exists() or (folder / f"{unique}.json").exists():
        number += 1
        unique = f"{stem}-{number}"
    return unique
