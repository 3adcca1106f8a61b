"""Words close together: another clip's word beside a clip's own, as one says several commands in a row."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechcmd.training.augment.draws import draw_share
from speechcmd.training.to_device import to_device

GAP_FRAMES = (10, 80)  # between two words


def put_beside(
    log_mel: Tensor, spans: Tensor, percent: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Put the word of another clip of the batch before or after a share of the words; powers add.

    Returns the spans of those neighbours too, NaN where there is none. `spans` are first and last frame of
    each clip's word, NaN for recordings: they get no neighbour and are none.

    Shape: (batch, n_frames, n_mels), (batch, 2) -> the same two shapes.
    """
    n_clips, device = len(log_mel), log_mel.device
    chosen = to_device(draw_share(percent, n_clips, rng), device)
    others = to_device((np.arange(n_clips) + rng.integers(1, max(2, n_clips), n_clips)) % n_clips, device)
    gap = to_device(rng.integers(GAP_FRAMES[0], GAP_FRAMES[1] + 1, n_clips), device)
    is_after = to_device(rng.integers(0, 2, n_clips).astype(np.bool_), device)
    own, theirs = spans, spans[others]
    shift = torch.where(is_after, own[:, 1] + gap - theirs[:, 0], own[:, 0] - gap - theirs[:, 1]).round()
    shift = shift.masked_fill(~chosen, torch.nan)
    return _add_moved(log_mel, others, theirs, shift), theirs + shift.unsqueeze(1)


def _add_moved(log_mel: Tensor, others: Tensor, spans: Tensor, shift: Tensor) -> Tensor:
    """Add what lies in `spans` of other clips, moved by so many frames; by NaN: nothing."""
    n_frames = log_mel.shape[1]
    source = torch.arange(n_frames, device=log_mel.device) - shift.unsqueeze(1)
    heard = (source >= spans[:, :1]) & (source < spans[:, 1:]) & (source >= 0) & (source < n_frames)
    index = source.nan_to_num(0).clamp(0, n_frames - 1).long().unsqueeze(2)
    moved = log_mel[others].gather(1, index.expand_as(log_mel))
    with torch.autocast(log_mel.device.type, enabled=False):
        return torch.where(heard.unsqueeze(2), torch.logaddexp(log_mel, moved), log_mel)
