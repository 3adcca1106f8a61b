"""Fetch Speech Commands: resumed, verified, unpacked beside its place and renamed into it."""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

from data_prep.audit import OFFICIAL_COUNTS
from data_prep.split import SPLITS
from speechcmd.errors import CorpusError, DependencyError, printable
from speechcmd.files import open_in_place, whole_folder
from speechcmd.folder_lock import lock_name
from speechcmd.progress import Progress

FOLDER = "SpeechCommands"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_LEAST_BYTES = 1 << 16  # in that time
_MOST_BYTES = 4 << 30  # version 0.02, the larger one, has 2.4e9, and 3.8e9 unpacked
_MOST_UNPACKED_BYTES = 8 << 30
_MEMBER_BYTES = 4096  # what an empty file takes on the disk
# known with certainty for this version alone; the checksum covers the other
_COUNTED_VERSION = "v0.02"


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
    n_total = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={n_here}-"} if n_here else {})
    try:
        with urllib.request.build_opener(_WebOnly).open(request, timeout=_TIMEOUT_S) as response:
            goes_on = response.status == 206
            n_here = n_here if goes_on else 0
            n_total = n_here + (response.length or 0)
            _check_size(url, n_total)
            how = os.O_APPEND if goes_on else os.O_TRUNC
            with os.fdopen(open_in_place(part, os.O_CREAT | os.O_WRONLY | how), "wb") as handle:
                n_here = _copy(url, response, handle, (n_here, n_total), progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing after what is here: complete, or too long; the checksum decides
            return
        raise CorpusError(
            f"{url}: the server answers {error.code} {printable(str(error.reason), ' ')}; try again later"
        ) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
        raise CorpusError(
            f"{url}: the download broke off ({printable(str(error), ' ')}); run it again to go on"
        ) from error
    if n_here < n_total:
        raise CorpusError(
            f"{url}: the download broke off, expected {n_total:,} bytes, got {n_here:,}; run it again"
        )


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows a server to other web addresses only: not to files, and not to FTP."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if not newurl.lower().startswith(("http://", "https://")):
            reason = f"{msg} - an address of the web was expected, {newurl!r:.80} is not allowed"
            raise urllib.error.HTTPError(req.full_url, code, reason, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_size(url: str, n_bytes: int) -> None:
    if n_bytes > _MOST_BYTES:
        raise CorpusError(
            f"{url}: expected at most {_MOST_BYTES:,} bytes, the server sends more; this is another archive"
        )


def _copy(
    url: str, response: HTTPResponse, handle: BinaryIO, here: tuple[int, int], progress: Progress | None
) -> int:
    """Write the answer behind what is `here`, of a total; returns how many bytes are there then."""
    n_here, n_total = here
    n_before, since_s = n_here, time.monotonic()
    while chunk := response.read1(_CHUNK_BYTES):
        n_here += len(chunk)
        if n_here > _MOST_BYTES:
            handle.truncate(0)  # going on from these bytes cannot end well
        _check_size(url, n_here)
        handle.write(chunk)
        if progress:
            progress(n_here, n_total)
        if time.monotonic() - since_s >= _TIMEOUT_S:  # of each byte alone, a server that drips takes years
            if n_here - n_before < _LEAST_BYTES:
                raise CorpusError(
                    f"{url}: {n_here - n_before:,} bytes came in {_TIMEOUT_S:g} s; run it again to go on"
                )
            n_before, since_s = n_here, time.monotonic()
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
            tar.extractall(new, filter=_bounded_filter(part))
            _check_counts(new, counts)
    except tarfile.FilterError as error:
        raise CorpusError(
            f"{part.name}: refused, a member is a device or would leave its folder: {error}"
        ) from error
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise CorpusError(f"{part.name}: expected a tar archive, cannot unpack it: {error}") from error
    except OSError as error:
        raise CorpusError(
            f"{target}: cannot unpack ({error.strerror or error}); see to it, then again"
        ) from error


def _bounded_filter(part: Path) -> Callable[[tarfile.TarInfo, str], tarfile.TarInfo]:
    """Python's filter of members, and a bound on what all of them take on the disk."""
    n_bytes = 0

    def check(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        nonlocal n_bytes
        n_bytes += member.size + _MEMBER_BYTES
        if n_bytes > _MOST_UNPACKED_BYTES:
            raise CorpusError(
                f"{part.name}: expected at most {_MOST_UNPACKED_BYTES:,} bytes unpacked, it holds more; "
                "this is another archive"
            )
        return tarfile.data_filter(member, folder)

    return check


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
