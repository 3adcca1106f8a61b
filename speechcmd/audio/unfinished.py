"""Recordings whose header was never completed: what it says of the length is put right.

Recorders fill in the length when they are closed. One that was killed leaves 0, or what was true some time
before; a wav beyond 4 GB cannot say its length at all; an mp3 that was cut, joined or streamed speaks of
another number of frames than it has. Decoders believe the header, and would read nothing or a part.
What follows the samples decides: further chunks, as the format has them, or more samples.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from speechcmd.audio.mp3_header import mp3_head

_LARGEST_HEAD = 2**20  # a format, and perhaps a name and a picture
_MOST_CHUNKS = 1_000
_LONGEST_32 = 2**32 - 1
_CHUNK_NAME = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_- ")
TAGS = (b"ID3", b"TAG")  # written behind a wav by some players, and no chunks
LEAST_REST = 16  # fewer bytes behind the samples are filling


class Reheaded(io.RawIOBase):
    """A file whose first bytes are replaced by others, perhaps more or fewer; reading and seeking only."""

    def __init__(self, file: BinaryIO, head: bytes, n_replaced: int) -> None:
        self._file = file
        self._head = head
        self._n_more = len(head) - n_replaced
        self._size = file.seek(0, os.SEEK_END) + self._n_more
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position, counted with the new head."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with bytes as far as there are any, and return how many."""
        content = self._head[self._position : self._position + len(buffer)]
        if len(content) < len(buffer):
            self._file.seek(self._position + len(content) - self._n_more)
            content += self._file.read(len(buffer) - len(content))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def with_true_length(file: BinaryIO) -> Reheaded | None:
    """The recording with a header that covers all samples; None if it has one already.

    `file` must be seekable and stand at its begin, where it is left.
    """
    size = file.seek(0, os.SEEK_END)
    look = _Look(file, size)
    start = look.at(0, 12)
    mend = next((mend for mark, mend in _MENDERS.items() if start.startswith(mark)), mp3_head)
    found = mend(look.at, size)
    file.seek(0)
    return Reheaded(file, *found) if found else None


class _Look:
    """Reads pieces of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def at(self, position: int, n_bytes: int) -> bytes:
        """Up to `n_bytes` from a position on."""
        if not 0 <= position < self._size:
            return b""
        self._file.seek(position)
        return self._file.read(n_bytes)


Look = Callable[[int, int], bytes]
Head = tuple[bytes, int]
"""The new head, and how many bytes of the file it replaces."""


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes may name a chunk: samples seldom look like it."""
    return len(name) == 4 and _CHUNK_NAME.issuperset(name)


def _wav_head(look: Look, size: int) -> Head | None:
    if look(8, 4) != b"WAVE":
        return None
    form = b""
    for name, begin, n_bytes in _chunks(look, 12, "<I"):
        if name == b"data":
            if not form or not _is_stale(look, begin, n_bytes, size, "<I"):
                return None
            return _wav_start(form, size - begin), begin
        if name in (b"fmt ", b"fact") and n_bytes <= _LARGEST_HEAD:
            form += look(begin - 8, 8 + n_bytes + n_bytes % 2)
    return None


def _wav_start(form: bytes, n_bytes: int) -> bytes:
    """All that stands before the samples, `form` the chunks of their format."""
    n_in_all = 4 + len(form) + 8 + n_bytes
    if n_in_all <= _LONGEST_32:
        return b"RIFF" + struct.pack("<I", n_in_all) + b"WAVE" + form + b"data" + struct.pack("<I", n_bytes)
    lengths = struct.pack("<4sIQQQI", b"ds64", 28, n_in_all + 36, n_bytes, 0, 0)
    unknown = struct.pack("<I", _LONGEST_32)
    return b"RF64" + unknown + b"WAVE" + lengths + form + b"data" + unknown


def _rf64_head(look: Look, size: int) -> Head | None:
    """As wav, but for a chunk of 64-bit lengths at its begin: those count, not the ones elsewhere."""
    start = look(0, 44)
    if start[8:16] != b"WAVEds64" or len(start) < 44:
        return None
    n_said = int.from_bytes(start[28:36], "little")
    for name, begin, n_bytes in _chunks(look, 20 + int.from_bytes(start[16:20], "little"), "<I"):
        if name == b"data" and begin <= _LARGEST_HEAD:
            n_data = n_said if n_bytes == _LONGEST_32 else n_bytes
            if not _is_stale(look, begin, n_data, size, "<I"):
                return None
            head = bytearray(look(0, begin))
            head[20:44] = struct.pack("<QQQ", size - 8, size - begin, 0)
            head[-4:] = struct.pack("<I", _LONGEST_32)
            return bytes(head), begin
    return None


def _aiff_head(look: Look, size: int) -> Head | None:
    if look(8, 4) not in (b"AIFF", b"AIFC"):
        return None
    common = 0
    for name, begin, n_bytes in _chunks(look, 12, ">I"):
        if name == b"SSND" and common and begin <= _LARGEST_HEAD:
            return _aiff_start(look, common, begin, n_bytes, size)
        if name == b"COMM":
            common = begin
    return None


def _aiff_start(look: Look, common: int, begin: int, n_bytes: int, size: int) -> Head | None:
    if not _is_stale(look, begin, n_bytes, size, ">I"):
        return None
    head = bytearray(look(0, begin))
    n_channels, _, bits = struct.unpack_from(">HIH", head, common)
    n_there = min(size - begin, _LONGEST_32)
    frame_bytes = n_channels * -(-bits // 8)
    if frame_bytes == 0:
        return None
    head[4:8] = struct.pack(">I", min(size - 8, _LONGEST_32))
    head[common + 2 : common + 6] = struct.pack(">I", (n_there - 8) // frame_bytes)
    head[-4:] = struct.pack(">I", n_there)
    return bytes(head), begin


def _caf_head(look: Look, size: int) -> Head | None:
    for name, begin, n_bytes in _chunks(look, 8, ">q"):
        if name == b"data" and begin <= _LARGEST_HEAD:
            # -1 says: to the end; libsndfile does not read that
            if n_bytes != -1 and not _is_stale(look, begin, n_bytes, size, ">q"):
                return None
            return look(0, begin - 8) + struct.pack(">q", size - begin), begin
    return None


def _au_head(look: Look, size: int) -> Head | None:
    """Nothing comes after the samples of an AU file: whatever length it says, they go on to the end."""
    start = look(0, 12)
    order = ">" if start.startswith(b".snd") else "<"
    if len(start) < 12:
        return None
    begin, n_bytes = struct.unpack_from(f"{order}II", start, 4)
    if begin + n_bytes >= size:
        return None
    return start[:8] + struct.pack("<I", _LONGEST_32), 12


_MENDERS: dict[bytes, Callable[[Look, int], Head | None]] = {
    b"RIFF": _wav_head,
    b"RF64": _rf64_head,
    b"FORM": _aiff_head,
    b"caff": _caf_head,
    b".snd": _au_head,
    b"dns.": _au_head,
}


def _chunks(look: Look, position: int, length: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each chunk from a position on. In a format of 64 bits none is padded."""
    for _ in range(_MOST_CHUNKS):
        name, n_bytes = _chunk(look, position, length)
        if not name:
            return
        begin = position + 4 + struct.calcsize(length)
        yield name, begin, n_bytes
        if n_bytes < 0:
            return
        position = begin + n_bytes + (0 if length == ">q" else n_bytes % 2)


def _chunk(look: Look, position: int, length: str) -> tuple[bytes, int]:
    """Name and length of the chunk at a position; no name if there is none."""
    header = look(position, 4 + struct.calcsize(length))
    if len(header) < 4 + struct.calcsize(length):
        return b"", 0
    return header[:4], struct.unpack(length, header[4:])[0]


def _is_stale(look: Look, begin: int, n_bytes: int, size: int, length: str) -> bool:
    """Whether more samples follow those that the header speaks of. A length beyond the end is no harm."""
    end = begin + n_bytes
    if size - end < LEAST_REST:
        return False
    return not any(
        look(first, 3) in TAGS or _are_chunks(look, first, size, length) for first in {end, end + n_bytes % 2}
    )


def _are_chunks(look: Look, position: int, size: int, length: str) -> bool:
    """Whether chunk follows chunk from a position to the end of the file."""
    header_bytes = 4 + struct.calcsize(length)
    for number in range(_MOST_CHUNKS):
        name, n_bytes = _chunk(look, position, length)
        if size - position < header_bytes or (number and look(position, 3) in TAGS):
            return number > 0
        if not is_chunk_name(name) or n_bytes < 0 or position + header_bytes + n_bytes > size + 1:
            return False
        position += header_bytes + n_bytes
        if length != ">q":
            position += n_bytes % 2
    return True
