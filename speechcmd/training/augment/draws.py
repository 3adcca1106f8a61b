"""Augmentation of whole batches, on any device; draws come from numpy: a seed means one thing everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechcmd.arrays import BoolArray, FloatArray, IntArray
from speechcmd.training.data.to_device import put

# of the window: nearer a word is in view as a rule, farther nothing of it
HALF_SEEN_SHIFT = (0.2, 0.8)
VOICES = 3  # in babble: of so many no word is made out


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training batches; a zero switches a part off.

    `time_shift_ms` moves the window either way, from a place in which a word lies `late_ms` after its
    middle. `noise_percent` of the clips get background noise at a signal-to-noise ratio between the two
    `noise_snr_db`. `gain_db` either way. SpecAugment (Park et al. 2019, arXiv 1904.08779) covers
    `time_masks` spans of up to `time_mask_frames` and `band_masks` of up to `band_mask_bands` with the
    mean. `speed_percent` makes words up to that much faster or slower. `room_percent` of the clips are
    heard through a made-up room, `image_percent` of those that are no images already through an 8-bit
    JPEG image of their log-mel. `half_seen_percent` of the words are moved so far that they lie at the
    edge of the window or beyond. `warp_percent` makes vocal tracts up to that much longer or shorter.
    `neighbour_percent` of the words get another clip's word beside them, 0.1 to 0.8 s before or after.
    `tilt_db`, either way, is what a microphone passes the highest band better than the lowest, and
    `noise_tilt_db` the same for the noise that is mixed in; in `babble_percent` of the noisy clips it is
    `VOICES` people of the split's running speech who talk at once; in
    `narrow_percent` of the clips nothing lies above some frequency of 4000 Hz or more.
    """

    time_shift_ms: float = 100.0
    late_ms: float = 0.0
    noise_percent: float = 50.0
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    gain_db: float = 10.0
    time_masks: int = 1
    time_mask_frames: int = 8
    band_masks: int = 1
    band_mask_bands: int = 6
    speed_percent: float = 0.0
    room_percent: float = 25.0
    image_percent: float = 0.0
    half_seen_percent: float = 25.0
    warp_percent: float = 0.0
    neighbour_percent: float = 0.0
    tilt_db: float = 0.0
    noise_tilt_db: float = 0.0
    babble_percent: float = 0.0
    narrow_percent: float = 0.0

    @classmethod
    def off(cls) -> AugmentConfig:
        """Nothing is done: for validation."""
        return cls(
            time_shift_ms=0.0, noise_percent=0.0, gain_db=0.0, time_masks=0, band_masks=0, room_percent=0.0,
            half_seen_percent=0.0,
        )  # fmt: skip

    @property
    def longest_factor(self) -> float:
        """How many times its own length a window needs to be played faster."""
        return 1 + self.speed_percent / 100


def draw_time_shift(
    config: AugmentConfig, n_clips: int, sample_rate: int, rng: np.random.Generator
) -> IntArray:
    """Shift of each window in samples. Shape: (n_clips,)."""
    most = round(config.time_shift_ms * sample_rate / 1000)
    return rng.integers(-most, most + 1, size=n_clips)


def draw_half_seen(config: AugmentConfig, n_clips: int, n_window: int, rng: np.random.Generator) -> IntArray:
    """Shift in samples of the words that come to lie at an edge; 0 for the others. Shape: (n_clips,)."""
    moved = draw_share(config.half_seen_percent, n_clips, rng)
    distance = rng.uniform(*HALF_SEEN_SHIFT, size=n_clips) * n_window
    return np.where(moved, np.rint(distance * rng.choice((-1, 1), size=n_clips)), 0).astype(np.int64)


def draw_gain(config: AugmentConfig, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """Factor of each clip. Shape: (n_clips,)."""
    gain_db = rng.uniform(-config.gain_db, config.gain_db, size=n_clips)
    return (10.0 ** (gain_db / 20.0)).astype(np.float32)


def draw_snr(config: AugmentConfig, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """Signal-to-noise ratio of each clip in dB, infinite where no noise is mixed in. Shape: (n_clips,)."""
    snr_db = rng.uniform(*config.noise_snr_db, size=n_clips)
    snr_db[rng.uniform(0.0, 100.0, size=n_clips) >= config.noise_percent] = np.inf
    return snr_db.astype(np.float32)


def draw_factor(percent: float, n_clips: int, rng: np.random.Generator) -> FloatArray:
    """A factor of each clip, up to so many percent from one either way. Shape: (n_clips,)."""
    most = percent / 100
    return (1 + rng.uniform(-most, most, size=n_clips)).astype(np.float32)


def draw_share(percent: float, n_clips: int, rng: np.random.Generator) -> BoolArray:
    """Which clips belong to a share of them. Shape: (n_clips,)."""
    return rng.uniform(0.0, 100.0, size=n_clips) < percent


def mix_noise(waveform: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise at a ratio of mean powers over the window; the inputs stay as they are.

    Shape: (batch, n_samples) twice, (batch,) -> (batch, n_samples).
    """
    return (noise_scale(waveform, noise, snr_db) * noise).add_(waveform)


def noise_scale(waveform: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """What noise is multiplied by to lie at a ratio of mean powers under a signal.

    Shape: (batch, n_samples) twice, (batch,) -> (batch, 1).
    """
    # norms, not means of squares: those would write both signals to memory once more
    signal_rms, noise_rms = (
        torch.linalg.vector_norm(x, dim=1) / x.shape[1] ** 0.5 for x in (waveform, noise)
    )
    ratio: Tensor = signal_rms / noise_rms.clamp_min(1e-5) * 10.0 ** (-snr_db / 20.0)
    return ratio.unsqueeze(1)


def spec_augment(log_mel: Tensor, fill: Tensor, config: AugmentConfig, rng: np.random.Generator) -> Tensor:
    """Cover spans of frames and of bands with `fill`, the mean of each band.

    Shape: (batch, n_frames, n_mels) and (n_mels,) -> (batch, n_frames, n_mels).
    """
    n_clips, n_frames, n_mels = log_mel.shape
    covered = _spans(config.time_masks, config.time_mask_frames, n_clips, n_frames, rng)[:, :, None]
    covered = covered | _spans(config.band_masks, config.band_mask_bands, n_clips, n_mels, rng)[:, None, :]
    return torch.where(put(covered, log_mel.device), fill, log_mel)


def _spans(n_spans: int, longest: int, n_clips: int, size: int, rng: np.random.Generator) -> BoolArray:
    """True inside random spans. Shape: (n_clips, size)."""
    covered = np.zeros((n_clips, size), dtype=np.bool_)
    places = np.arange(size)
    for _ in range(n_spans):
        width = rng.integers(0, min(longest, size) + 1, size=(n_clips, 1))
        first = rng.integers(0, size - width + 1)
        covered |= (places >= first) & (places < first + width)
    return covered
