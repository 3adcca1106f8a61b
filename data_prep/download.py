"""Fetch Speech Commands: resumed, verified, unpacked beside its place and renamed into it."""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from data_prep.audit import OFFICIAL_COUNTS
from data_prep.split import SPLITS
from speechcmd.errors import CorpusError, DependencyError
from speechcmd.files import open_in_place, whole_folder
from speechcmd.folder_lock import lock_name
from speechcmd.progress import Progress

FOLDER = "SpeechCommands"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
# known with certainty for this version alone; the checksum covers the other
_COUNTED_VERSION = "v0.02"

"""Called with the bytes that are here and the bytes that there are (0 if the server does not say)."""


@dataclass(frozen=True)
class Archive:
    """Where an archive is, what its SHA-256 is, and how many clips each split of it has."""

    url: str
    sha256: str
    counts: dict[str, int] | None = None


def download_speech_commands(
    root: Path, version: str = "v0.02", progress: Progress | None = None, archive: Archive | None = None
) -> Path:
    """Download, verify and unpack Speech Commands to `root/SpeechCommands/speech_commands_<version>`.

    A folder that is already there is used as it is. An interrupted download leaves a `.part` file and
    goes on from there; the folder itself appears complete or not at all.

    Parameters
    ----------
    archive
        What to fetch; by default the URL and checksum that torchaudio knows for `version`.

    Raises
    ------
    CorpusError
        If the version is unknown, the connection fails, the checksum or the clip counts are wrong, or
        the archive holds something that does not belong into its folder.
    BusyError
        If another process downloads it.
    DependencyError
        If torchaudio is needed for the URL and cannot be imported.
    """
    target = root / FOLDER / f"speech_commands_{version}"
    part = target.with_name(f"{target.name}.tar.gz.part")
    if target.is_dir():
        part.unlink(missing_ok=True)  # a kill between renaming and deleting
        return target
    archive = archive or find_archive(version)
    with lock_name(target):
        if not target.is_dir():  # another process may have ended just now
            _fetch(archive.url, part, progress)
            _verify(part, archive.sha256)
            _unpack(part, target, archive.counts)
        part.unlink(missing_ok=True)
    return target


def find_archive(version: str) -> Archive:
    """Look up URL and checksum in torchaudio."""
    if version not in OFFICIAL_COUNTS:
        raise CorpusError(
            f"Speech Commands: expected version {' or '.join(OFFICIAL_COUNTS)}, got {version!r}"
        )
    try:
        from torchaudio.datasets.speechcommands import _CHECKSUMS
    except (ImportError, OSError) as error:  # OSError: a CUDA build beside a CPU-only torch
        raise DependencyError(
            "downloading takes URL and checksum from torchaudio, which cannot be imported here; "
            'pip install ".[train]" in the folder of speechcmd, or unpack the archive yourself'
        ) from error
    for url, sha256 in _CHECKSUMS.items():
        if url.endswith(f"speech_commands_{version}.tar.gz"):
            counts = dict(OFFICIAL_COUNTS[version]) if version == _COUNTED_VERSION else None
            return Archive(url, sha256, counts)
    raise CorpusError(f"this torchaudio does not know Speech Commands {version}; update torchaudio")


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    """Download `url` to `part`, going on where an earlier attempt stopped if the server can."""
    n_here = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={n_here}-"} if n_here else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            goes_on = response.status == 206
            n_here = n_here if goes_on else 0
            n_total = n_here + int(response.headers.get("Content-Length", 0))
            how = os.O_APPEND if goes_on else os.O_TRUNC
            with os.fdopen(open_in_place(part, os.O_CREAT | os.O_WRONLY | how), "wb") as handle:
                n_here = _copy(response, handle, n_here, n_total, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing after what is here: complete, or too long; the checksum decides
            return
        raise CorpusError(
            f"{url}: the server answers {error.code} {error.reason}; try again later"
        ) from error
    except (OSError, HTTPException) as error:
        raise CorpusError(f"{url}: the download broke off ({error}); run it again to go on") from error
    if n_here < n_total:
        raise CorpusError(
            f"{url}: the download broke off, expected {n_total:,} bytes, got {n_here:,}; run it again"
        )


def _copy(
    response: HTTPResponse, handle: BinaryIO, n_here: int, n_total: int, progress: Progress | None
) -> int:
    while chunk := response.read(_CHUNK_BYTES):
        handle.write(chunk)
        n_here += len(chunk)
        if progress:
            progress(n_here, n_total)
    return n_here


def _verify(part: Path, sha256: str) -> None:
    with part.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != sha256:
        part.unlink()  # going on from wrong bytes cannot end well
        raise CorpusError(f"{part.name}: expected SHA-256 {sha256}, got {found}; deleted, download it again")


def _unpack(part: Path, target: Path, counts: dict[str, int] | None) -> None:
    """Unpack beside `target`, check, and rename into place."""
    try:
        with whole_folder(target, sync=False) as new, tarfile.open(part) as tar:
            tar.extractall(new, filter="data")
            _check_counts(new, counts)
    except tarfile.FilterError as error:
        raise CorpusError(f"{part.name}: refused, a member would leave its folder: {error}") from error
    except (tarfile.TarError, EOFError) as error:
        raise CorpusError(f"{part.name}: expected a tar archive, cannot unpack it: {error}") from error
    except OSError as error:
        raise CorpusError(
            f"{target}: cannot unpack ({error.strerror or error}); see to it, then again"
        ) from error


def _check_counts(folder: Path, counts: dict[str, int] | None) -> None:
    if counts is None:
        return
    found = _count_clips(folder)
    if found != counts:
        raise CorpusError(
            f"not the archive it should be: expected {_in_words(counts)} clips, unpacked {_in_words(found)}"
        )


def _count_clips(folder: Path) -> dict[str, int]:
    listed = {split: _count_lines(folder / f"{split}_list.txt") for split in ("validation", "testing")}
    n_clips = sum(1 for path in folder.glob("*/*.wav") if not path.parent.name.startswith("_"))
    return {"training": n_clips - sum(listed.values()), **listed}


def _count_lines(path: Path) -> int:
    return len(path.read_text().split()) if path.exists() else 0


def _in_words(counts: dict[str, int]) -> str:
    return " / ".join(f"{counts[split]:,} {split}" for split in SPLITS)
