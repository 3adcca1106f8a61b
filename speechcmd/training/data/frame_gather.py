"""Windows cut out of the log-mel of a feature store, ends filled with the clip's own quiet frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data_prep.feature_store import FeatureStore
from speechcmd.arrays import IntArray
from speechcmd.training.augment.features import change_floor
from speechcmd.training.to_device import to_device

QUIET_FRAMES = 10


def gather_frames(
    stored: Tensor, clips: IntArray, n_valid: IntArray, first: IntArray, n_frames: int
) -> Tensor:
    """Cut a window of frames out of each clip; where it reaches beyond, its nearest frame stands.

    Of each clip the first `n_valid` frames, one or more, are sound; behind them lies filling. A recording
    that goes on in the clips behind its first has more of them than are stored of a clip.

    Shape: (n_clips, n_stored_frames, n_mels), (batch,) thrice -> float32 (batch, n_frames, n_mels).
    """
    gather = gather_rows if stored.device.type == "cpu" else gather_at_once
    return gather(stored, clips, n_valid, first, n_frames)


def gather_rows(stored: Tensor, clips: IntArray, n_valid: IntArray, first: IntArray, n_frames: int) -> Tensor:
    """Gather in memory: the frames of a window lie side by side, copying them beats an index for each."""
    source = stored.flatten(0, 1).numpy()
    windows = np.empty((len(clips), n_frames, stored.shape[2]), dtype=source.dtype)
    clip_starts = (clips * stored.shape[1]).tolist()
    places = zip(clip_starts, n_valid.tolist(), first.tolist(), strict=True)
    for window, (clip_start, n_sound, start) in zip(windows, places, strict=True):
        # of a window that lies wholly outside one frame is left
        low = min(max(0, start), n_sound - 1)
        high = max(min(n_sound, start + n_frames), low + 1)
        begin = min(max(0, low - start), n_frames - 1)
        end = min(begin + high - low, n_frames)
        window[begin:end] = source[clip_start + low : clip_start + low + end - begin]
        window[:begin], window[end:] = window[begin], window[end - 1]
    return torch.from_numpy(windows).to(torch.float32)


def gather_at_once(
    stored: Tensor, clips: IntArray, n_valid: IntArray, first: IntArray, n_frames: int
) -> Tensor:
    """The same on a device where each call costs: one index."""
    device = stored.device
    chosen, start, last = (to_device(values, device).unsqueeze(1) for values in (clips, first, n_valid - 1))
    places = (start + torch.arange(n_frames, device=device)).clamp_min_(0)
    rows = chosen * stored.shape[1] + torch.minimum(places, last)
    return stored.flatten(0, 1)[rows].to(torch.float32)


def fill_frames(log_mel: Tensor, first: IntArray, n_valid: IntArray, rng: np.random.Generator) -> None:
    """Put one of the window's own quietest frames, drawn anew each time, wherever it lies outside its clip.

    In place. A constant would be a class cue. `first`: where each window begins in its clip of `n_valid`
    frames. Shape: (batch, n_frames, n_mels), (batch,) twice.
    """
    n_frames = log_mel.shape[1]
    places = first[:, None] + np.arange(n_frames)
    rows, columns = np.nonzero((places < 0) | (places >= n_valid[:, None]))
    if len(rows) == 0:
        return
    n_quiet = min(QUIET_FRAMES, n_frames)
    drawn, at, to = (
        to_device(index, log_mel.device) for index in (rng.integers(0, n_quiet, len(rows)), rows, columns)
    )
    level = log_mel.mean(dim=2)
    level[at, to] = (
        torch.inf
    )  # the clip's last frame stands there: were it quiet, it alone would fill the end
    quiet = level.topk(n_quiet, dim=1, largest=False).indices
    log_mel[at, to] = log_mel[at, quiet[at, drawn]]


class FrameSource:
    """The log-mel of one feature store on a device, with the floor that a network expects."""

    def __init__(self, store: FeatureStore, device: torch.device, log_floor: float) -> None:
        self._scale, self._offset = store.scale, store.offset
        self._floors = float(store.front_end["log_floor"]), log_floor
        self._stored = torch.from_numpy(store.log_mel).to(device)
        self.is_image = store.log_mel.dtype == np.uint8

    def cut(
        self, clips: IntArray, n_valid: IntArray, first: IntArray, n_frames: int, rng: np.random.Generator
    ) -> Tensor:
        """Windows of true log-mel of clips that are sound in their first `n_valid` frames, which lie behind
        one another; those of a long recording go on in the next clip.

        Shape: (batch,) thrice -> (batch, n_frames, n_mels).
        """
        n_valid = np.clip(n_valid, 1, (len(self._stored) - clips) * self._stored.shape[1])
        log_mel = gather_frames(self._stored, clips, n_valid, first, n_frames)
        if (self._scale, self._offset) != (1.0, 0.0):
            log_mel.mul_(self._scale).add_(self._offset)
        if len(set(self._floors)) > 1:
            log_mel = change_floor(log_mel, *self._floors)
        fill_frames(log_mel, first, n_valid, rng)
        return log_mel
