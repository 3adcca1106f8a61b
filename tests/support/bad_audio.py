"""Files that are not what they should be: recordings in every odd form, damaged ones, and no recordings at all.

Everything is seeded and tiny. A form that can be read holds the toy word "low", so that a reader
which gets the samples wrong is found out.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from fakes import SAMPLE_RATE, TONES_HZ, WINDOW_SAMPLES

HEARD, RESULT, REFUSED, EITHER = "heard", "result", "refused", "either"
"""The word must be heard; some result; one line; a result or one line."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file and what must come of it."""

    content: bytes
    expected: str


def word(rate: int = SAMPLE_RATE, channels: int = 1, duration_s: float = 0.6) -> np.ndarray[Any, Any]:
    """The toy word, long enough to be heard. Shape: (n_samples,) or (n_samples, channels)."""
    time_s = np.arange(round(duration_s * rate)) / rate
    tone = (0.3 * np.sin(2 * np.pi * TONES_HZ["low"] * time_s)).astype(np.float32)
    return tone if channels == 1 else np.repeat(tone[:, None], channels, axis=1)


@cache
def encoded(container: str, subtype: str | None = None, rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    """The toy word in a form that libsndfile writes."""
    return _encode(word(rate, channels), rate, container, subtype)


def _encode(
    samples: np.ndarray[Any, Any], rate: int = SAMPLE_RATE, container: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


@cache
def cases() -> dict[str, Case]:
    """All files, by name."""
    return {
        **_forms(),
        **_names(),
        **_wrong_suffixes(),
        **_samples(),
        **_lengths(),
        **_truncated(),
        **_flipped(),
        **_headers(),
        **_not_audio(),
    }


def _forms() -> dict[str, Case]:
    forms = {
        "WAV": "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW IMA_ADPCM MS_ADPCM GSM610",
        "AIFF": "PCM_S8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW",
        "AU": "PCM_S8 PCM_16 FLOAT ULAW G721_32",
        "FLAC": "PCM_S8 PCM_16 PCM_24",
        "OGG": "VORBIS OPUS",
        "W64": "PCM_16 FLOAT",
        "RF64": "PCM_16",
        "CAF": "PCM_16 ALAC_16",
        "NIST": "PCM_16",
        "VOC": "PCM_16",
        "WAVEX": "PCM_16",
        "IRCAM": "PCM_16",
        "MP3": "MPEG_LAYER_III",
    }
    suffixes = {"NIST": "sph", "WAVEX": "wav"}
    files = {
        f"form {container} {subtype}.{suffixes.get(container, container.lower())}": encoded(
            container, subtype
        )
        for container, subtypes in forms.items()
        for subtype in subtypes.split()
    }
    for khz in (8, 11.025, 12, 16, 22.05, 24, 32, 44.1, 48, 88.2, 96, 176.4, 192):
        files[f"rate {khz:g} kHz.wav"] = encoded("WAV", "PCM_16", round(khz * 1_000))
    for channels in range(1, 9):
        files[f"channels {channels}.wav"] = encoded("WAV", "PCM_16", SAMPLE_RATE, channels)
        files[f"channels {channels}.flac"] = encoded("FLAC", "PCM_24", 48_000, channels)
    return {name: Case(content, HEARD) for name, content in files.items()}


def _names() -> dict[str, Case]:
    names = [
        "name\nwith\nline ends.wav",
        "name\r\twith\x1b[2J controls.wav",
        " name with spaces at both ends .wav",
        "näme 语音 🎤.wav",
        "name \u202e with wav.ekaf.wav",
        "name not text \udcff\udcfe.wav",
        "-m.wav",
        "--help.wav",
        "name 'quoted\" $HOME `id`.wav",
        "name [abc] * ?.wav",
        "name%s%n{0}.wav",
        "UPPER CASE.WAV",
        "name\\with\\backslashes.wav",
        f"long {'n' * 240}.wav",
    ]
    return {name: Case(encoded("WAV"), HEARD) for name in names}


def _wrong_suffixes() -> dict[str, Case]:
    pairs = [
        ("WAV", "flac"),
        ("WAV", "ogg"),
        ("WAV", "mp3"),
        ("WAV", "aiff"),
        ("WAV", "snd"),
        ("FLAC", "wav"),
        ("OGG", "wav"),
        ("MP3", "wav"),
        ("AIFF", "wav"),
        ("AU", "flac"),
    ]
    files = {f"really {container}.{suffix}": Case(encoded(container), HEARD) for container, suffix in pairs}
    for suffix in ("m4a", "mp4", "aac", "wma", "webm", "amr"):
        files[f"video.{suffix}"] = Case(b"\0\0\0\x20ftypM4A " + bytes(500), REFUSED)
    return files


def _samples() -> dict[str, Case]:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(8_000)
    holes = word().astype(np.float64)
    holes[::7] = np.nan
    opposite = np.stack([np.full(8_000, np.inf), np.full(8_000, -np.inf)], axis=1)
    largest = np.finfo(np.float32).max
    values = {
        "nan": np.full(8_000, np.nan),
        "inf": np.full(8_000, np.inf),
        "minus inf": np.full(8_000, -np.inf),
        "word with nan": holes,
        "alternating inf": np.where(np.arange(8_000) % 2, np.inf, -np.inf),
        "opposite inf": opposite,
        "1e30": noise * 1e30,
        "largest float": np.full((8_000, 3), largest),
        "largest floats against each other": np.stack(
            [np.full(8_000, largest), np.full(8_000, -largest)], axis=1
        ),
        "denormals": noise * 1e-42,
        "zeros": np.zeros(8_000),
        "minus zeros": np.full(8_000, -0.0),
        "offset": np.full(8_000, 1.0),
        "one spike": np.where(np.arange(8_000) == 4_000, 1e20, 0.0),
        "full scale square": np.sign(noise),
    }
    files = {}
    for name, samples in values.items():
        files[f"samples {name} 32.wav"] = Case(_encode(samples, subtype="FLOAT"), RESULT)
        files[f"samples {name} 64 at 44.1.wav"] = Case(_encode(samples, 44_100, subtype="DOUBLE"), RESULT)
    files["samples 1e300.wav"] = Case(_encode(noise * 1e300, subtype="DOUBLE"), RESULT)
    return files


def _lengths() -> dict[str, Case]:
    lengths = [0, 1, 2, 159, 160, 319, 320, WINDOW_SAMPLES - 1, WINDOW_SAMPLES, WINDOW_SAMPLES + 1]
    files = {f"length {length}.wav": Case(_encode(word()[:length]), RESULT) for length in lengths}
    for rate in (8_000, 44_100, 192_000):
        for length in (1, 2, 100):
            files[f"length {length} at {rate}.wav"] = Case(_encode(word()[:length], rate), RESULT)
    return files


_DAMAGED = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3", "AIFF": "aiff", "AU": "au"}
_DAMAGED |= {"W64": "w64", "RF64": "rf64", "CAF": "caf", "VOC": "voc", "NIST": "sph"}


def _truncated() -> dict[str, Case]:
    files = {}
    for container, suffix in _DAMAGED.items():
        whole = encoded(container)
        for length in (1, 4, 12, 20, 43, 60, 200, len(whole) // 2, len(whole) - 1):
            expected = REFUSED if length <= 4 else EITHER
            files[f"cut {container} {length}.{suffix}"] = Case(whole[:length], expected)
    return files


def _flipped() -> dict[str, Case]:
    """Damage anywhere in the first 100 bytes, where the structure is, and some further on."""
    rng = np.random.default_rng(2)
    files = {}
    for container, suffix in _DAMAGED.items():
        for number in range(6):
            content = bytearray(encoded(container))
            for position in rng.integers(4, 100, size=3):
                content[position] = rng.integers(256)
            for position in rng.integers(100, len(content), size=20):
                content[position] = rng.integers(256)
            files[f"damaged {container} {number}.{suffix}"] = Case(bytes(content), EITHER)
    return files


def _wav(
    rate: int = SAMPLE_RATE,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    data: bytes = bytes(20_000),
    **claims: int,
) -> bytes:
    """A wav file; `claims` are sizes that its header states instead of the true ones."""
    block = claims.get("block", channels * bits // 8 % 2**16)
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block % 2**32, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", claims.get("form", len(form))) + form
    body += b"data" + struct.pack("<I", claims.get("size", len(data))) + data
    return b"RIFF" + struct.pack("<I", claims.get("riff", len(body))) + body


def _headers() -> dict[str, Case]:
    most = 2**32 - 1
    refused = {
        **{
            f"rate {rate}": _wav(rate)
            for rate in (0, 1, 2, 10, 999, 768_001, 10**8, 2**31 - 1, 2**31, 4 * 10**9)
        },
        **{f"{channels} channels": _wav(channels=channels) for channels in (0, 1_025, 65_535)},
        **{f"{bits} bits": _wav(bits=bits) for bits in (0, 64, 65_535)},
        "unknown coding": _wav(kind=0x1234),
    }
    either = {
        "4 GB in all and in the data, of 1 kB": _wav(data=bytes(1_000), riff=most, size=most),
        "4 GB in all": _wav(data=bytes(1_000), riff=most),
        "1024 channels": _wav(channels=1_024),
        "12 bits": _wav(bits=12, block=2),
        "block of 0": _wav(block=0),
        "block of 65535": _wav(block=65_535),
        "odd length": _wav(data=bytes(1_001)),
        "form of 0 bytes": _wav(form=0),
        "form of 4 GB": _wav(form=most),
        "form longer than the file": _wav(form=100_000),
        "riff of 0 bytes": _wav(riff=0),
        "float of 16 bits": _wav(kind=3),
        "many forms": b"RIFF\xff\xff\xff\xffWAVE" + _wav()[12:36] * 200,
        "many empty chunks": b"RIFF\xff\xff\xff\xffWAVE" + b"junk\0\0\0\0" * 2_000,
        "a chunk of 4 GB before the data": _wav()[:36] + b"LIST\xff\xff\xff\xff" + _wav()[36:],
    }
    files = {f"header {name}.wav": Case(content, REFUSED) for name, content in refused.items()}
    files |= {f"header {name}.wav": Case(content, EITHER) for name, content in either.items()}
    return {**files, **_claims(), **_other_headers()}


def _claims() -> dict[str, Case]:
    """Sizes in the header that the file does not have."""
    sizes = [0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
    return {
        f"claims {size} bytes at {rate} Hz of {channels}.wav": Case(
            _wav(rate, channels=channels, data=bytes(1_000), size=size), EITHER
        )
        for size in sizes
        for rate, channels in ((SAMPLE_RATE, 1), (768_000, 1_000))
    }


def _other_headers() -> dict[str, Case]:
    flac, aiff, au, caf = (bytearray(encoded(name)) for name in ("FLAC", "AIFF", "AU", "CAF"))
    long_flac = flac[:21] + bytes([flac[21] | 0x0F]) + b"\xff\xff\xff\xff" + flac[26:]
    fast_flac = flac[:18] + b"\xff\xff\xff\xff\xff\xff\xff\xff" + flac[26:]
    comm = aiff.index(b"COMM") + 8
    rates = {
        "0": bytes(10),
        "nan": b"\xff" * 10,
        "huge": b"\x7f\xfe" + b"\xff" * 8,
        "1 Hz": b"\x3f\xff\x80" + bytes(7),
    }
    files: dict[str, bytes] = {
        "long.flac": bytes(long_flac),
        "fast and long.flac": bytes(fast_flac),
        "channels.aiff": bytes(aiff[:comm] + b"\xff\xff" + aiff[comm + 2 :]),
        "frames.aiff": bytes(aiff[: comm + 2] + b"\xff\xff\xff\xff" + aiff[comm + 6 :]),
        **{
            f"rate {name}.aiff": bytes(aiff[: comm + 8] + rate + aiff[comm + 18 :])
            for name, rate in rates.items()
        },
        "offset.au": bytes(au[:4] + b"\xff\xff\xff\xff" + au[8:]),
        "size.au": bytes(au[:8] + b"\xff\xff\xff\xff" + au[12:]),
        "rate.au": bytes(au[:16] + b"\xff\xff\xff\xff" + au[20:]),
        "channels.au": bytes(au[:20] + b"\xff\xff\xff\xff" + au[24:]),
        "no channels.au": bytes(au[:20] + bytes(4) + au[24:]),
        "rate nan.caf": bytes(caf[:20] + struct.pack(">d", float("nan")) + caf[28:]),
        "rate 1e300.caf": bytes(caf[:20] + struct.pack(">d", 1e300) + caf[28:]),
        "size.rf64": encoded("RF64")[:20] + b"\xff" * 24 + encoded("RF64")[44:],
        "size.w64": encoded("W64")[:16] + b"\xff" * 7 + b"\x7f" + encoded("W64")[24:],
    }
    ogg = bytearray(encoded("OGG"))
    last = ogg.rindex(b"OggS")
    files["end.ogg"] = bytes(ogg[: last + 6] + b"\xff" * 7 + b"\x3f" + ogg[last + 14 :])
    return {f"header {name}": Case(content, EITHER) for name, content in files.items()}


def _not_audio() -> dict[str, Case]:
    rng = np.random.default_rng(3)
    contents = {
        "empty": b"",
        "text": b"not audio\n" * 100,
        "html": b"<!doctype html><title>404 Not Found</title>",
        "json": b'{"error": "not found"}',
        "zip": b"PK\x03\x04" + rng.bytes(1_000),
        "gzip": b"\x1f\x8b\x08" + rng.bytes(1_000),
        "png": b"\x89PNG\r\n\x1a\n" + rng.bytes(1_000),
        "pdf": b"%PDF-1.7\n" + rng.bytes(1_000),
        "program": b"\x7fELF" + bytes(1_000),
        "nothing but zeros": bytes(4_000),
        "riff only": b"RIFF",
        "riff of a film": b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(1_000),
        "wave without chunks": b"RIFF\x04\x00\x00\x00WAVE",
        "wave without data": _wav()[:36],
        "flac mark only": b"fLaC",
        "ogg mark only": b"OggS",
        "two FORMs": b"FORM\x00\x00\x00\x04AIFF" * 2,
    }
    files = {}
    for name, content in contents.items():
        for suffix in ("wav", "flac", "ogg"):
            files[f"not audio, {name}.{suffix}"] = Case(content, REFUSED)
    for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"):
        for number in range(3):
            files[f"random {number}.{suffix}"] = Case(rng.bytes(3_000), EITHER)
    files["mp3 mark only.mp3"] = Case(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", EITHER)
    files["mp3 frames of nothing.mp3"] = Case((b"\xff\xfb\x90\x00" + bytes(413)) * 20, EITHER)
    return files


def make_odd_places(folder: Path) -> dict[str, str]:
    """Make what is no plain file; return what must come of naming each on the command line."""
    (folder / "good.wav").write_bytes(encoded("WAV"))
    (folder / "a folder.wav").mkdir()
    (folder / "deep" / "er.wav").mkdir(parents=True)
    (folder / "deep" / "er.wav" / "good.wav").write_bytes(encoded("WAV"))
    links = {"dangling.wav": "nowhere.wav", "loop.wav": "loop.wav", "to a good one.wav": "good.wav"}
    links |= {"to itself": ".", "to a device.wav": "/dev/null"}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "a pipe.wav")
    return {
        "a folder.wav": REFUSED,
        "deep": HEARD,
        "dangling.wav": REFUSED,
        "loop.wav": REFUSED,
        "to a good one.wav": HEARD,
        "to a device.wav": REFUSED,
        "a pipe.wav": REFUSED,
        "missing.wav": REFUSED,
        "miss*ing.wav": REFUSED,
        "good.wav/inside.wav": REFUSED,
        "n" * 300 + ".wav": REFUSED,
        "n/" * 4_000: REFUSED,
        "n" * 300 + "*.wav": REFUSED,
    }
