"""The official 12-class task: its words, its counts, and the archive of its test clips."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from data_prep.speaker import OFFICIAL_MARK, speaker_of
from data_prep.task import digest_of_names
from speechcmd.audio.reading import read_int16
from speechcmd.audio.samples import Waveform, int16_to_float32
from speechcmd.audio.suffixes import READABLE
from speechcmd.errors import AudioError, EvaluationError, printable
from speechcmd.evaluation.clips.labelled_clip import ClipSet, Draw, LabelledClip, check_regular
from speechcmd.labels import NEVER_FIRE, SILENCE, TEN_WORDS, UNKNOWN, name_labels, normalise_label

# of the complete v0.02: split -> clips of all words, clips of the 12-class task (Warden 2018; the lists)
OFFICIAL_COUNTS = {"training": (84_843, 36_923), "validation": (9_981, 4_445), "testing": (11_005, 4_890)}
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")

_MOST_MEMBERS = 200_000
_LARGEST_CLIP_BYTES = 4 * 2**20  # two minutes; a clip of the archive has 32 kB
_LARGEST_ARCHIVE_BYTES = 2**30
_LARGEST_HEADER_BYTES = 2**16  # of one member; that of a clip has 512
_BLOCK_BYTES = 2**20
_GZIP = b"\x1f\x8b"


def check_official_count(name: str, split: str, labels: Sequence[str], *, n_words: int, n_drawn: int) -> None:
    """Hold the 12-class task of a complete v0.02 to the published counts.

    Raises
    ------
    EvaluationError
        If the split has all its clips of words, and the task other than 36,923 / 4,445 / 4,890.
    """
    n_complete, n_expected = OFFICIAL_COUNTS[split]
    is_official = set(labels) == {*TEN_WORDS, UNKNOWN, SILENCE}
    if is_official and n_words == n_complete and n_drawn != n_expected:
        raise EvaluationError(
            f"expected {n_expected:,} clips of the 12-class task in the complete split {split}, "
            f"got {n_drawn:,}",
            path=name,
            advice="are its words and its background noise those of v0.02?",
        )


def is_official_archive(source: Path) -> bool:
    """Whether a path is the 12-class test archive: a tar file, or the folder it was extracted to."""
    if source.is_file():
        return source.name.lower().endswith(ARCHIVE_SUFFIXES)
    folders = [path.name for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if not NEVER_FIRE & set(folders) or not set(folders) <= {*TEN_WORDS, *NEVER_FIRE}:
        return False
    # folders of one's own may be called so too; their clips have no names of Speech Commands
    return all(OFFICIAL_MARK in path.name for path in (source / UNKNOWN).glob("*.wav"))


def open_official_archive(source: Path, task: str, labels: Sequence[str]) -> ClipSet:
    """All clips of the official 12-class test archive, extracted or not.

    Raises
    ------
    EvaluationError
        If it is no such archive, holds links or absurdly large files, or one clip twice.
    """
    members = _read_folder(source) if source.is_dir() else _read_tar(source)
    clips = [clip for member in members if (clip := _clip_of(*member, labels)) is not None]
    clips.sort(key=lambda clip: clip.path)
    _check_distinct(source, clips)
    if not any(clip.label not in (UNKNOWN, SILENCE) for clip in clips):
        raise EvaluationError(
            f"expected folders {name_labels(labels)} with clips in them, found no clip of a word", path=source
        )
    counts = Counter(clip.label for clip in clips)
    _, n_official = OFFICIAL_COUNTS["testing"]
    found = "complete" if len(clips) == n_official else f"{len(clips):,} of {n_official:,}"
    draw = Draw(
        f"all clips of the official test archive ({found})",
        None,
        counts[UNKNOWN],
        counts[SILENCE],
        digest_of_names(clip.path for clip in clips),
    )
    return ClipSet(str(source), task, "", tuple(labels), tuple(clips), draw)


def _check_distinct(source: Path, clips: Sequence[LabelledClip]) -> None:
    path, n_times = next(iter(Counter(clip.path for clip in clips).most_common(1)), ("", 0))
    if n_times > 1:
        raise EvaluationError(
            f"expected each clip once, found {printable(path)} {n_times} times",
            path=source,
            advice="is this the official test archive?",
        )


def parse_unknown_name(file: str) -> tuple[str, str]:
    """Word and speaker of a clip of `_unknown_`.

    >>> parse_unknown_name("bed_0a7c2a8d_nohash_0.wav.wav")
    ('bed', '0a7c2a8d')
    """
    word, _, speaker = speaker_of(file).rpartition("_")
    return word, speaker


def _clip_of(
    folder: str, file: str, read: Callable[[], Waveform], labels: Sequence[str]
) -> LabelledClip | None:
    if folder == SILENCE:
        word = speaker = ""
    elif folder == UNKNOWN:
        word, speaker = parse_unknown_name(file)
    else:
        word, speaker = folder, speaker_of(file)
    word = normalise_label(word)
    label = SILENCE if folder == SILENCE else word if word in labels else UNKNOWN
    return LabelledClip(f"{folder}/{file}", word, label, speaker, read) if label in labels else None


def _is_clip(file: str) -> bool:
    return not file.startswith(".") and PurePosixPath(file).suffix.lower() in READABLE


def _read_folder(source: Path) -> Iterator[tuple[str, str, Callable[[], Waveform]]]:
    for path in sorted(source.glob("*/*")):
        if _is_clip(path.name) and not path.parent.name.startswith("."):
            check_regular(path)
            yield path.parent.name, path.name, partial(_read_file, path)


def _read_tar(source: Path) -> Iterator[tuple[str, str, Callable[[], Waveform]]]:
    n_bytes = 0
    try:
        # only what the official archive is: tarfile would try every other compression as well
        with _open_tar(source) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            number = 0
            while (member := _read_header(file, archive)) is not None:
                _check_member(source, member, number)
                number, n_bytes = number + 1, n_bytes + member.size
                if n_bytes > _LARGEST_ARCHIVE_BYTES:
                    raise EvaluationError(
                        f"expected at most {_LARGEST_ARCHIVE_BYTES >> 20} MB of clips",
                        path=source,
                        advice="is this the official test archive?",
                    )
                path = PurePosixPath(member.name)
                if member.isfile() and _is_clip(path.name) and len(path.parts) > 1:
                    name, content = f"{path.parts[-2]}/{path.name}", _read_content(file, archive, member)
                    yield path.parts[-2], path.name, partial(_decode, name, content)
            _read_rest(source, file)
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, RecursionError) as error:
        reason = printable(getattr(error, "strerror", None) or str(error)) or type(error).__name__
        raise EvaluationError(
            f"cannot be read as a tar archive, plain or with gzip ({reason})",
            path=source,
            advice="fetch it again",
        ) from error


class _BoundedFile:
    """An archive, read no further than is allowed: tarfile takes into memory what a header claims."""

    def __init__(self, source: Path, file: IO[bytes] | gzip.GzipFile) -> None:
        self._source, self._file = source, file
        self._n_allowed = _LARGEST_HEADER_BYTES
        self.seek, self.tell = file.seek, file.tell

    def allow(self, n_bytes: int) -> None:
        """Let so many bytes be read from here on."""
        self._n_allowed = n_bytes

    def read(self, n_bytes: int) -> bytes:
        """As a file does."""
        self._n_allowed -= n_bytes
        if n_bytes < 0 or self._n_allowed < 0:
            raise EvaluationError(
                f"expected an archive of short clips, found a header of more than "
                f"{_LARGEST_HEADER_BYTES >> 10} kB; it is not read",
                path=self._source,
            )
        return self._file.read(n_bytes)


@contextmanager
def _open_tar(source: Path) -> Iterator[Any]:
    with source.open("rb") as plain:
        is_gzip = plain.read(len(_GZIP)) == _GZIP
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) if is_gzip else plain as file:
            yield _BoundedFile(source, file)


def _read_header(file: _BoundedFile, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    file.allow(_LARGEST_HEADER_BYTES)
    return archive.next()


def _read_content(file: _BoundedFile, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file.allow(member.size)
    content = archive.extractfile(member)
    return content.read() if content else b""


def _read_rest(source: Path, file: _BoundedFile) -> None:
    """Come to the end, where gzip checks what was read: a damaged header looks like the end to tarfile."""
    file.allow(_LARGEST_CLIP_BYTES + _BLOCK_BYTES)
    n_bytes = 0
    while block := file.read(_BLOCK_BYTES):
        n_bytes += len(block)
        if n_bytes > _LARGEST_CLIP_BYTES:
            raise EvaluationError(
                "expected clips to its end, found something else", path=source, advice="fetch it again"
            )


def _check_member(source: Path, member: tarfile.TarInfo, number: int) -> None:
    wrong = None
    if number >= _MOST_MEMBERS:
        wrong = f"more than {_MOST_MEMBERS:,} files"
    elif not (member.isfile() or member.isdir()):
        wrong = f"a link or device ({printable(member.name)})"
    elif member.size > _LARGEST_CLIP_BYTES:
        wrong = f"{printable(member.name)} of {member.size / 2**20:,.1f} MB"
    if wrong:
        raise EvaluationError(
            f"expected an archive of short clips, found {wrong}; it is not read", path=source
        )


def _read_file(path: Path) -> Waveform:
    return int16_to_float32(read_int16(path))


def _decode(name: str, content: bytes) -> Waveform:
    try:
        return int16_to_float32(read_int16(io.BytesIO(content)))
    except AudioError as error:  # the bytes have no name
        raise error.at(name) from error
