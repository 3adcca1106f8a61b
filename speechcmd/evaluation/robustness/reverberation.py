"""Rooms: simulated ones, and impulse responses of real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechcmd.audio.loudness import measure_rms
from speechcmd.audio.reading import read_waveform
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.errors import EvaluationError

DIRECT_TO_REVERBERANT_DB = 0.0  # as far from the microphone as the critical distance
_FIRST_REFLECTION_S = 0.0025  # a detour of about 0.9 m
_DECAY = 3.0 * math.log(10.0)  # of the amplitude in one reverberation time: 60 dB


@dataclass(frozen=True)
class Response:
    """An impulse response that was read, aligned at its strongest sample."""

    name: str
    waveform: Waveform
    """Shape: (n_samples,)."""
    direct: int
    """Its strongest sample."""

    @property
    def rt60_s(self) -> float:
        """Reverberation time of what follows the strongest sample."""
        return measure_rt60(self.waveform[self.direct :])

    @property
    def delay_ms(self) -> float:
        """How long it lasts before its strongest sample."""
        return 1000 * self.direct / SAMPLE_RATE


def make_room(
    rt60_s: float, rng: np.random.Generator, direct_to_reverberant_db: float = DIRECT_TO_REVERBERANT_DB
) -> Waveform:
    """Impulse response of a simulated room: a direct path of 1 at its beginning, and a tail of noise.

    The tail is white Gaussian noise that begins 2.5 ms later, falls by 60 dB in `rt60_s` and ends there.
    Shape: (n_samples,).
    """
    time_s = np.arange(1, round(rt60_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time_s)) * np.exp(-_DECAY * time_s / rt60_s)
    tail[time_s < _FIRST_REFLECTION_S] = 0.0
    tail *= math.sqrt(10.0 ** (-direct_to_reverberant_db / 10.0) / np.sum(tail**2))
    return np.concatenate([[1.0], tail]).astype(np.float32)


def reverberate(waveform: Waveform, response: Waveform, direct: int = 0) -> Waveform:
    """Play a clip in a room; sample `direct` of the response is where the sound stays in place.

    Nothing is clipped. Shape: (n_samples,), (n_response,) -> (n_samples,).
    """
    from scipy.signal import fftconvolve

    wet: Waveform = fftconvolve(waveform, response)[direct : direct + len(waveform)].astype(np.float32)
    return wet


def reverberate_level(waveform: Waveform, response: Response) -> Waveform:
    """Play a clip through a response that was read, at the clip's own rms: its scale means nothing."""
    wet = reverberate(waveform, response.waveform, response.direct)
    level = measure_rms(wet)
    return wet if level == 0.0 else wet * np.float32(measure_rms(waveform) / level)


def read_response(path: Path) -> Response:
    """Read an impulse response, mixed to mono and resampled to 16 kHz.

    Raises
    ------
    AudioError
        If the file cannot be read.
    EvaluationError
        If it is silent.
    """
    waveform = read_waveform(path)
    if not np.any(waveform):
        raise EvaluationError("expected an impulse response, got silence", path=path)
    return Response(path.stem, waveform, int(np.argmax(np.abs(waveform))))


def measure_rt60(response: Waveform) -> float:
    """Reverberation time in s: three times the fall from -5 to -25 dB (T20 of ISO 3382-1).

    By backward integration (Schroeder 1965, JASA 37:409). Shape: (n_samples,), not silent.
    """
    remaining = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    begin, end = (int(np.sum(remaining > remaining[0] * 10.0 ** (db / 10.0))) for db in (-5.0, -25.0))
    return 3.0 * (end - begin) / SAMPLE_RATE
