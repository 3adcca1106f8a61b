"""Augmentation of log-mel spectrograms in the power domain: level, noise, speed and rooms.

Every function takes a whole batch on any device and leaves its inputs as they are. Log-mel is
`ln(power + floor)` with the front end's floor; `power` is what the operations are about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.frontend import FrontEndConfig, hz_to_mel
from speechcmd.arrays import BoolArray
from speechcmd.training.settings.config import AugmentConfig
from speechcmd.training.to_device import to_device

_SILENT_POWER = 1e-10
_NOTHING_LEFT = 1e-20
_CHUNK_FRAMES = 16
_WARPED_SHARE = 0.8  # of the frequencies; above them the warp gives way


def change_floor(log_mel: Tensor, before: float, after: float) -> Tensor:
    """Log-mel `ln(power + before)` as `ln(power + after)`, of any shape."""
    if before == after:
        return log_mel.clone()
    return _to_power(log_mel, before).add_(after).log_()


def shift_level(log_mel: Tensor, gain_db: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """The spectrogram of a louder or quieter waveform; the floor stays where it is.

    Shape: (batch, n_frames, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    return shift_bands(log_mel, gain_db[:, None], frontend)


def tilt_bands(log_mel: Tensor, tilt_db: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """The spectrogram through a microphone that passes the highest band so much better than the lowest.

    The gain grows evenly from band to band, and the middle one keeps its level.

    Shape: (batch, n_frames, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    return shift_bands(log_mel, tilt_gains(tilt_db.to(log_mel), log_mel.shape[2]), frontend)


def tilt_gains(tilt_db: Tensor, n_mels: int) -> Tensor:
    """Gain of each band in dB, the highest `tilt_db` over the lowest, 0 in the middle.

    Shape: (batch,) -> (batch, n_mels).
    """
    slope = torch.linspace(-0.5, 0.5, n_mels, device=tilt_db.device)
    return tilt_db.unsqueeze(1) * slope


def cut_bands(log_mel: Tensor, n_kept: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """The spectrogram of a recording in which nothing lies above the first `n_kept` bands.

    Shape: (batch, n_frames, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    bands = torch.arange(log_mel.shape[2], device=log_mel.device)
    is_cut = (bands >= n_kept.unsqueeze(1)).unsqueeze(1)
    return log_mel.masked_fill(is_cut, math.log(frontend.log_floor))


def shift_bands(log_mel: Tensor, gain_db: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """Each band louder or quieter.

    Shape: (batch, n_frames, n_mels) and (batch, n_mels or 1) -> (batch, n_frames, n_mels).
    """
    gain = torch.pow(10.0, gain_db.to(log_mel) / 10.0).unsqueeze(1)
    return _to_power(log_mel, frontend.log_floor).mul_(gain).add_(frontend.log_floor).log_()


def add_log_mel(parts: Sequence[Tensor], frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """Several sounds at once, each as loud as it is: their powers add.

    Shape: (batch, n_frames, n_mels) each -> (batch, n_frames, n_mels).
    """
    power = torch.stack([_to_power(part, frontend.log_floor) for part in parts]).sum(dim=0)
    return power.add_(frontend.log_floor).log_()


def mix_log_mel_noise(
    log_mel: Tensor,
    noise: Tensor,
    snr_db: Tensor,
    frontend: FrontEndConfig = FrontEndConfig(),
    noise_gain_db: Tensor | None = None,
) -> Tensor:
    """Add noise at a ratio of mean powers over the window and the bands; an infinite ratio changes nothing.

    Powers add, which is right on average: what two signals cancel or double in one frame is left out.
    The front end's mel filters overlap to about one, so for signals within its bands the ratio is that
    of `mix_noise`; noise that reaches beyond them comes out louder, by what lies beyond. `noise_gain_db` is a
    gain of each band of the noise, before the ratio is set.

    Shape: (batch, n_frames, n_mels) twice, (batch,), (batch, n_mels) -> (batch, n_frames, n_mels).
    """
    signal_power = _to_power(log_mel, frontend.log_floor)
    noise_power = _to_power(noise, frontend.log_floor)
    if noise_gain_db is not None:
        noise_power.mul_(torch.pow(10.0, noise_gain_db / 10.0).unsqueeze(1))
    noise_mean = noise_power.mean(dim=(1, 2)).clamp_min(_SILENT_POWER)
    snr_db = snr_db.to(log_mel)
    scale = signal_power.mean(dim=(1, 2)) / noise_mean * torch.pow(10.0, -snr_db / 10.0)
    mixed = noise_power.mul_(scale[:, None, None]).add_(signal_power).add_(frontend.log_floor).log_()
    return torch.where(torch.isposinf(snr_db)[:, None, None], log_mel, mixed)


def change_speed(log_mel: Tensor, factor: Tensor, n_frames: int | None = None) -> Tensor:
    """Play the frames `factor` times as fast about the middle; pitch stays.

    A factor above one shortens a word and needs frames from beyond the window: give more than the
    `n_frames` wanted (default: as many as come in), else the frames at the edge come again, mirrored.

    Shape: (batch, n_longer, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    n_longer, n_mels = log_mel.shape[1:]
    n_frames = n_longer if n_frames is None else n_frames
    steps = torch.arange(n_frames, device=log_mel.device, dtype=log_mel.dtype) - (n_frames - 1) / 2
    places = steps * factor.to(log_mel).unsqueeze(1) + (n_longer - 1) / 2
    last = n_longer - 1
    places = last - (last - places.abs()).abs()  # mirrored at both ends
    places = places.clamp_(0.0, last)
    before = places.floor().clamp_max_(max(last - 1, 0))
    share = (places - before).unsqueeze(2)
    first = before.long().add_(torch.arange(len(log_mel), device=log_mel.device).unsqueeze(1) * n_longer)
    flat = log_mel.reshape(-1, n_mels)
    left = flat.index_select(0, first.view(-1)).view(-1, n_frames, n_mels)
    right = flat.index_select(0, first.add_(min(1, last)).view(-1)).view(-1, n_frames, n_mels)
    return torch.lerp(left, right, share)


def warp_bands(log_mel: Tensor, factor: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """The spectrogram of a voice with a vocal tract `factor` times as long: its resonances lie lower.

    Vocal tract length perturbation (Jaitly and Hinton 2013): what lies at `factor * f` comes to lie at f;
    near the highest frequency that gives way to a straight line which leaves it where it is.

    Shape: (batch, n_frames, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    lowest, highest = frontend.f_min_hz, frontend.f_max_hz
    edges = torch.linspace(hz_to_mel(lowest), hz_to_mel(highest), frontend.n_mels + 2)
    centres = (700.0 * (10.0 ** (edges[1:-1] / 2595.0) - 1)).to(log_mel)
    factor = factor.to(log_mel).unsqueeze(1)
    knee = _WARPED_SHARE * highest * factor.clamp_max(1.0) / factor
    beyond = highest - (highest - centres) * (highest - knee * factor) / (highest - knee)
    source = torch.where(centres <= knee, centres * factor, beyond)
    spacing = float(edges[1] - edges[0])
    place = (2595.0 * torch.log10(1 + source / 700.0) - hz_to_mel(lowest)) / spacing - 1
    bands = torch.arange(frontend.n_mels, device=log_mel.device)
    # as a product with triangles about each place: far faster than two gathers along the last axis
    distance = (place.clamp(0, frontend.n_mels - 1).unsqueeze(1) - bands.unsqueeze(1)).abs()
    with torch.autocast(log_mel.device.type, enabled=False):
        return torch.bmm(log_mel, (1 - distance).clamp_min_(0))


def smear_room(
    log_mel: Tensor, decay_s: Tensor, direct_db: Tensor, frontend: FrontEndConfig = FrontEndConfig()
) -> Tensor:
    """Late reverberation: each frame's power dies away over the frames after it.

    `decay_s` is the time in which it falls by 60 dB (zero: the clip stays as it is), `direct_db` the
    ratio of direct to reverberant power. A steady sound keeps its level.

    Shape: (batch, n_frames, n_mels), (batch,) twice -> (batch, n_frames, n_mels).
    """
    decay_s, direct_db = decay_s.to(log_mel)[:, None, None], direct_db.to(log_mel)[:, None, None]
    frame_s = frontend.hop_length / frontend.sample_rate
    kept = torch.exp(-math.log(1e6) * frame_s / decay_s)  # of the tail's power from frame to frame
    reverberant = torch.pow(10.0, -direct_db / 10.0)
    # the tail starts in the middle of the direct sound's frame: half a hop of it falls there
    first = (1.0 + reverberant * (1.0 - kept.sqrt())) / (1.0 + reverberant)
    second = reverberant * kept.sqrt() * (1.0 - kept) / (1.0 + reverberant)
    with torch.autocast(log_mel.device.type, enabled=False):
        smeared = _smeared(_to_power(log_mel, frontend.log_floor), first, second, kept)
    return torch.where(decay_s > 0.0, smeared.add_(frontend.log_floor).log_(), log_mel)


def _to_power(log_mel: Tensor, floor: float) -> Tensor:
    """A new tensor."""
    return log_mel.exp().sub_(floor).clamp_min_(0.0)


def _smeared(power: Tensor, first: Tensor, second: Tensor, kept: Tensor) -> Tensor:
    """Convolution along time with `first, second, second * kept, second * kept^2, ...` of (batch, 1, 1).

    In chunks: a matrix within each, and what sounds on from all before it.
    """
    frames = torch.arange(_CHUNK_FRAMES, device=power.device)
    lags = frames.unsqueeze(1) - frames
    within = torch.pow(kept, (lags - 1).clamp_min_(0)) * second * (lags > 0) + first * (lags == 0)
    sounding_on = torch.pow(kept, frames.unsqueeze(1)) * second
    gathered = torch.pow(kept, frames.flip(0))
    state = torch.zeros_like(power[:, :1])
    parts = []
    for start in range(0, power.shape[1], _CHUNK_FRAMES):
        chunk = power[:, start : start + _CHUNK_FRAMES]
        size = chunk.shape[1]
        parts.append(torch.baddbmm(sounding_on[:, :size] * state, within[:, :size, :size], chunk))
        state = torch.baddbmm(state * gathered[:, :, :1] * kept, gathered[:, :, -size:], chunk)
        state = state.clamp_min_(_NOTHING_LEFT)  # denormal numbers are slow
    return torch.cat(parts, dim=1)


def spec_augment(log_mel: Tensor, fill: Tensor, config: AugmentConfig, rng: np.random.Generator) -> Tensor:
    """Cover spans of frames and of bands with `fill`, the mean of each band.

    Shape: (batch, n_frames, n_mels) and (n_mels,) -> (batch, n_frames, n_mels).
    """
    n_clips, n_frames, n_mels = log_mel.shape
    covered = _spans(config.time_masks, config.time_mask_frames, n_clips, n_frames, rng)[:, :, None]
    covered = covered | _spans(config.band_masks, config.band_mask_bands, n_clips, n_mels, rng)[:, None, :]
    return torch.where(to_device(covered, log_mel.device), fill, log_mel)


def _spans(n_spans: int, longest: int, n_clips: int, size: int, rng: np.random.Generator) -> BoolArray:
    """True inside random spans. Shape: (n_clips, size)."""
    covered = np.zeros((n_clips, size), dtype=np.bool_)
    places = np.arange(size)
    for _ in range(n_spans):
        width = rng.integers(0, min(longest, size) + 1, size=(n_clips, 1))
        first = rng.integers(0, size - width + 1)
        covered |= (places >= first) & (places < first + width)
    return covered
