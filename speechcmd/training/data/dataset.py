"""The Dataset: a batch is a gather from memory-mapped stores, not a loop over files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore, JoinedStores
from data_prep.task import EVALUATION_SILENCE_DB, SplitTask, draw_recordings
from models.frontend import FrontEndConfig
from speechcmd.arrays import BoolArray, FloatArray, IntArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.training.augment.draws import (
    VOICES,
    AugmentConfig,
    draw_factor,
    draw_gain,
    draw_half_seen,
    draw_share,
    draw_snr,
    draw_time_shift,
    noise_scale,
)
from speechcmd.training.augment.features import (
    add_log_mel,
    change_speed,
    mix_log_mel_noise,
    shift_level,
    smear_room,
    tilt_gains,
)
from speechcmd.training.augment.waveforms import (
    convolve_rooms,
    make_rooms,
    resample_windows,
    room_spectra,
    tilt_noise,
)
from speechcmd.training.data.audio_gather import place_windows
from speechcmd.training.data.counter_random import generator_for
from speechcmd.training.data.loader_process import LONGEST_BATCH_S, check_shared_memory
from speechcmd.training.data.sampler import ItemKey
from speechcmd.training.data.to_device import put
from speechcmd.training.data.upper_bands import UpperBands
from speechcmd.training.data.windows import AudioWindows, FrameWindows, front_end_on
from speechcmd.training.loop.targets import word_spans

SILENCE_GAIN_DB = (-30.0, 10.0)
N_ROOMS = 64
ROOM_DECAY_S = (0.1, 0.6)
ROOM_DIRECT_DB = (-3.0, 12.0)


class Batch(NamedTuple):
    """Clips of audio stores, then those of feature stores, on one device.

    `waveform` float32 (n_audio, n_samples), `log_mel` float32 (n_features, n_frames, n_mels), either of
    them may be empty; `labels` int64 (batch,); `is_image`, whether a clip is an image already, and
    `is_mined`, whether it is a window of speech that was mined, in memory; `spans` float32 (batch, 2), the
    frames where the word begins and ends (of what was mined: its window), NaN for recordings.
    """

    waveform: Tensor
    log_mel: Tensor
    labels: Tensor
    is_image: BoolArray
    is_mined: BoolArray
    spans: Tensor
    epoch: int
    number: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._replace(
            waveform=self.waveform.to(device),
            log_mel=self.log_mel.to(device),
            labels=self.labels.to(device),
            spans=self.spans.to(device),
        )


class ClipDataset(Dataset[Batch]):
    """Windows of `n_samples` samples from stores, for one split of a task.

    `__getitems__` is what a DataLoader calls with a whole batch of keys. The audio is mapped when
    the first batch is asked for, in each worker anew. With `device` set to a GPU all stores lie
    there and batches are made there.

    With `n_placed` it is windows of that length that are placed, and what comes reaches beyond them on
    both sides: cropped to the middle, a batch is that of a dataset of `n_placed` samples. Noise and
    rooms are those of the whole window, so is the ratio of noise. `upper` estimates bands that a store of
    features does not have.
    """

    def __init__(
        self,
        store: AnyStore | JoinedStores,
        task: SplitTask,
        n_samples: int,
        augment: AugmentConfig,
        seed: int = 0,
        device: torch.device | None = None,
        frontend: FrontEndConfig = FrontEndConfig(),
        n_placed: int | None = None,
        upper: UpperBands | None = None,
    ) -> None:
        self._stores = store.stores if isinstance(store, JoinedStores) else (store,)
        self.n_samples = n_samples
        self._n_placed = n_samples if n_placed is None else n_placed
        # whole frames: the middle is cut out of log-mel
        n_beyond = frontend.n_frames(n_samples) - frontend.n_frames(self._n_placed)
        self._n_before = n_beyond // 2 * frontend.hop_length
        self._augment = augment
        self._seed = seed
        self._device = device or torch.device("cpu")
        self._frontend = frontend
        self._upper = upper
        self._rooms: Tensor | None = None
        self.use_task(task)

    def use_task(self, task: SplitTask) -> None:
        """Take the examples of this task from now on; a DataLoader's workers keep the one they began with."""
        self._task = task
        self._is_noise = np.zeros(len(task.examples), dtype=np.bool_)
        self._is_noise[task.noise] = True
        has_frames = np.array([isinstance(each, FeatureStore) for each in self._stores])
        self._has_frames = has_frames[task.examples.source]

    def __len__(self) -> int:
        return len(self._task.examples)

    def __getstate__(self) -> dict[str, Any]:
        # a mapped array would travel to a worker as a copy of the whole store
        unopened = tuple(type(each)(each.path, each.rows, each.info) for each in self._stores)
        return {**self.__dict__, "_stores": unopened, "_rooms": None}

    def __getitem__(self, key: ItemKey) -> Batch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[ItemKey]) -> Batch:
        """Make one batch; all keys belong to the same batch. Clips come sorted by store."""
        epoch, number, _ = keys[0]
        indices = self._sorted(np.array([key.example for key in keys]))
        rng = generator_for("augment", self._seed, epoch, number)
        shift = self._draw_shift(indices, epoch, number, rng)
        starts = place_windows(self._task, indices, self._n_placed, shift, rng) - self._n_before
        gain = self._draw_gain(indices, rng)
        n_audio = int(np.count_nonzero(~self._has_frames[indices]))
        audio, frames = slice(0, n_audio), slice(n_audio, None)
        speed = self._draw_speed(n_audio, len(indices), epoch, number)
        waveform = self._cut_audio(indices[audio], starts[audio], gain[audio], speed[audio], epoch, number)
        log_mel = self._cut_frames(
            indices[frames], starts[frames], gain[frames], speed[frames], epoch, number
        )
        labels = put(self._task.examples.labels[indices], self._device)
        is_image = np.zeros(len(indices), dtype=np.bool_)
        is_image[frames] = self._frame_windows.is_image(indices[frames])
        spans = word_spans(self._task.examples, indices, starts, self._n_placed, self._frontend.hop_length)
        middle = self.n_samples / 2 / self._frontend.hop_length
        spans = middle + (spans - np.float32(middle)) / speed[:, None]
        is_mined = self._task.examples.is_mined[indices]
        return Batch(waveform, log_mel, labels, is_image, is_mined, put(spans, self._device), epoch, number)

    def _draw_speed(self, n_audio: int, n_clips: int, epoch: int, number: int) -> FloatArray:
        """How many times as fast each clip is played, those of audio first. Shape: (n_clips,)."""
        return np.concatenate(
            [
                draw_factor(
                    self._augment.speed_percent, n_own, generator_for(purpose, self._seed, epoch, number)
                )
                for purpose, n_own in (("speed", n_audio), ("frame_speed", n_clips - n_audio))
            ]
        )

    def _draw_shift(self, indices: IntArray, epoch: int, number: int, rng: np.random.Generator) -> IntArray:
        shift = draw_time_shift(self._augment, len(indices), SAMPLE_RATE, rng)
        if self._augment.late_ms:
            examples, late = self._task.examples, round(self._augment.late_ms * SAMPLE_RATE / 1000)
            shift = shift - late * ~examples.is_mined[indices]
        if self._augment.half_seen_percent:
            own = generator_for("half_seen", self._seed, epoch, number)
            shift += draw_half_seen(self._augment, len(indices), self._n_placed, own)
        return shift

    @property
    def _audio_windows(self) -> AudioWindows:
        return AudioWindows(self._stores, self._task, self._device)

    @property
    def _frame_windows(self) -> FrameWindows:
        return FrameWindows(self._stores, self._task, self._device, self._frontend, self._upper)

    def _sorted(self, indices: IntArray) -> IntArray:
        """By store, those of audio first, else in the order given."""
        return indices[self._order(indices)]

    def _order(self, indices: IntArray) -> IntArray:
        return np.lexsort((self._task.examples.source[indices], self._has_frames[indices]))

    def _draw_gain(self, indices: IntArray, rng: np.random.Generator) -> FloatArray:
        gain = draw_gain(self._augment, len(indices), rng)
        # silence is noise of any level; a fixed set keeps nearer to the recordings' own
        lowest, highest = SILENCE_GAIN_DB if self._augment.gain_db else EVALUATION_SILENCE_DB
        silence_gain = 10.0 ** (rng.uniform(lowest, highest, size=len(indices)) / 20.0)
        return np.where(self._is_noise[indices], silence_gain, gain).astype(np.float32)

    # --- clips of audio stores

    def _cut_audio(
        self,
        indices: IntArray,
        starts: IntArray,
        gain: FloatArray,
        speed: FloatArray,
        epoch: int,
        number: int,
    ) -> Tensor:
        padding = generator_for("padding", self._seed, epoch, number)
        n_longer = math.ceil(self.n_samples * self._augment.longest_factor)
        starts = starts - (n_longer - self.n_samples) // 2
        waveform = self._audio_windows.cut(indices, starts, n_longer, gain, padding)
        if len(indices) == 0:
            return waveform[:, : self.n_samples]
        if self._augment.speed_percent:
            waveform = resample_windows(waveform, put(speed, self._device), self.n_samples)
        self._put_into_rooms(waveform, epoch, number)
        self._mix_noise(waveform, epoch, number)
        return waveform

    def _put_into_rooms(self, waveform: Tensor, epoch: int, number: int) -> None:
        if not self._augment.room_percent:
            return
        rng = generator_for("room", self._seed, epoch, number)
        if self._rooms is None:
            responses = put(make_rooms(N_ROOMS, 0, SAMPLE_RATE), self._device)
            self._rooms = room_spectra(responses, self.n_samples)
        inside = np.flatnonzero(draw_share(self._augment.room_percent, len(waveform), rng))
        chosen = put(rng.integers(0, N_ROOMS, size=len(inside)), self._device)
        rows = put(inside, self._device)
        waveform[rows] = convolve_rooms(waveform[rows], self._rooms, chosen)

    def _mix_noise(self, waveform: Tensor, epoch: int, number: int) -> None:
        among = self._task.noise[~self._has_frames[self._task.noise]]
        if not self._augment.noise_percent or len(among) == 0:
            return
        rng = generator_for("noise", self._seed, epoch, number)
        snr_db = draw_snr(self._augment, len(waveform), rng)
        noisy = np.flatnonzero(np.isfinite(snr_db))
        noise = self._cut_noise(among, len(noisy), rng)
        speech = self._task.speech[~self._has_frames[self._task.speech]]
        crowd = self._draw_crowd(speech, len(noisy), rng)
        if len(crowd):
            voices = [self._cut_noise(speech, len(crowd), rng) for _ in range(VOICES)]
            noise[put(crowd, self._device)] = torch.stack(voices).sum(dim=0)
        tilt_db = self._draw_noise_tilt(len(noisy), rng)
        if tilt_db is not None:
            noise = tilt_noise(noise, tilt_db, self._frontend)
        rows = put(noisy, self._device)
        scale = noise_scale(waveform[rows], noise, put(snr_db[noisy], self._device))
        waveform.index_add_(0, rows, noise.mul_(scale))

    def _cut_noise(self, among: IntArray, n_drawn: int, rng: np.random.Generator) -> Tensor:
        """Noise of audio stores. Shape: (n_drawn, n_samples)."""
        drawn, starts, order = self._draw_noise(among, n_drawn, rng)
        gain = np.ones(n_drawn, np.float32)
        return _put_back(self._audio_windows.cut(drawn, starts, self.n_samples, gain, rng), order)

    def _draw_noise(
        self, among: IntArray, n_drawn: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Recordings sorted by store, where to begin in each, and the order that sorted them."""
        drawn = draw_recordings(self._task, among, n_drawn, rng)
        order = self._order(drawn)
        starts = place_windows(self._task, drawn[order], self.n_samples, np.zeros(n_drawn, np.int64), rng)
        return drawn[order], starts, order

    # --- clips of feature stores

    def _cut_frames(
        self,
        indices: IntArray,
        starts: IntArray,
        gain: FloatArray,
        speed: FloatArray,
        epoch: int,
        number: int,
    ) -> Tensor:
        padding = generator_for("frame_padding", self._seed, epoch, number)
        n_frames = self._frontend.n_frames(self.n_samples)
        n_longer = math.ceil(n_frames * self._augment.longest_factor)
        starts = starts - (n_longer - n_frames) // 2 * self._frontend.hop_length
        log_mel = self._frame_windows.cut(indices, starts, n_longer, padding)
        if len(indices) == 0:
            return log_mel[:, :n_frames]
        if self._augment.speed_percent:
            log_mel = change_speed(log_mel, put(speed, self._device), n_frames)
        if (gain != 1).any():
            gain_db = put(20 * np.log10(gain), self._device)
            log_mel = shift_level(log_mel, gain_db, self._frontend)
        log_mel = self._smear_rooms(log_mel, epoch, number)
        return self._mix_frame_noise(log_mel, epoch, number)

    def _smear_rooms(self, log_mel: Tensor, epoch: int, number: int) -> Tensor:
        if not self._augment.room_percent:
            return log_mel
        rng = generator_for("frame_room", self._seed, epoch, number)
        inside = draw_share(self._augment.room_percent, len(log_mel), rng)
        decay_s = np.where(inside, rng.uniform(*ROOM_DECAY_S, size=len(log_mel)), 0.0)
        direct_db = rng.uniform(*ROOM_DIRECT_DB, size=len(log_mel))
        return smear_room(log_mel, put(decay_s, self._device), put(direct_db, self._device), self._frontend)

    def _mix_frame_noise(self, log_mel: Tensor, epoch: int, number: int) -> Tensor:
        if not self._augment.noise_percent or len(self._task.noise) == 0:
            return log_mel
        rng = generator_for("frame_noise", self._seed, epoch, number)
        snr_db = draw_snr(self._augment, len(log_mel), rng)
        noisy = np.flatnonzero(np.isfinite(snr_db))
        n_frames, speech = log_mel.shape[1], self._task.speech
        noise = self._cut_frame_noise(self._task.noise, len(noisy), n_frames, rng)
        crowd = self._draw_crowd(speech, len(noisy), rng)
        if len(crowd):
            voices = [self._cut_frame_noise(speech, len(crowd), n_frames, rng) for _ in range(VOICES)]
            noise[put(crowd, self._device)] = add_log_mel(voices, self._frontend)
        rows = put(noisy, self._device)
        ratio = put(snr_db[noisy], self._device)
        tilt_db = self._draw_noise_tilt(len(noisy), rng)
        gain_db = None if tilt_db is None else tilt_gains(tilt_db, self._frontend.n_mels)
        log_mel[rows] = mix_log_mel_noise(log_mel[rows], noise, ratio, self._frontend, gain_db)
        return log_mel

    def _draw_noise_tilt(self, n_drawn: int, rng: np.random.Generator) -> Tensor | None:
        most = self._augment.noise_tilt_db
        return put(rng.uniform(-most, most, n_drawn).astype(np.float32), self._device) if most else None

    def _draw_crowd(self, speech: IntArray, n_noisy: int, rng: np.random.Generator) -> IntArray:
        """Which of the clips with noise get babble instead."""
        if not self._augment.babble_percent or len(speech) == 0:
            return np.zeros(0, np.int64)
        return np.flatnonzero(draw_share(self._augment.babble_percent, n_noisy, rng))

    def _cut_frame_noise(
        self, recordings: IntArray, n_drawn: int, n_frames: int, rng: np.random.Generator
    ) -> Tensor:
        """Recordings of feature stores, else those of audio stores through the front end."""
        among = recordings[self._has_frames[recordings]]
        if len(among) == 0:
            noise = self._cut_noise(recordings, n_drawn, rng)
            log_mel: Tensor = front_end_on(self._frontend, self._device)(noise)
            return log_mel
        drawn, starts, order = self._draw_noise(among, n_drawn, rng)
        return _put_back(self._frame_windows.cut(drawn, starts, n_frames, rng), order)


def _put_back(noise: Tensor, order: IntArray) -> Tensor:
    """Noise in the order of its drawing: sorted by store, a store's clips would meet that store's noise."""
    if (order[1:] > order[:-1]).all():
        return noise
    return noise[put(np.argsort(order), noise.device)]


def make_loader(
    dataset: ClipDataset, sampler: Sampler[list[ItemKey]], n_workers: int = 0
) -> DataLoader[Batch]:
    """A DataLoader that asks for whole batches and leaves them as they come.

    Raises
    ------
    TrainingError
        If loader processes cannot hand over their batches here.
    """
    if n_workers:
        check_shared_memory(dataset.__getitems__(next(iter(sampler))), n_workers)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=n_workers,
        collate_fn=_as_it_is,
        persistent_workers=n_workers > 0,
        timeout=LONGEST_BATCH_S if n_workers else 0,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
