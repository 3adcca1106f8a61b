"""What happens to a clip on its way to a model: noise, gain, clipping, another place, a narrow band.

Functions of waveforms at 16 kHz: the same length out as in, float32, nothing random but what is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechcmd.audio.loudness import measure_rms
from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import SAMPLE_RATE, Waveform, float32_to_int16, int16_to_float32
from speechcmd.audio.word_boundaries import find_boundaries
from speechcmd.evaluation.clips.answers import resample_clip
from speechcmd.runtime.recognition.stream import measure_floor

TELEPHONE_RATE = 8_000
TELEPHONE_BAND_HZ = (300.0, 3_400.0)
_FILTER_ORDER = 6  # run forwards and backwards: 6 dB down at both edges, 72 dB an octave


@dataclass(frozen=True, slots=True)
class WordPlace:
    """Where the word of a clip lies, from sample `start` to before `end`, and its level as an rms."""

    start: int
    end: int
    level: float


def find_word(clip: Waveform) -> WordPlace:
    """Find the word in a clip that was not trimmed; its level is its rms, not its peak.

    From the first to the last 5 ms that stand out of the clip (`word_boundaries.find_boundaries`), as in
    synthetic streams. Shape: (n_samples,), not empty; the level of digital silence is 0.
    """
    start, end = find_boundaries(clip, 0, len(clip))
    return WordPlace(start, end, measure_rms(clip[start:end]))


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float, word: WordPlace) -> Waveform:
    """Add noise over the whole clip, under the word `snr_db` below its level; nothing is clipped.

    Where the noise is constant under the word there is no such ratio, and the clip stays as it is.

    Parameters
    ----------
    noise
        At any level; its mean under the word is taken away. Shape: (n_samples,), as long as the clip.
    """
    under_word = noise[word.start : word.end]
    noise_level = measure_rms(under_word)
    if noise_level == 0.0:
        return waveform
    centred = noise - under_word.mean(dtype=np.float64)
    scale = word.level * 10.0 ** (-snr_db / 20.0) / noise_level
    noisy: Waveform = (waveform + scale * centred).astype(np.float32)
    return noisy


def change_gain(waveform: Waveform, gain_db: float) -> Waveform:
    """Turn the level up or down, then round to 16 bits and clip at full scale as a converter does."""
    return int16_to_float32(float32_to_int16(waveform * np.float32(10.0 ** (gain_db / 20.0))))


def clip_share(waveform: Waveform, share: float) -> Waveform:
    """Clip hard so that this share of all samples of the clip lies at the limit, and keep the rms.

    The rms is kept so that the figure is about distortion and not about gain.
    """
    limit = float(np.quantile(np.abs(waveform), 1.0 - share))
    clipped = np.clip(waveform, -limit, limit)
    level = measure_rms(clipped)
    if level == 0.0:  # mostly digital zero: there is nothing to clip
        return waveform
    return (clipped * (measure_rms(waveform) / level)).astype(np.float32)


def make_quiet(waveform: Waveform, n_samples: int, rng: np.random.Generator) -> Waveform:
    """White noise at the level of the clip's own quiet parts: digital zero is a cue. Shape: (n_samples,)."""
    floor = np.float32(measure_floor(waveform, SAMPLE_RATE))
    return floor * white_noise(n_samples, int(rng.integers(2**32)))


def shift_time(waveform: Waveform, shift_ms: float, rng: np.random.Generator) -> Waveform:
    """Move the sound later (or earlier, if negative); what leaves the clip is lost, quiet noise comes in."""
    n_samples = len(waveform)
    n_moved = min(n_samples, round(abs(shift_ms) * SAMPLE_RATE / 1000))
    quiet = make_quiet(waveform, n_moved, rng)
    if shift_ms >= 0:
        return np.concatenate([quiet, waveform[: n_samples - n_moved]])
    return np.concatenate([waveform[n_moved:], quiet])


def fit_length(waveform: Waveform, n_samples: int) -> Waveform:
    """Cut the end off, or add zeros there. Shape: any length -> (n_samples,)."""
    kept = waveform[:n_samples]
    return np.pad(kept, (0, n_samples - len(kept))) if len(kept) < n_samples else kept


def limit_rate(waveform: Waveform, sample_rate: int = TELEPHONE_RATE) -> Waveform:
    """Sample at a lower rate and bring it back: nothing above half that rate is left."""
    low = resample_clip(waveform, sample_rate)
    return fit_length(Resampler(sample_rate).feed(low, last=True), len(waveform))


def limit_band(waveform: Waveform, band_hz: tuple[float, float] = TELEPHONE_BAND_HZ) -> Waveform:
    """Keep one band, without delay (a Butterworth filter, forwards and backwards)."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(_FILTER_ORDER, band_hz, btype="bandpass", fs=SAMPLE_RATE, output="sos")
    n_padded = min(len(waveform) - 1, 3 * (2 * len(sections) + 1))
    filtered: Waveform = sosfiltfilt(sections, waveform, padlen=n_padded).astype(np.float32)
    return filtered
