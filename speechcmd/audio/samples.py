"""Samples: the rate of the project, and the two forms in which they are held.

Waveforms are float32 in [-1, 1], shape (n_samples,); stored audio is int16. The two meet in
`int16_to_float32` and `float32_to_int16` and nowhere else. Whole numbers that a file holds as float are
refused, not scaled: a quiet begin does not tell the one from the other, and by which number to divide
(32,768 or 2,147,483,648) is known to whoever wrote them.
"""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import AnyArray, AnyFloatArray, FloatArray, Int16Array
from speechcmd.errors import AudioError

SAMPLE_RATE = 16_000
INT16_SCALE = 32_768.0
# no microphone lies outside; 40 kB of "1 Hz" would become hours of audio
SAMPLE_RATES_HZ = (1_000, 768_000)

Waveform = FloatArray
Int16 = Int16Array

# 24 dB over full scale: more is no sound, and would overflow in a network
LARGEST_SAMPLE = 16.0
_LARGEST_INTEGER = 2.0**31
_LEAST_SHARE = 0.01  # a damaged sample here and there is bounded, not refused


def int16_to_float32(samples: Int16) -> Waveform:
    """Scale int16 samples to float32 in [-1, 1). Shape: any -> the same."""
    # multiplying by a power of two is exact, and one pass instead of two
    waveform: Waveform = np.multiply(samples, np.float32(1.0 / INT16_SCALE), dtype=np.float32)
    return waveform


def float32_to_int16(waveform: AnyArray) -> Int16:
    """Round a waveform to int16; values beyond full scale are clipped. Shape: any -> the same."""
    scaled = np.rint(np.asarray(waveform, dtype=np.float32) * np.float32(INT16_SCALE))
    limited: Int16 = np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return limited


def finite_samples(waveform: Waveform) -> Waveform:
    """Replace not-a-number by zero and infinity by full scale, bound the rest. Shape: any -> the same."""
    if is_bounded(waveform):
        return waveform
    finite: Waveform = np.nan_to_num(waveform, nan=0.0, posinf=1.0, neginf=-1.0)
    return finite.clip(-LARGEST_SAMPLE, LARGEST_SAMPLE)


def is_bounded(waveform: Waveform) -> bool:
    """Whether no sample is beyond `LARGEST_SAMPLE` or no number. Shape: any."""
    # one look at the extremes (not a number wins both) spares the usual block two passes
    return waveform.size == 0 or bool(waveform.max() <= LARGEST_SAMPLE and waveform.min() >= -LARGEST_SAMPLE)


def check_scale(samples: AnyFloatArray, path: str) -> None:
    """Refuse a block of whole numbers of 16 to 32 bits, read from a path. Shape: any.

    Raises
    ------
    AudioError
        If one sample of a hundred lies beyond `LARGEST_SAMPLE` and within what 32 bits hold.
    """
    size = np.abs(samples)
    beyond = (size > LARGEST_SAMPLE) & (size <= _LARGEST_INTEGER)
    if np.count_nonzero(beyond) < max(1.0, _LEAST_SHARE * samples.size):
        return
    largest = float(size[beyond].max())
    raise AudioError(
        f"expected float samples from -1 to 1, got up to {largest:,.0f}: whole numbers",
        path=path,
        advice="divide them by 32768 (16 bits) or 2147483648 (32 bits), or write them as integers",
    )
