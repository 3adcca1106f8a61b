"""Pieces of running speech heard alone: what is said between two dips of the level, with pauses around it.

In running speech a network may tell words by what is said around them; a sentence that is begun and
broken off, or read word by word, has nothing around its words.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speechcmd.training.augment import draw_share
from speechcmd.training.transfer import put

_NEAR_FRAMES = 25  # from the middle of the window: there the loudest frame is looked for
_NEAREST_DIP = 8  # frames from the loudest one
_REACH_FRAMES = (12, 45)  # from the loudest frame: no dip is looked for beyond
_LEVEL_FRAMES = 5  # that the level is averaged over
_PAUSE = 0.1  # of the frames are softer than a pause
_DEEPEST = 3.0  # natural logarithm of power by which a pause is made softer, at most
_ROUGHNESS = 0.6  # standard deviation of the logarithm of the power of steady noise in a band
_FADE = (0.5, 2.0)  # natural logarithm of power by which each frame beyond the dips is softer than the last


def isolate(log_mel: Tensor, is_speech: Tensor, percent: float, rng: np.random.Generator) -> Tensor:
    """Keep one piece in the middle of a share of the windows of speech; around it comes noise at their floor.

    Shape: (batch, n_frames, n_mels), bool (batch,) -> (batch, n_frames, n_mels).
    """
    n_clips, n_frames, n_mels = log_mel.shape
    drawn = put(draw_share(percent, n_clips, rng), log_mel.device) & is_speech
    rows = drawn.nonzero().squeeze(1)

    def draw(lowest: float, highest: float, *more: int) -> Tensor:
        values = rng.uniform(lowest, highest, (*more, n_clips)).astype(np.float32)
        return put(values, log_mel.device)[..., rows]

    reach = draw(*_REACH_FRAMES, 2)
    depth, fade, turn = draw(0, _DEEPEST), draw(*_FADE), draw(0, n_frames).long()
    noise = put(rng.standard_normal((n_frames, n_mels), dtype=np.float32), log_mel.device)
    if len(rows) == 0:
        return log_mel
    chosen = log_mel[rows].float()
    first, last = _dips_around(chosen, reach)
    frames = torch.arange(n_frames, device=log_mel.device)
    beyond = torch.maximum(first.unsqueeze(1) - frames, frames - last.unsqueeze(1)).clamp_min(0)
    faded = chosen - (fade.unsqueeze(1) * beyond).unsqueeze(2)
    floor = chosen.kthvalue(max(1, round(_PAUSE * n_frames)), dim=1).values - depth.unsqueeze(1)
    # other noise around each piece
    place = (frames + turn.unsqueeze(1)) % n_frames
    pause = floor.unsqueeze(1) + _ROUGHNESS * noise[place]
    result = log_mel.clone()
    result[rows] = torch.logaddexp(faded, pause).to(log_mel.dtype)
    return result


def _dips_around(log_mel: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """First frame of the piece around the loudest one near the middle, and the first after it.

    Shape: (batch, n_frames, n_mels), (2, batch) -> (batch,) twice.
    """
    n_frames = log_mel.shape[1]
    level = functional.avg_pool1d(
        log_mel.mean(dim=2).unsqueeze(1), _LEVEL_FRAMES, 1, _LEVEL_FRAMES // 2, count_include_pad=False
    ).squeeze(1)
    frames = torch.arange(n_frames, device=log_mel.device)
    is_near = (frames - n_frames // 2).abs() <= _NEAR_FRAMES
    loudest = level.masked_fill(~is_near, -torch.inf).argmax(dim=1, keepdim=True)
    before, after = loudest - frames, frames - loudest
    edges = []
    for distance, most in zip((before, after), reach, strict=True):
        allowed = (distance >= _NEAREST_DIP) & (distance <= most.unsqueeze(1))
        lowest = level.masked_fill(~allowed, torch.inf).argmin(dim=1)
        edges.append(torch.where(allowed.any(dim=1), lowest, loudest.squeeze(1)))
    return edges[0], edges[1]
