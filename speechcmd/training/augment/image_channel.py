"""The channel of published log-mel pictures: to grey levels, JPEG and back."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from models.frontend import FrontEndConfig
from speechcmd.arrays import FloatArray, IntArray
from speechcmd.training.augment.features import change_floor

JPEG_QUALITY = 75  # as written in the quantisation tables of the pictures themselves
PIXEL_SCALE = 10.0
PIXEL_OFFSET = 146.3
PIXEL_FLOOR = 5e-7
BLOCK = 8

# luminance, ITU-T T.81 table K.1, for quality 50
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def through_image(
    log_mel: Tensor,
    quality: int = JPEG_QUALITY,
    phase: Tensor | None = None,
    frontend: FrontEndConfig = FrontEndConfig(),
) -> Tensor:
    """A spectrogram as it comes back from a JPEG picture of it, with the front end's own floor.

    A picture's rows are frames and its columns mel bands. The block grid starts at the first frame
    or, with `phase`, so many frames (0 to 7) before it, as in a window cut out of a picture.

    Shape: (batch, n_frames, n_mels) and (batch,) -> (batch, n_frames, n_mels).
    """
    with torch.autocast(log_mel.device.type, enabled=False):
        pixels = log_mel_to_pixels(log_mel.float(), frontend)
        return pixels_to_log_mel(jpeg(pixels, quality, phase), frontend)


def log_mel_to_pixels(log_mel: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """Whole grey levels 0 to 255, as float32, of any shape."""
    moved = change_floor(log_mel, frontend.log_floor, PIXEL_FLOOR)
    return moved.mul_(PIXEL_SCALE).add_(PIXEL_OFFSET).round_().clamp_(0.0, 255.0)


def pixels_to_log_mel(pixels: Tensor, frontend: FrontEndConfig = FrontEndConfig()) -> Tensor:
    """Log-mel of the front end's own floor from grey levels of any shape."""
    return change_floor((pixels - PIXEL_OFFSET).div_(PIXEL_SCALE), PIXEL_FLOOR, frontend.log_floor)


def jpeg(pixels: Tensor, quality: int = JPEG_QUALITY, phase: Tensor | None = None) -> Tensor:
    """Grey levels after baseline JPEG at a libjpeg quality of 1 to 100; the last row and column fill blocks.

    Shape: (batch, height, width), whole levels 0 to 255 in float32, and `phase` (batch,) 0 to 7 -> the same.
    """
    if phase is not None:
        height = pixels.shape[1]
        shift = phase.to(pixels.device, torch.int64).unsqueeze(1)
        rows = torch.arange(height + BLOCK - 1, device=pixels.device) - shift
        coded = jpeg(_rows_of(pixels, rows.clamp_(0, height - 1)), quality)
        return _rows_of(coded, torch.arange(height, device=pixels.device) + shift)
    height, width = pixels.shape[1:]
    below, right = -height % BLOCK, -width % BLOCK
    if below:
        pixels = torch.cat([pixels, pixels[:, -1:].expand(-1, below, -1)], dim=1)
    if right:
        pixels = torch.cat([pixels, pixels[:, :, -1:].expand(-1, -1, right)], dim=2)
    return _code_blocks(pixels, quality)[:, :height, :width]


def luminance_table(quality: int) -> IntArray:
    """The quantisation table that libjpeg uses at a quality of 1 to 100. Shape: (8, 8)."""
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality is 1 to 100, not {quality}")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: IntArray = np.clip((_LUMINANCE * percent + 50) // 100, 1, 255)
    return table


def _rows_of(pixels: Tensor, rows: Tensor) -> Tensor:
    """The named rows of each picture. Shape: (batch, height, width), (batch, n) -> (batch, n, width)."""
    n_clips, height, width = pixels.shape
    places = rows + torch.arange(n_clips, device=rows.device).unsqueeze(1) * height
    chosen = pixels.reshape(-1, width).index_select(0, places.view(-1))
    return chosen.view(n_clips, rows.shape[1], width)


def _code_blocks(pixels: Tensor, quality: int) -> Tensor:
    """Every block of 8 by 8 levels quantised and back. Shape: (batch, height, width) of whole blocks."""
    n_clips, height, width = pixels.shape
    down, across, steps = (torch.from_numpy(a).to(pixels.device) for a in _transforms(quality, width))
    strips = pixels.reshape(-1, BLOCK, width) - 128.0
    coefficients = ((down @ strips) @ across.T).div_(steps).round_().mul_(steps)
    levels = (down.T @ coefficients) @ across
    return levels.add_(128.0).round_().clamp_(0.0, 255.0).view(n_clips, height, width)


@cache
def _transforms(quality: int, width: int) -> tuple[FloatArray, ...]:
    """For a strip of blocks: the DCT down it, that across it, and the step of each coefficient.

    Shapes: (8, 8), (width, width), (8, width).
    """
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)
    dct = np.cos(np.pi * k * (2 * n + 1) / (2 * BLOCK)) * np.where(k == 0, np.sqrt(1 / BLOCK), 0.5)
    n_blocks = width // BLOCK
    across, steps = np.kron(np.eye(n_blocks), dct), np.tile(luminance_table(quality), n_blocks)
    return dct.astype(np.float32), across.astype(np.float32), steps.astype(np.float32)
