"""Every change to the clips of a training batch, in the order in which they happen.

    place    where the window is cut: moved, late, or so far off that half of the word is out of view
    gain     louder or quieter; noise that stands for silence has a range of its own
    speed    faster or slower
    room     reverberation
    noise    background noise or babble at a drawn ratio
    -------- the front end: what comes as audio becomes log-mel
    neighbour   another clip's word before or after the word
    tilt        a microphone that passes high bands better or worse
    image       the way through an 8-bit JPEG picture
    warp        a longer or shorter vocal tract
    narrow      nothing above some frequency
    masks       spans of frames and of bands covered (SpecAugment)

`WindowAugmentation` does what lies above the line, where the data is, in as many processes as load it: to
windows of audio as waveforms, to those of features as log-mel. `FeatureAugmentation` does what lies below, to
the whole batch, where the network is. What is drawn depends on the seed, the epoch and the batch alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from data_prep.task import EVALUATION_SILENCE_DB, SplitTask
from models.frontend import FrontEndConfig
from speechcmd.arrays import AnyArray, BoolArray, FloatArray, IntArray
from speechcmd.training.augment import features, waveforms
from speechcmd.training.augment.draws import draw_factor, draw_gain, draw_share, draw_snr
from speechcmd.training.augment.image_channel import BLOCK, through_image
from speechcmd.training.augment.neighbour import put_beside
from speechcmd.training.augment.placement import draw_half_seen, draw_time_shift, place_windows, without_long
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import Batch
from speechcmd.training.counter_random import generator_for
from speechcmd.training.settings.config import STANDARD_BANDS, AugmentConfig
from speechcmd.training.to_device import to_device

SILENCE_GAIN_DB = (-30.0, 10.0)
N_ROOMS = 64
VOICES = 3  # in babble: of so many no word is made out
ROOM_DECAY_S = (0.1, 0.6)
ROOM_DIRECT_DB = (-3.0, 12.0)


class Recordings(Protocol):
    """Where background sound comes from: windows of recordings, each in proportion to its length."""

    @property
    def has_audio(self) -> bool:
        """Whether there are recordings of audio."""

    @property
    def has_any(self) -> bool:
        """Whether there are recordings at all."""

    def waveforms(self, n_drawn: int, rng: np.random.Generator) -> Tensor:
        """Windows of audio. Shape: (n_drawn, n_samples)."""

    def log_mel(self, n_drawn: int, n_frames: int, rng: np.random.Generator) -> Tensor:
        """Windows as log-mel. Shape: (n_drawn, n_frames, n_mels)."""


class Background(NamedTuple):
    """What clips can be mixed with."""

    noise: Recordings
    speech: Recordings


class BatchNumber(NamedTuple):
    """Which batch of which epoch: all that is drawn for it follows from this and the seed."""

    epoch: int
    number: int


@dataclass(frozen=True)
class Placed:
    """Where each window begins, in samples of its store; its gain, and how many times as fast it is played.

    Shape: (batch,) each.
    """

    starts: IntArray
    gain: FloatArray
    speed: FloatArray


class WindowAugmentation:
    """What happens to windows of `n_samples` before the front end.

    Windows of `n_placed` samples are placed; what is cut reaches beyond them on both sides.
    """

    def __init__(
        self,
        config: AugmentConfig,
        seed: int,
        frontend: FrontEndConfig,
        n_samples: int,
        n_placed: int,
        device: torch.device,
    ) -> None:
        self._config, self._seed, self._frontend, self._device = config, seed, frontend, device
        self._n_samples, self._n_placed = n_samples, n_placed
        self.n_frames = frontend.n_frames(n_samples)
        # whole frames: the middle is cut out of log-mel
        n_beyond = self.n_frames - frontend.n_frames(n_placed)
        self._n_before = n_beyond // 2 * frontend.hop_length
        # to be played faster a window must be longer
        self.n_longer_samples = math.ceil(n_samples * config.longest_factor)
        self.n_longer_frames = math.ceil(self.n_frames * config.longest_factor)

    def place(
        self, task: SplitTask, indices: IntArray, is_noise: BoolArray, n_audio: int, at: BatchNumber
    ) -> Placed:
        """Where windows are cut, how loud and how fast they are; the first `n_audio` of them are of audio."""
        rng = self._rng("augment", at)
        shift = draw_time_shift(self._config, len(indices), self._frontend.sample_rate, rng)
        if self._config.late_ms:
            late = round(self._config.late_ms * self._frontend.sample_rate / 1000)
            shift = shift - late * ~task.examples.is_mined[indices]
        if self._config.half_seen_percent:
            own = self._rng("half_seen", at)
            shift += draw_half_seen(self._config, len(indices), self._n_placed, own)
        starts = place_windows(task, indices, self._n_placed, shift, rng) - self._n_before
        gain = self._draw_gain(is_noise, rng)
        n_frames = len(indices) - n_audio
        percent = self._config.speed_percent
        speeds = [
            draw_factor(percent, n_own, self._rng(purpose, at))
            for purpose, n_own in (("speed", n_audio), ("frame_speed", n_frames))
        ]
        return Placed(starts, gain, np.concatenate(speeds))

    def _draw_gain(self, is_noise: BoolArray, rng: np.random.Generator) -> FloatArray:
        gain = draw_gain(self._config, len(is_noise), rng)
        # silence is noise of any level; a fixed set keeps nearer to the recordings' own
        lowest, highest = SILENCE_GAIN_DB if self._config.gain_db else EVALUATION_SILENCE_DB
        silence_gain = 10.0 ** (rng.uniform(lowest, highest, size=len(is_noise)) / 20.0)
        return np.where(is_noise, silence_gain, gain).astype(np.float32)

    def change_audio(
        self, waveform: Tensor, speed: FloatArray, background: Background, at: BatchNumber
    ) -> Tensor:
        """Speed, room and noise of windows of audio, whose gain they have already.

        Shape: (batch, n_longer_samples), (batch,) -> (batch, n_samples).
        """
        if len(waveform) == 0:
            return waveform[:, : self._n_samples]
        if self._config.speed_percent:
            waveform = waveforms.resample_windows(waveform, self._put(speed), self._n_samples)
        self._put_into_rooms(waveform, at)
        self._mix_noise(waveform, background, at)
        return waveform

    def change_frames(
        self, log_mel: Tensor, speed: FloatArray, gain: FloatArray, background: Background, at: BatchNumber
    ) -> Tensor:
        """Speed, gain, room and noise of windows of stored log-mel.

        Shape: (batch, n_longer_frames, n_mels), (batch,) twice -> (batch, n_frames, n_mels).
        """
        if len(log_mel) == 0:
            return log_mel[:, : self.n_frames]
        if self._config.speed_percent:
            log_mel = features.change_speed(log_mel, self._put(speed), self.n_frames)
        if (gain != 1).any():
            log_mel = features.shift_level(log_mel, self._put(20 * np.log10(gain)), self._frontend)
        log_mel = self._smear_rooms(log_mel, at)
        return self._mix_frame_noise(log_mel, background, at)

    def _put_into_rooms(self, waveform: Tensor, at: BatchNumber) -> None:
        if not self._config.room_percent:
            return
        rng = self._rng("room", at)
        inside = np.flatnonzero(draw_share(self._config.room_percent, len(waveform), rng))
        chosen = self._put(rng.integers(0, N_ROOMS, size=len(inside)))
        rows = self._put(inside)
        spectra = _room_spectra(self._n_samples, self._frontend.sample_rate, self._device)
        waveform[rows] = waveforms.convolve_rooms(waveform[rows], spectra, chosen)

    def _mix_noise(self, waveform: Tensor, background: Background, at: BatchNumber) -> None:
        if not self._config.noise_percent or not background.noise.has_audio:
            return
        rng = self._rng("noise", at)
        snr_db = draw_snr(self._config, len(waveform), rng)
        noisy = np.flatnonzero(np.isfinite(snr_db))
        added = background.noise.waveforms(len(noisy), rng)
        crowd = self._draw_crowd(background.speech.has_audio, len(noisy), rng)
        if len(crowd):
            voices = [background.speech.waveforms(len(crowd), rng) for _ in range(VOICES)]
            added[self._put(crowd)] = torch.stack(voices).sum(dim=0)
        if (tilt_db := self._draw_noise_tilt(len(noisy), rng)) is not None:
            added = waveforms.tilt_noise(added, tilt_db, self._frontend)
        rows = self._put(noisy)
        scale = waveforms.noise_scale(waveform[rows], added, self._put(snr_db[noisy]))
        waveform.index_add_(0, rows, added.mul_(scale))

    def _smear_rooms(self, log_mel: Tensor, at: BatchNumber) -> Tensor:
        if not self._config.room_percent:
            return log_mel
        rng = self._rng("frame_room", at)
        inside = draw_share(self._config.room_percent, len(log_mel), rng)
        decay_s = np.where(inside, rng.uniform(*ROOM_DECAY_S, size=len(log_mel)), 0.0)
        direct_db = rng.uniform(*ROOM_DIRECT_DB, size=len(log_mel))
        return features.smear_room(log_mel, self._put(decay_s), self._put(direct_db), self._frontend)

    def _mix_frame_noise(self, log_mel: Tensor, background: Background, at: BatchNumber) -> Tensor:
        if not self._config.noise_percent or not background.noise.has_any:
            return log_mel
        rng = self._rng("frame_noise", at)
        snr_db = draw_snr(self._config, len(log_mel), rng)
        noisy = np.flatnonzero(np.isfinite(snr_db))
        n_frames = log_mel.shape[1]
        added = background.noise.log_mel(len(noisy), n_frames, rng)
        crowd = self._draw_crowd(background.speech.has_any, len(noisy), rng)
        if len(crowd):
            voices = [background.speech.log_mel(len(crowd), n_frames, rng) for _ in range(VOICES)]
            added[self._put(crowd)] = features.add_log_mel(voices, self._frontend)
        rows, ratio = self._put(noisy), self._put(snr_db[noisy])
        tilt_db = self._draw_noise_tilt(len(noisy), rng)
        gain_db = None if tilt_db is None else features.tilt_gains(tilt_db, self._frontend.n_mels)
        log_mel[rows] = features.mix_log_mel_noise(log_mel[rows], added, ratio, self._frontend, gain_db)
        return log_mel

    def _draw_crowd(self, has_speech: bool, n_noisy: int, rng: np.random.Generator) -> IntArray:
        """Which of the clips with noise get babble instead."""
        if not self._config.babble_percent or not has_speech:
            return np.zeros(0, np.int64)
        return np.flatnonzero(draw_share(self._config.babble_percent, n_noisy, rng))

    def _draw_noise_tilt(self, n_drawn: int, rng: np.random.Generator) -> Tensor | None:
        most = self._config.noise_tilt_db
        return self._put(rng.uniform(-most, most, n_drawn).astype(np.float32)) if most else None

    def _put(self, values: AnyArray) -> Tensor:
        return to_device(values, self._device)

    def _rng(self, purpose: str, at: BatchNumber) -> np.random.Generator:
        return generator_for(purpose, self._seed, at.epoch, at.number)


class FeatureAugmentation:
    """What happens to the log-mel of a whole batch, behind the front end.

    A network hears windows of `window_frames`. `upper` estimates bands that images do not have, where the
    network hears such.
    """

    def __init__(
        self,
        config: AugmentConfig,
        seed: int,
        frontend: FrontEndConfig,
        window_frames: int,
        upper: UpperBands | None = None,
    ) -> None:
        self._config, self._seed, self._frontend = config, seed, frontend
        self._window_frames, self._upper = window_frames, upper

    def change(self, log_mel: Tensor, batch: Batch, fill: Tensor) -> tuple[Tensor, Tensor]:
        """Changed log-mel, and the spans of words that were put beside a clip's own, NaN where there is none.

        Masks are filled with `fill`, the mean of each band.

        Shape: (batch, n_frames, n_mels), (n_mels,) -> (batch, n_frames, n_mels), (batch, 2).
        """
        log_mel, neighbours = self._put_beside(log_mel, batch)
        log_mel = self._tilt(log_mel, batch)
        log_mel = self._through_image(log_mel, batch)
        log_mel = self._warp(log_mel, batch)
        log_mel = self._narrow(log_mel, batch)
        masked = features.spec_augment(log_mel, fill, self._config, self._rng("spec_augment", batch))
        return masked, neighbours

    def _put_beside(self, log_mel: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        percent = self._config.neighbour_percent
        if not percent:
            return log_mel, torch.full_like(batch.spans, torch.nan)
        spans = without_long(batch.spans, self._window_frames)
        words = spans.masked_fill(to_device(batch.is_mined, spans.device).unsqueeze(1), torch.nan)
        return put_beside(log_mel, words, percent, self._rng("neighbour", batch))

    def _tilt(self, log_mel: Tensor, batch: Batch) -> Tensor:
        most = self._config.tilt_db
        if not most:
            return log_mel
        tilt_db = self._rng("tilt", batch).uniform(-most, most, len(log_mel))
        return features.tilt_bands(log_mel, to_device(tilt_db, log_mel.device), self._frontend)

    def _through_image(self, log_mel: Tensor, batch: Batch) -> Tensor:
        if not self._config.image_percent:
            return log_mel
        rng = self._rng("image", batch)
        drawn = draw_share(self._config.image_percent, len(log_mel), rng) & ~batch.is_image
        # a window is cut out of a picture, and its edge lies anywhere in the grid of blocks
        phase = to_device(rng.integers(0, BLOCK, size=len(log_mel))[drawn], log_mel.device)
        rows = to_device(np.flatnonzero(drawn), log_mel.device)
        chosen = log_mel[rows]
        if self._upper is None:
            log_mel[rows] = through_image(chosen, phase=phase, frontend=self._frontend)
        else:
            lower = chosen[..., : self._upper.n_lower]
            log_mel[rows] = self._upper.extend(through_image(lower, phase=phase, frontend=self._frontend))
        return log_mel

    def _warp(self, log_mel: Tensor, batch: Batch) -> Tensor:
        if not self._config.warp_percent:
            return log_mel
        factor = draw_factor(self._config.warp_percent, len(log_mel), self._rng("warp", batch))
        return features.warp_bands(log_mel, to_device(factor, log_mel.device), self._frontend)

    def _narrow(self, log_mel: Tensor, batch: Batch) -> Tensor:
        if not self._config.narrow_percent:
            return log_mel
        rng, n_mels = self._rng("narrow", batch), self._frontend.n_mels
        n_kept = rng.integers(STANDARD_BANDS, n_mels, len(log_mel))
        n_kept[~draw_share(self._config.narrow_percent, len(log_mel), rng)] = n_mels
        return features.cut_bands(log_mel, to_device(n_kept, log_mel.device), self._frontend)

    def _rng(self, purpose: str, batch: Batch) -> np.random.Generator:
        return generator_for(purpose, self._seed, batch.epoch, batch.number)


@lru_cache(maxsize=2)
def _room_spectra(n_samples: int, sample_rate: int, device: torch.device) -> Tensor:
    """The rooms, the same in every training, ready for windows of this length."""
    responses = waveforms.make_rooms(N_ROOMS, 0, sample_rate)
    return waveforms.room_spectra(to_device(responses, device), n_samples)
