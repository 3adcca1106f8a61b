"""Samples from a pipe that is still open: a wav of unknown length, or raw PCM.

Programs that write a wav into a pipe cannot go back to fill in its length: they leave 0 or a huge number.
A length of 0, or one near 2 or 4 GB, therefore counts as unknown, and samples are read as they come. They are
also read on where a known length is followed by something else than a chunk: what a killed recorder left.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import SAMPLE_RATES_HZ, int16_to_float32
from speechcmd.audio.unfinished import LEAST_REST, TAGS, is_chunk_name
from speechcmd.errors import STREAM, AudioError

_PIECE_BYTES = 2**16  # what a pipe holds
_LONGEST_KNOWN = 0x7FFF_0000
_MOST_BYTES_BEFORE_FORMAT = 2**20
_MOST_FORMAT_BYTES = 2**12
_MOST_CHANNELS = 1_024
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# (format tag, bytes of a sample) -> name of the encoding
_ENCODINGS = {
    (_PCM, 1): "uint8",
    (_PCM, 2): "int16",
    (_PCM, 3): "int24",
    (_PCM, 4): "int32",
    (_FLOAT, 4): "float32",
    (_FLOAT, 8): "float64",
}
_SAMPLE_BYTES = {encoding: n_bytes for (_, n_bytes), encoding in _ENCODINGS.items()}


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How samples stand in a stream, little endian, channels in turn."""

    sample_rate: int
    n_channels: int = 1
    encoding: str = "int16"
    """uint8, int16, int24, int32, float32 or float64."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.n_channels * _SAMPLE_BYTES[self.encoding]


class PcmStream:
    """Samples of a stream as they come; see `speechcmd.audio.reading.AudioBlocks`.

    Parameters
    ----------
    file
        Where to read; it need not be seekable.
    pcm
        The form of the samples.
    n_bytes
        Where the samples end, if before the end of the stream.
    """

    def __init__(self, file: BinaryIO, pcm: PcmFormat, n_bytes: int | None = None) -> None:
        self.sample_rate = pcm.sample_rate
        self._pcm = pcm
        # what has arrived, not as much as was asked for
        self._read_some = getattr(file, "read1", file.read)
        self._n_bytes = n_bytes

    def blocks(self) -> Iterator[FloatArray]:
        """Yield what has come, until the end. Shape of each: (n_samples, n_channels), never empty."""
        rest = b""
        for piece in self._pieces():
            available = rest + piece
            whole = len(available) // self._pcm.frame_bytes * self._pcm.frame_bytes
            rest = available[whole:]
            if whole:
                yield _decode(available[:whole], self._pcm.encoding).reshape(-1, self._pcm.n_channels)

    def _pieces(self) -> Iterator[bytes]:
        left = self._n_bytes
        while left is None or left > 0:
            piece: bytes = self._read_some(_PIECE_BYTES if left is None else min(_PIECE_BYTES, left))
            if not piece:
                return
            yield piece
            if left is not None:
                left -= len(piece)
                if left == 0 and (more := self._read_behind()):
                    yield more
                    left = None

    def _read_behind(self) -> bytes:
        """What follows the said length if it is more samples; nothing at the end, or before a chunk."""
        padding = (self._n_bytes or 0) % 2
        found = b""
        while len(found) < LEAST_REST and (piece := self._read_some(LEAST_REST - len(found))):
            found += piece
        starts = [found[skipped : skipped + 4] for skipped in (0, padding)]
        is_more = not any(is_chunk_name(start) or start.startswith(TAGS) for start in starts)
        return found if len(found) == LEAST_REST and is_more else b""


def open_wav_stream(file: BinaryIO) -> PcmStream | bytes:
    """Read the head of a stream: its samples if it is a wav, else the bytes taken from it so far.

    What is not a wav, or one of another encoding than PCM and float, is for a decoder that needs a file.

    Raises
    ------
    AudioError
        If it is a wav whose head breaks off or cannot be right.
    """
    head = _Head(file)
    magic = head.take(12)
    if magic[:4] != b"RIFF" or magic[8:] != b"WAVE":
        return head.taken()
    pcm: PcmFormat | None = None
    while True:
        name, size = head.take_chunk_name()
        if name == b"data":
            if pcm is None:
                raise AudioError("a wav whose samples come before their format", path=STREAM)
            return PcmStream(file, pcm, size if 0 < size < _LONGEST_KNOWN else None)
        if name == b"fmt ":
            pcm = _read_format(head.take_format(size))
            if pcm is None:
                return head.taken()
            head.forget()
        else:
            head.skip(size + size % 2)


class _Head:
    """Reads forward, and keeps what it took as long as somebody else may have to start again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kept: bytearray | None = bytearray()
        self._n_taken = 0

    def take(self, n_bytes: int) -> bytes:
        """Up to n bytes: fewer at the end of the stream only."""
        pieces = b""
        while len(pieces) < n_bytes and (piece := self._file.read(n_bytes - len(pieces))):
            pieces += piece
        self._n_taken += len(pieces)
        if self._kept is not None:
            self._kept += pieces
            if len(self._kept) > _MOST_BYTES_BEFORE_FORMAT:
                raise AudioError(f"a wav without a format in its first {self._n_taken} bytes", path=STREAM)
        return pieces

    def take_chunk_name(self) -> tuple[bytes, int]:
        header = self._take_all(8)
        return header[:4], int.from_bytes(header[4:], "little")

    def take_format(self, size: int) -> bytes:
        if size > _MOST_FORMAT_BYTES:
            raise AudioError(f"a wav whose format claims {size} bytes", path=STREAM)
        return self._take_all(size + size % 2)

    def skip(self, n_bytes: int) -> None:
        while n_bytes > 0:
            n_bytes -= len(self._take_all(min(n_bytes, _PIECE_BYTES)))

    def taken(self) -> bytes:
        return bytes(self._kept or b"")

    def forget(self) -> None:
        self._kept = None

    def _take_all(self, n_bytes: int) -> bytes:
        taken = self.take(n_bytes)
        if len(taken) < n_bytes:
            raise AudioError(
                f"a wav of {self._n_taken} bytes that breaks off before its samples", path=STREAM
            )
        return taken


def _read_format(chunk: bytes) -> PcmFormat | None:
    """The format of the samples; None if it is one that is not read here."""
    if len(chunk) < 16:
        raise AudioError(f"a wav whose format has {len(chunk)} bytes; expected at least 16", path=STREAM)
    tag, n_channels, sample_rate, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")  # the beginning of the format's GUID
    if tag not in (_PCM, _FLOAT):
        return None
    if not 1 <= n_channels <= _MOST_CHANNELS:
        raise AudioError(f"a wav of {n_channels} channels; expected 1 to {_MOST_CHANNELS}", path=STREAM)
    lowest, highest = SAMPLE_RATES_HZ
    if not lowest <= sample_rate <= highest:
        raise AudioError(f"a wav at {sample_rate} Hz; expected {lowest} to {highest}", path=STREAM)
    encoding = _ENCODINGS.get((tag, frame_bytes // n_channels))
    if encoding is None or frame_bytes % n_channels:
        raise AudioError(
            f"a wav with {frame_bytes} bytes for a sample of {n_channels} channels; "
            "expected PCM of 8, 16, 24 or 32 bit or float of 32 or 64",
            path=STREAM,
        )
    return PcmFormat(sample_rate, n_channels, encoding)


def _decode(samples: bytes, encoding: str) -> FloatArray:
    """Samples as float32 in [-1, 1]. Shape: (n_values,)."""
    if encoding == "int16":
        return int16_to_float32(np.frombuffer(samples, dtype="<i2"))
    if encoding == "uint8":
        return (np.frombuffer(samples, dtype=np.uint8).astype(np.float32) - np.float32(128)) * np.float32(
            1 / 128
        )
    if encoding.startswith("float"):
        with np.errstate(over="ignore"):  # infinity is dealt with where blocks are mixed
            return np.frombuffer(samples, dtype=f"<f{_SAMPLE_BYTES[encoding]}").astype(np.float32)
    if encoding == "int24":
        wide = np.zeros((len(samples) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(samples, dtype=np.uint8).reshape(-1, 3)
        samples = wide.tobytes()
    return np.frombuffer(samples, dtype="<i4").astype(np.float32) * np.float32(2.0**-31)
