"""Samples from a pipe: wav headers as programs write them into one, against what soundfile reads."""

from __future__ import annotations

import io
import os
import struct
from typing import Any, BinaryIO

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.audio.reading import AudioBlocks, read_blocks, read_waveform
from speechcmd.audio.wav_stream import PcmFormat, PcmStream, open_wav_stream
from speechcmd.errors import AudioError

pytestmark = pytest.mark.runtime

RATE = 16_000
FLOAT32_STEP = 2.0**-24  # int32 has more bits than float32: the last one may be rounded either way


def noise(n_samples: int = 1_000, n_channels: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(1).uniform(-1, 1, (n_samples, n_channels)).squeeze()


def wav(subtype: str = "PCM_16", kind: str = "WAV", n_channels: int = 1, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(n_channels=n_channels), rate, format=kind, subtype=subtype)
    return file.getvalue()


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    padding = b"\0" * (len(content) % 2)
    return name + struct.pack("<I", len(content) if size is None else size) + content + padding


def format_chunk(tag: int = 1, channels: int = 1, rate: int = RATE, frame: int = 2, bits: int = 16) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def riff(*chunks: bytes, size: int = 0xFFFFFFFF) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + b"".join(chunks)


def samples_of(content: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    stream = open_wav_stream(io.BytesIO(content))
    assert isinstance(stream, PcmStream)
    return np.concatenate([np.zeros(0, np.float32), *read_blocks(stream, stream.sample_rate)])


def refusal(content: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        open_wav_stream(io.BytesIO(content))
    message = str(caught.value)
    assert message.startswith("<stream>: a wav ")
    assert "\n" not in message
    return message


SAMPLES = np.arange(-300, 300, dtype="<i2").tobytes()
EXPECTED = np.arange(-300, 300, dtype=np.float32) / 32_768


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_encoding_is_read_as_soundfile_reads_it(subtype: str, kind: str, n_channels: int) -> None:
    content = wav(subtype, kind, n_channels)
    expected = read_waveform(io.BytesIO(content), RATE)
    assert len(expected) == 1_000
    np.testing.assert_allclose(samples_of(content), expected, atol=FLOAT32_STEP, rtol=0)


@pytest.mark.parametrize(
    "size", [0, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB]
)
def test_a_length_that_was_not_known_is_until_the_end(size: int) -> None:
    content = riff(format_chunk(), chunk(b"data", SAMPLES, size), size=size)
    np.testing.assert_array_equal(samples_of(content), EXPECTED)


def test_a_known_length_ends_before_what_follows() -> None:
    content = riff(format_chunk(), chunk(b"data", SAMPLES), chunk(b"LIST", b"no samples at all"))
    np.testing.assert_array_equal(samples_of(content), EXPECTED)


def test_other_chunks_are_passed_over_with_their_padding() -> None:
    before = [chunk(b"JUNK", b"odd"), format_chunk(), chunk(b"LIST", bytes(70_001)), chunk(b"fact", bytes(4))]
    np.testing.assert_array_equal(samples_of(riff(*before, chunk(b"data", SAMPLES))), EXPECTED)


def test_samples_that_break_off_are_read_as_far_as_they_go() -> None:
    content = riff(format_chunk(), chunk(b"data", SAMPLES))
    np.testing.assert_array_equal(samples_of(content[:-1]), EXPECTED[:-1])
    np.testing.assert_array_equal(samples_of(content[:-600]), EXPECTED[:300])
    assert len(samples_of(content[: -len(SAMPLES)])) == 0


def test_bytes_of_no_wav_are_given_back() -> None:
    assert open_wav_stream(io.BytesIO(b"fLaC and so on for a while")) == b"fLaC and so "
    assert open_wav_stream(io.BytesIO(b"RIF")) == b"RIF"
    assert open_wav_stream(io.BytesIO(b"")) == b""


def test_a_wav_of_another_encoding_is_for_another_decoder() -> None:
    file = io.BytesIO(wav("ULAW"))
    taken = open_wav_stream(file)
    assert isinstance(taken, bytes)
    again = io.BytesIO(taken + file.read())
    assert len(read_waveform(again, RATE)) == 1_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (riff(), "12 bytes that breaks off"),
        (riff(format_chunk()[:20]), "breaks off"),
        (riff(format_chunk()), "36 bytes that breaks off before its samples"),
        (riff(chunk(b"data", SAMPLES)), "samples come before their format"),
        (riff(chunk(b"fmt ", bytes(14))), "format has 14 bytes"),
        (riff(chunk(b"fmt ", b"", 5_000)), "format claims 5000 bytes"),
        (riff(format_chunk(channels=0)), "of 0 channels"),
        (riff(format_chunk(channels=1_025, frame=2_050)), "of 1025 channels"),
        (riff(format_chunk(rate=0)), "at 0 Hz"),
        (riff(format_chunk(rate=2**31, frame=1)), "at 2147483648 Hz"),
        (riff(format_chunk(frame=5)), "5 bytes for a sample of 1 channels"),
        (riff(format_chunk(channels=2, frame=5)), "5 bytes for a sample of 2 channels"),
        (riff(format_chunk(tag=3, frame=2)), "float of 32 or 64"),
        (riff(format_chunk(), chunk(b"LIST", b"short", 0xFFFFFFFF)), "breaks off"),
        (riff(chunk(b"JUNK", bytes(2**20 + 1))), "without a format in its first"),
    ],
)
def test_a_head_that_cannot_be_right_is_one_line(content: bytes, problem: str) -> None:
    assert problem in refusal(content)


def test_absurd_float_samples_are_bounded() -> None:
    values = np.array([[0.5, 0.5], [np.nan, 0.5], [np.inf, -np.inf], [1e300, 0]], dtype="<f8")
    content = riff(format_chunk(3, 2, RATE, 16, 64), chunk(b"data", values.tobytes()))
    np.testing.assert_array_equal(samples_of(content), np.float32([0.5, 0.25, 0.0, 0.5]))


class Dribble(io.RawIOBase):
    """A pipe that brings a few bytes at a time."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content = content
        self._sizes = sizes

    def read(self, size: int = -1) -> bytes:
        n_bytes = min(size, self._sizes[0])
        self._sizes = self._sizes[1:] + self._sizes[:1]
        piece, self._content = self._content[:n_bytes], self._content[n_bytes:]
        return piece


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=5), rate=st.sampled_from([RATE, 8_000]))
def test_pieces_of_any_size_give_the_same_samples(sizes: list[int], rate: int) -> None:
    content = wav("PCM_24", "WAVEX", n_channels=3, rate=rate)
    stream = open_wav_stream(Dribble(content, sizes))  # type: ignore[arg-type]
    assert isinstance(stream, AudioBlocks)
    blocks = list(read_blocks(stream))
    assert all(len(block) for block in blocks)
    expected = read_waveform(io.BytesIO(content))
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-6, rtol=0)


def test_raw_samples_of_two_channels() -> None:
    values = np.array([[1_000, 3_000], [-2_000, 0]], dtype="<i2")
    stream = PcmStream(io.BytesIO(values.tobytes() + b"half"), PcmFormat(RATE, 2))
    np.testing.assert_array_equal(
        read_waveform(stream), np.float32([2_000, -1_000, np.frombuffer(b"half", "<i2").mean()]) / 32_768
    )


def test_a_block_comes_before_the_pipe_ends() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        pipe.write(riff(format_chunk(), chunk(b"data", SAMPLES, 0xFFFFFFFF)))
        assert next(_blocks(file)).shape == (600, 1)


def _blocks(file: BinaryIO) -> Any:
    stream = open_wav_stream(file)
    assert isinstance(stream, PcmStream)
    return stream.blocks()
