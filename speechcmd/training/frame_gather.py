"""Windows cut out of the log-mel of a feature store, ends filled with the clip's own quiet frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data_prep.feature_store import FeatureStore
from data_prep.task import Indices
from speechcmd.training.feature_augment import change_floor

QUIET_FRAMES = 10


def gather_frames(stored: Tensor, clips: Indices, first: Indices, n_frames: int) -> Tensor:
    """Cut a window of frames out of each clip; where it reaches beyond, its nearest frame stands.

    Shape: (n_clips, n_stored_frames, n_mels), (batch,) twice -> float32 (batch, n_frames, n_mels).
    """
    gather = gather_rows if stored.device.type == "cpu" else gather_at_once
    return gather(stored, clips, first, n_frames)


def gather_rows(stored: Tensor, clips: Indices, first: Indices, n_frames: int) -> Tensor:
    """Gather in memory: the frames of a window lie side by side, copying them beats an index for each."""
    source, n_stored = stored.numpy(), stored.shape[1]
    windows = np.empty((len(clips), n_frames, stored.shape[2]), dtype=source.dtype)
    for window, clip, start in zip(windows, clips.tolist(), first.tolist(), strict=True):
        # of a window that lies wholly outside one frame is left
        low = min(max(0, start), n_stored - 1)
        high = max(min(n_stored, start + n_frames), low + 1)
        begin = min(max(0, low - start), n_frames - 1)
        end = min(begin + high - low, n_frames)
        window[begin:end] = source[clip, low : low + end - begin]
        window[:begin], window[end:] = window[begin], window[end - 1]
    return torch.from_numpy(windows).to(torch.float32)


def gather_at_once(stored: Tensor, clips: Indices, first: Indices, n_frames: int) -> Tensor:
    """The same on a device where each call costs: one index."""
    device = stored.device
    places = torch.from_numpy(first).to(device).unsqueeze(1) + torch.arange(n_frames, device=device)
    chosen = torch.from_numpy(clips).to(device).unsqueeze(1)
    return stored[chosen, places.clamp(0, stored.shape[1] - 1)].to(torch.float32)


def fill_frames(log_mel: Tensor, first: Indices, n_stored: int, rng: np.random.Generator) -> None:
    """Put one of the window's own quietest frames, drawn anew each time, wherever it lies outside its clip.

    In place. A constant would be a class cue. `first`: where each window begins in its clip of `n_stored`
    frames. Shape: (batch, n_frames, n_mels), (batch,).
    """
    n_frames = log_mel.shape[1]
    places = first[:, None] + np.arange(n_frames)
    rows, columns = np.nonzero((places < 0) | (places >= n_stored))
    if len(rows) == 0:
        return
    n_quiet = min(QUIET_FRAMES, n_frames)
    drawn, at, to = (
        torch.from_numpy(index).to(log_mel.device)
        for index in (rng.integers(0, n_quiet, len(rows)), rows, columns)
    )
    level = log_mel.mean(dim=2)
    level[at, to] = torch.inf  # the border's frame stands there: were it quiet, it alone would fill the end
    quiet = level.topk(n_quiet, dim=1, largest=False).indices
    log_mel[at, to] = log_mel[at, quiet[at, drawn]]


class FrameSource:
    """The log-mel of one feature store on a device, with the floor that a network expects."""

    def __init__(self, store: FeatureStore, device: torch.device, log_floor: float) -> None:
        self._scale, self._offset = store.scale, store.offset
        self._floors = float(store.front_end["log_floor"]), log_floor
        self._stored = torch.from_numpy(store.log_mel).to(device)
        self.is_image = store.log_mel.dtype == np.uint8

    def cut(self, clips: Indices, first: Indices, n_frames: int, rng: np.random.Generator) -> Tensor:
        """Windows of true log-mel. Shape: (batch,) twice -> (batch, n_frames, n_mels)."""
        log_mel = gather_frames(self._stored, clips, first, n_frames)
        if (self._scale, self._offset) != (1.0, 0.0):
            log_mel.mul_(self._scale).add_(self._offset)
        if len(set(self._floors)) > 1:
            log_mel = change_floor(log_mel, *self._floors)
        fill_frames(log_mel, first, self._stored.shape[1], rng)
        return log_mel
