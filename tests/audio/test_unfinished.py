"""What killed recorders leave: headers that say nothing, or something else, of how long the recording is."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechcmd.audio.reading import claimed_duration_s, duration_s, read_int16, read_waveform
from speechcmd.audio.unfinished import Reheaded, with_true_length
from speechcmd.audio.wav_stream import PcmStream, open_wav_stream
from speechcmd.errors import AudioError

pytestmark = pytest.mark.runtime

RATE = 16_000
SECONDS = 3


def sweep(channels: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    time_s = np.arange(SECONDS * RATE, dtype=np.float64) / RATE
    wave = (0.3 * np.sin(2 * np.pi * (200 + 300 * time_s) * time_s)).astype(np.float32)
    return wave if channels == 1 else np.stack([wave] * channels, axis=1)


def encoded(container: str, subtype: str | None = None, channels: int = 1) -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, sweep(channels), RATE, format=container, subtype=subtype)
    return bytearray(file.getvalue())


def put(content: bytearray, mark: bytes, value: int, form: str, behind: int = 4) -> None:
    """Write a length `behind` bytes after a mark."""
    struct.pack_into(form, content, content.index(mark) + behind, value)


def wav(subtype: str, data: int, channels: int = 1, container: str = "WAV") -> bytearray:
    content = encoded(container, subtype, channels)
    put(content, b"data", data, "<I")
    put(content, b"RIFF", data + 36 if data else 0, "<I")
    return content


def au(length: int) -> bytearray:
    content = encoded("AU")
    struct.pack_into(">I", content, 8, length)
    return content


def aiff(length: int) -> bytearray:
    content = encoded("AIFF")
    put(content, b"SSND", length, ">I")
    put(content, b"COMM", max(0, length - 8) // 2, ">I", behind=10)
    put(content, b"FORM", 46 + length, ">I")
    return content


def caf(length: int) -> bytearray:
    content = encoded("CAF")
    put(content, b"data", length, ">q")
    return content


def rf64(length: int) -> bytearray:
    content = encoded("RF64")
    put(content, b"ds64", length, "<Q", behind=16)
    put(content, b"data", 2**32 - 1, "<I")
    return content


STALE = {
    **{
        f"wav {subtype}, {n}": wav(subtype, n)
        for subtype in ("PCM_16", "PCM_24", "FLOAT")
        for n in (0, 6_000)
    },
    "wav u-law, 0": wav("ULAW", 0),
    "wav of two, 0": wav("PCM_16", 0, channels=2),
    "wav of two, 6000": wav("PCM_16", 6_000, channels=2),
    "wav extensible, 6000": wav("PCM_16", 6_000, container="WAVEX"),
    "wav, 4 GB": wav("PCM_16", 2**32 - 37),
    **{f"au, {length}": au(length) for length in (0, 6_000, 2**32 - 1)},
    **{f"aiff, {length}": aiff(length) for length in (0, 8, 6_008)},
    **{f"caf, {length}": caf(length) for length in (0, 6_004, -1)},
    **{f"rf64, {length}": rf64(length) for length in (0, 6_000)},
}


@pytest.mark.parametrize("name", STALE)
def test_samples_are_read_to_the_end_of_the_file(tmp_path: Path, name: str) -> None:
    content = bytes(STALE[name])
    path = tmp_path / "killed.wav"
    path.write_bytes(content)
    tolerance = 0.02 if "u-law" in name else 1 / 32_767
    for source in (path, io.BytesIO(content)):
        samples = read_waveform(source)
        assert len(samples) == SECONDS * RATE
        np.testing.assert_allclose(samples, sweep(), atol=tolerance)
    assert duration_s(path) == SECONDS
    assert len(read_int16(path)) == SECONDS * RATE


@pytest.mark.parametrize("name", [name for name in STALE if "wav PCM" in name or "wav of" in name])
def test_standard_input_gives_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / "killed.wav"
    path.write_bytes(STALE[name])
    stream = open_wav_stream(io.BytesIO(bytes(STALE[name])))
    assert isinstance(stream, PcmStream)
    np.testing.assert_array_equal(read_waveform(stream), read_waveform(path))


NOTE = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"some recorder\0"
TRAILERS = {
    "nothing": b"",
    "a note": NOTE,
    "two notes and a name of one's own": NOTE + b"id3 " + struct.pack("<I", 3) + b"odd\0" + NOTE,
    "a tag of a player": b"ID3\x04" + bytes(range(200)),
    "a tag behind a note": NOTE + b"TAG" + bytes(125),
    "a few bytes of filling": bytes(7),
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("n_samples", [0, 1_000, 1_001])
def test_what_is_no_samples_is_not_read(trailer: str, n_samples: int) -> None:
    content = encoded("WAV", "PCM_U8")[: 44 + n_samples]
    put(content, b"data", n_samples, "<I")
    whole = bytes(content) + bytes(n_samples % 2) + TRAILERS[trailer]
    assert with_true_length(io.BytesIO(whole)) is None
    if n_samples:
        assert len(read_waveform(io.BytesIO(whole))) == n_samples
        stream = open_wav_stream(io.BytesIO(whole))
        assert isinstance(stream, PcmStream)
        assert len(read_waveform(stream)) == n_samples


def test_a_wav_beyond_four_gigabytes_is_read_whole(tmp_path: Path) -> None:
    """Its length does not fit into the header: it is said modulo 4 GB."""
    path = tmp_path / "long.wav"
    n_data = 2**32 + 20_000
    header = bytes(encoded("WAV", "PCM_16", 2)[:44])
    with path.open("wb") as file:  # a hole: no disk is filled
        file.write(header[:40] + struct.pack("<I", n_data % 2**32))
        file.seek(44 + n_data - 4)
        file.write(struct.pack("<hh", 16_384, 16_384))
    assert duration_s(path) == n_data / 4 / RATE
    with path.open("rb") as file, soundfile.SoundFile(with_true_length(file)) as recording:
        assert recording.frames == n_data // 4
        recording.seek(recording.frames - 2)
        np.testing.assert_array_equal(recording.read(5, dtype="float32"), [[0, 0], [0.5, 0.5]])


@pytest.mark.parametrize("claimed", [0, 2**36 - 1])
def test_a_flac_of_unknown_or_absurd_length_is_read_whole(tmp_path: Path, claimed: int) -> None:
    """An encoder that writes into a pipe leaves 0; the other would be 68 thousand million samples."""
    content = encoded("FLAC")
    content[21] = content[21] & 0xF0 | claimed >> 32
    content[22:26] = (claimed & 2**32 - 1).to_bytes(4, "big")
    path = tmp_path / "pipe.flac"
    path.write_bytes(content)
    assert len(read_waveform(path)) == len(read_int16(path)) == SECONDS * RATE
    assert claimed_duration_s(path) is None
    assert duration_s(path) == duration_s(io.BytesIO(content)) == SECONDS


def test_a_damaged_flac_that_claims_68_thousand_million_samples_is_one_line(tmp_path: Path) -> None:
    content = encoded("FLAC")
    content[21:26] = bytes([content[21] | 0x0F]) + b"\xff" * 4
    del content[len(content) // 2 :]
    path = tmp_path / "damaged.flac"
    path.write_bytes(content)
    for read in (read_int16, read_waveform, duration_s):
        with pytest.raises(AudioError, match=r"damaged\.flac: damaged, decoding stopped"):
            read(path)  # type: ignore[operator]


def test_a_length_that_cannot_be_looked_up_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    path.write_bytes(encoded("WAV", "GSM610"))
    assert claimed_duration_s(path) is None
    assert duration_s(path) == len(read_waveform(path)) / RATE


def note_of(content: bytes) -> int:
    return next(at for at in (content.find(b"Xing"), content.find(b"Info")) if at >= 0)


def test_an_mp3_of_unknown_length_is_read_whole() -> None:
    """The bit rate varies and nothing says how many frames there are: a decoder that guesses hears a part."""
    content = bytes(encoded("MP3"))
    whole = read_waveform(io.BytesIO(content))
    assert len(whole) == SECONDS * RATE
    bare = content[content.index(content[:2], 4) :]
    tagged = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 8]) + bytes(264) + bare
    for source in (bare, tagged):
        found = read_waveform(io.BytesIO(source))
        assert len(whole) <= len(found) < len(whole) + 3 * 576
        # without the note nobody knows what encoder and decoder have added before
        lag = min(
            range(1_500), key=lambda first: float(np.abs(found[first:][:20_000] - whole[:20_000]).max())
        )
        n_same = len(whole) - 1_500
        np.testing.assert_allclose(found[lag:][:n_same], whole[:n_same], atol=1e-4)


def test_joined_and_unfinished_mp3_are_read_whole() -> None:
    content = bytes(encoded("MP3"))
    assert len(read_waveform(io.BytesIO(content + content))) >= 2 * SECONDS * RATE
    at = note_of(content) + 8
    unfinished = content[:at] + bytes(4) + content[at + 4 :]
    assert len(read_waveform(io.BytesIO(unfinished))) >= SECONDS * RATE


def test_what_needs_no_mending_is_left_to_the_decoder() -> None:
    for container in ("WAV", "AIFF", "AU", "CAF", "RF64", "FLAC", "OGG", "MP3", "W64"):
        file = io.BytesIO(bytes(encoded(container)))
        assert with_true_length(file) is None
        assert file.tell() == 0


@pytest.mark.parametrize("head", [b"", b"AB", b"ABCDEFGH"])
def test_a_new_head_is_read_as_if_it_stood_in_the_file(head: bytes) -> None:
    file = Reheaded(io.BytesIO(b"0123456789"), head, 4)
    whole = head + b"456789"
    assert file.read() == whole
    assert file.seek(0, os.SEEK_END) == len(whole)
    assert file.read(3) == b""
    for first in range(len(whole)):
        for n_bytes in range(len(whole) + 2):
            file.seek(first)
            assert file.read(n_bytes) == whole[first : first + n_bytes]
            assert file.tell() == min(first + n_bytes, len(whole))
    file.seek(-3, os.SEEK_END)
    assert file.seek(-1, os.SEEK_CUR) == len(whole) - 4


def test_damaged_heads_are_never_an_error_here() -> None:
    rng = np.random.default_rng(0)
    for container in ("WAV", "AIFF", "AU", "CAF", "RF64", "MP3"):
        whole = encoded(container)[:2_000]
        for _ in range(60):
            content = whole.copy()
            for position in rng.integers(0, 100, size=4):
                content[position] = rng.integers(256)
            with_true_length(io.BytesIO(bytes(content[: rng.integers(1, 200)])))
            with_true_length(io.BytesIO(bytes(content)))
