"""Lossy coding and back, in memory, with what this computer's libsndfile can write."""

from __future__ import annotations

import inspect
import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.evaluation.clips.answers import resample_clip
from speechcmd.evaluation.robustness.distortion import TELEPHONE_RATE, fit_length

# libsndfile turns its compression level, 0 to 1, into a bit rate evenly between these, for mono at 16 kHz
_MP3_KBIT_S = (160.0, 8.0)
_OPUS_KBIT_S = (256.0, 6.0)
_HIGHEST_LEVEL = 0.9999  # some versions refuse 1


@dataclass(frozen=True, slots=True)
class Codec:
    """A format, and how strongly it compresses."""

    format: str
    subtype: str
    sample_rate: int = SAMPLE_RATE
    compression_level: float | None = None
    """Of libsndfile, 0 to 1; None where the format has none."""
    bitrate_mode: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments for soundfile."""
        options = {"compression_level": self.compression_level, "bitrate_mode": self.bitrate_mode}
        return {name: value for name, value in options.items() if value is not None}


def mp3(kbit_s: float) -> Codec:
    """MP3 at a constant bit rate, 8 to 160 kbit/s."""
    return Codec("MP3", "MPEG_LAYER_III", SAMPLE_RATE, _level_between(kbit_s, _MP3_KBIT_S), "CONSTANT")


def opus(kbit_s: float) -> Codec:
    """Ogg Opus at a nominal bit rate, 6 to 256 kbit/s; the rate that comes out depends on the sound."""
    return Codec("OGG", "OPUS", SAMPLE_RATE, _level_between(kbit_s, _OPUS_KBIT_S))


def vorbis(quality: float) -> Codec:
    """Ogg Vorbis at a quality of 0 to 10, as oggenc counts it."""
    return Codec("OGG", "VORBIS", SAMPLE_RATE, min(1.0 - quality / 10.0, _HIGHEST_LEVEL))


def g711() -> Codec:
    """The µ-law of telephones: 8 kHz, 64 kbit/s."""
    return Codec("WAV", "ULAW", TELEPHONE_RATE)


def gsm() -> Codec:
    """GSM 06.10 full rate, of early mobile telephones: 8 kHz, 13 kbit/s."""
    return Codec("WAV", "GSM610", TELEPHONE_RATE)


def why_missing(codec: Codec) -> str:
    """Why this computer cannot code so, in a few words; "" if it can."""
    import soundfile

    formats = soundfile.available_formats()
    if codec.format not in formats or codec.subtype not in soundfile.available_subtypes(codec.format):
        return f"this libsndfile ({soundfile.__libsndfile_version__}) cannot write it"
    known = inspect.signature(soundfile.SoundFile).parameters
    if not codec.options.keys() <= known.keys():
        return f"needs soundfile 0.13 or newer, this is {soundfile.__version__}"
    return ""


def code_and_decode(waveform: Waveform, codec: Codec) -> Waveform:
    """Code a clip, decode it, and take the codec's delay away. Shape: (n_samples,), not empty -> the same."""
    sent = np.clip(resample_clip(waveform, codec.sample_rate), -1.0, 1.0)
    received = _round_trip(sent, codec)[_measure_delay(codec) :]
    if codec.sample_rate != SAMPLE_RATE:
        received = Resampler(codec.sample_rate).feed(fit_length(received, len(sent)), last=True)
    return fit_length(received, len(waveform))


def _round_trip(waveform: Waveform, codec: Codec) -> Waveform:
    import soundfile

    content = io.BytesIO()
    with soundfile.SoundFile(
        content, "w", codec.sample_rate, 1, codec.subtype, format=codec.format, **codec.options
    ) as file:
        file.write(waveform)
    content.seek(0)
    decoded: Waveform = soundfile.read(content, dtype="float32")[0]
    return decoded


@cache
def _measure_delay(codec: Codec) -> int:
    """Samples by which a decoded sound is late: where a file says so, the decoder takes them away itself.

    An mp3 of a low rate has no room to say so.
    """
    from scipy.signal import correlate

    n_samples = codec.sample_rate
    probe = np.zeros(n_samples, dtype=np.float32)
    burst = slice(n_samples // 4, n_samples // 2)
    noise = np.random.default_rng(0).standard_normal(n_samples // 4)
    probe[burst] = 0.1 * np.convolve(noise, np.ones(4) / 2, mode="same")  # low enough that all codecs keep it
    received = _round_trip(probe, codec)
    lag = int(np.argmax(correlate(received, probe))) - (n_samples - 1)
    return max(0, lag)


def _level_between(kbit_s: float, ends_kbit_s: tuple[float, float]) -> float:
    best, worst = ends_kbit_s
    return min((best - kbit_s) / (best - worst), _HIGHEST_LEVEL)
