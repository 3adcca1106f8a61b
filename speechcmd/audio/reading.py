"""Reading audio: any rate, channel count and length, in blocks of constant memory."""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np

from speechcmd.arrays import AnyArray, FloatArray
from speechcmd.audio.mixing import Mixer
from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import (
    SAMPLE_RATE,
    SAMPLE_RATES_HZ,
    Int16,
    Waveform,
    check_scale,
    finite_samples,
    float32_to_int16,
    int16_to_float32,
    is_bounded,
)
from speechcmd.audio.suffixes import NEEDS_FFMPEG
from speechcmd.audio.unfinished import with_true_length
from speechcmd.errors import STREAM, AudioError, AudioWarning, printable

BLOCK_S = 10.0  # long enough that calls cost nothing, short enough that memory stays small
# whatever channels and rate a header claims, a block is not larger: 16 MB of float32
_BLOCK_VALUES = 2**22

FileSource = str | os.PathLike[str] | BinaryIO


@runtime_checkable
class AudioBlocks(Protocol):
    """Audio that comes in blocks from elsewhere than a file, such as a pipe that is still open."""

    sample_rate: int

    def blocks(self) -> Iterator[FloatArray]:
        """Yield the samples as they come. Shape of each: (n_samples,) or (n_samples, n_channels)."""
        ...


AudioSource = FileSource | AudioBlocks

# 16 kHz mono int16: what stands before the samples, but for the length of the file
_PLAIN_FORMAT = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
_PLAIN_WAV = b"RIFF....WAVEfmt " + _PLAIN_FORMAT + b"data"


@contextmanager
def open_audio(source: FileSource) -> Iterator[Any]:
    """Open a recording as `soundfile.SoundFile`, to be read from its begin to its end.

    Its `frames` are what the header says; samples are read as far as there are any.

    Raises
    ------
    AudioError
        If the recording does not exist, is no file, is empty, is in a format that libsndfile cannot read,
        says nowhere how it is coded, or has an absurd sample rate.
    """
    import soundfile

    from speechcmd.audio.forward_file import ForwardFile

    path = _path_of(source)
    with ExitStack() as opened:
        try:
            mended = opened.enter_context(_mended(source))
            file = opened.enter_context(ForwardFile(mended or openable(source)))
        except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
            raise _why_unreadable(path, error) from error
        if file.format == "RAW":  # libsndfile takes anything called .au, .snd or .vox for telephone sound
            raise AudioError("not audio that soundfile can read (it has no header)", path=path)
        lowest, highest = SAMPLE_RATES_HZ
        if not lowest <= file.samplerate <= highest:
            raise AudioError(
                f"expected a sample rate from {lowest} to {highest} Hz, got {file.samplerate} Hz",
                path=path,
                advice="is the header damaged?",
            )
        yield file


@contextmanager
def _mended(source: FileSource) -> Iterator[Any]:
    """The recording with a header that covers all its samples, if its own does not; else None."""
    if not isinstance(source, str | os.PathLike):
        yield with_true_length(source) if source.seekable() and source.tell() == 0 else None
        return
    if not stat.S_ISREG(Path(source).stat().st_mode):  # opening a pipe would wait for ever
        raise OSError
    with io.FileIO(source) as file:
        yield with_true_length(file)


def read_blocks(
    source: AudioSource, sample_rate: int = SAMPLE_RATE, block_s: float = BLOCK_S
) -> Iterator[Waveform]:
    """Yield a recording as mono blocks at `sample_rate`, in constant memory.

    Not-a-number samples (possible in float files) become zero, absurd ones are bounded. Channels are mixed;
    where they cancel each other out, the first is taken, with an `AudioWarning` at the end. Blocks of a file
    are about `block_s` seconds long, others as long as they come, and never empty; a recording without
    samples yields nothing. The header's length is not relied on: what a killed recorder left is read to
    its end. A wav, ogg or mp3 that was cut short is read as far as it goes: their decoders do not tell.

    Raises
    ------
    AudioError
        As `open_audio`; also when decoding breaks off in the middle, or float samples are whole numbers.
    """
    if isinstance(source, AudioBlocks):
        yield from _convert(source.blocks(), source.sample_rate, sample_rate, STREAM)
        return
    path = _path_of(source)
    with open_audio(source) as file:
        blocks = map(_as_float, _decoded_blocks(file, path, block_s))
        yield from _convert(blocks, file.samplerate, sample_rate, path)


def _decoded_blocks(file: Any, path: str, block_s: float = BLOCK_S) -> Iterator[AnyArray]:
    """int16 where the file holds that, else float32. Shape of each: (n_samples,[ n_channels])."""
    import soundfile

    n_samples = max(1, min(round(block_s * file.samplerate), _BLOCK_VALUES // file.channels))
    # scaled by us to the same values, several times faster than by the decoder
    dtype = "int16" if file.subtype == "PCM_16" else "float32"
    while True:
        try:
            block = file.read(n_samples, dtype=dtype, always_2d=False)
        except soundfile.SoundFileError as error:
            raise AudioError(f"damaged, decoding stopped: {error}", path=path) from error
        yield block
        if len(block) < n_samples:
            return


def _as_float(block: AnyArray) -> FloatArray:
    return int16_to_float32(block) if block.dtype == np.int16 else block


def _convert(blocks: Iterable[FloatArray], from_rate: float, to_rate: float, path: str) -> Iterator[Waveform]:
    resampler, mixer = Resampler(from_rate, to_rate), Mixer()
    for block in blocks:
        if not is_bounded(block):
            check_scale(block, path)
        ready = resampler.feed(np.ascontiguousarray(mixer.feed(finite_samples(block))))
        if len(ready):
            yield ready
    ready = resampler.feed(np.zeros(0, dtype=np.float32), last=True)
    if len(ready):
        yield ready
    if mixer.took_one_channel:
        warnings.warn(
            f"{printable(path)}: its channels cancel each other out; the first was taken", AudioWarning, 2
        )


def read_waveform(source: AudioSource, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """Read a whole recording as one mono waveform. Shape: (n_samples,), which may be (0,)."""
    blocks = list(read_blocks(source, sample_rate))
    if not blocks:
        return np.zeros(0, dtype=np.float32)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def read_int16(source: FileSource, longest_s: float | None = None) -> Int16:
    """Read a whole recording as mono int16 at 16 kHz: what a store keeps. Shape: (n_samples,).

    Raises
    ------
    AudioError
        As `read_blocks`; also if the recording is longer than `longest_s`, of which no more is read.
    """
    most = math.inf if longest_s is None else longest_s * SAMPLE_RATE
    plain = _read_plain_wav(source, most)
    if plain is not None:
        return plain
    with open_audio(source) as file:
        if (file.samplerate, file.channels, file.subtype) == (SAMPLE_RATE, 1, "PCM_16"):
            return np.concatenate(list(_up_to(most, _decoded_blocks(file, _path_of(source)), source)))
    blocks = list(_up_to(most, map(float32_to_int16, read_blocks(source)), source))
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int16)


def _up_to(most: float, blocks: Iterable[Int16], source: FileSource) -> Iterator[Int16]:
    n_samples = 0
    for block in blocks:
        n_samples += len(block)
        if n_samples > most:
            raise AudioError(
                f"expected a clip of a word, got more than {most / SAMPLE_RATE:g} s",
                path=_path_of(source),
                advice="long recordings are given as --speech, --noise or --music",
            )
        yield block


def _read_plain_wav(source: FileSource, most: float = math.inf) -> Int16 | None:
    """Samples of a wav file of the commonest form, of which there are thousands, without a decoder.

    None for whatever else, down to a wrong length in the header: that is the decoder's to judge.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        there = Path(source).stat()
        if not stat.S_ISREG(there.st_mode):  # opening a pipe would wait for ever
            return None
        with io.FileIO(source) as file:
            head = file.read(len(_PLAIN_WAV) + 4)
            n_bytes = int.from_bytes(head[-4:], "little")
            if head[:4] != _PLAIN_WAV[:4] or head[8:-4] != _PLAIN_WAV[8:]:
                return None
            if n_bytes % 2 or n_bytes / 2 > most or there.st_size != len(head) + n_bytes:
                return None
            samples = np.empty(n_bytes // 2, dtype="<i2")
            return samples if file.readinto(samples.view(np.uint8).data) == n_bytes else None
    except OSError:
        return None


def encode_flac(samples: Int16, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Return mono int16 samples as the content of a 16-bit flac file. Shape: (n_samples,), n_samples > 0."""
    import soundfile

    # in memory: libsndfile does not say that a disk is full
    content = io.BytesIO()
    soundfile.write(content, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return content.getvalue()


def duration_s(source: FileSource) -> float:
    """Length of a recording in seconds: the header's if it has so many samples, else counted.

    Raises
    ------
    AudioError
        As `read_blocks`.
    """
    claimed_s = claimed_duration_s(source)
    if claimed_s is not None:
        return claimed_s
    if not isinstance(source, str | os.PathLike):
        source.seek(0)
    with open_audio(source) as file:
        n_samples = sum(len(block) for block in _decoded_blocks(file, _path_of(source)))
        return float(n_samples / file.samplerate)


def claimed_duration_s(source: FileSource) -> float | None:
    """Length in seconds by the header, at no cost; None if the last of so many samples is not there.

    Raises
    ------
    AudioError
        As `open_audio`.
    """
    import soundfile

    with open_audio(source) as file:
        if file.frames == 0:
            return 0.0
        try:
            file.seek(file.frames - 1)
            is_there = len(file.read(1, dtype="float32")) == 1
        except (soundfile.SoundFileError, OverflowError):
            return None
        return float(file.frames / file.samplerate) if is_there else None


def _path_of(source: FileSource) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else STREAM


def openable(source: FileSource) -> Any:
    """What soundfile opens a file by: it encodes names strictly, those that are no text must be bytes."""
    if os.name == "posix" and isinstance(source, str | os.PathLike):
        return os.fsencode(source)
    return source


def _why_unreadable(path: str, error: Exception) -> AudioError:
    reason, advice = "", ""
    if path != STREAM:
        try:
            reason, advice = _why_no_file(Path(path))
        except OSError as problem:  # a name that is too long, a folder that may not be read
            reason = problem.strerror or str(problem)
    decoder = str(getattr(error, "error_string", error)).rstrip(".")
    return AudioError(reason or f"not audio that soundfile can read ({decoder})", path=path, advice=advice)


def _why_no_file(path: Path) -> tuple[str, str]:
    """What keeps a file from being read, and what to do; nothing if it is up to the decoder."""
    if not path.exists():
        return "no such file", ""
    if path.is_fifo():
        advice = "what comes through a pipe is read from standard input: ... | speechcmd transcribe -"
        return "expected an audio file, got a pipe", advice
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a socket" if path.is_socket() else "a device"
        return f"expected an audio file, got {kind}", ""
    if path.stat().st_size == 0:
        return "the file is empty (0 bytes)", ""
    with path.open("rb"):
        pass  # the system's own reason, such as a missing permission, is better than the decoder's
    if path.suffix.lower() in NEEDS_FFMPEG:
        command = f'ffmpeg -i "{printable(path.name)}" -ar 16000 -ac 1 "{printable(path.stem)}.wav"'
        return f"soundfile cannot read {path.suffix}", f"convert it first: {command}"
    return "", ""
