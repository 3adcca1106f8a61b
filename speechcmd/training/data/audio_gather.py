"""Windows cut out of the audio of a store: one gather for a whole batch, ends filled with noise."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speechcmd.arrays import AnyArray, FloatArray, IntArray
from speechcmd.audio.samples import INT16_SCALE
from speechcmd.training.to_device import to_device

NOISE_TABLE_SAMPLES = 2**18


def gather_windows(audio: Tensor, starts: IntArray, n_samples: int, gain: FloatArray) -> Tensor:
    """Cut windows out of the store and scale them.

    Shape: int16 (n_total,), (batch,) twice -> float32 (batch, n_samples).
    """
    # beyond the first and last sample of the store there is nothing to gather: what comes there is anything
    if len(audio) < n_samples:
        audio = functional.pad(audio, (0, n_samples - len(audio)))
    inside = np.clip(starts, 0, len(audio) - n_samples)
    # one pass for both factors; a power of two changes no bit
    scale = gain / np.float32(INT16_SCALE)
    gather = gather_rows if audio.device.type == "cpu" else gather_at_once
    waveform = gather(audio, inside, n_samples, scale)
    for row in np.flatnonzero(inside != starts):
        waveform[row] = waveform[row].roll(int(inside[row] - starts[row]))
    return waveform


def gather_rows(audio: Tensor, starts: IntArray, n_samples: int, scale: FloatArray) -> Tensor:
    """Gather in memory: a row stays in the cache between its two steps, which halves the time."""
    samples = audio.numpy()
    waveform = np.empty((len(starts), n_samples), dtype=np.float32)
    for row, start, factor in zip(waveform, starts.tolist(), scale, strict=True):
        row[:] = samples[start : start + n_samples]
        row *= factor
    return torch.from_numpy(waveform)


def gather_at_once(audio: Tensor, starts: IntArray, n_samples: int, scale: FloatArray) -> Tensor:
    """The same on a device where each call costs: one gather, one scaling."""
    windows = audio.unfold(0, n_samples, 1)[to_device(starts, audio.device)]
    return windows.to(torch.float32).mul_(column(scale, audio.device))


def fill_ends(
    waveform: Tensor,
    before: IntArray,
    after: IntArray,
    level: FloatArray,
    gain: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Fill what lies outside the clip, in place, with noise at the clip's own floor.

    Digital zero would be a class cue. `waveform`: (batch, n_samples); `before`, `after`: samples to
    fill at either end; `level`: root mean square of the noise before `gain`; (batch,) each.
    """
    fill = fill_rows if waveform.device.type == "cpu" else fill_at_once
    for n_filled, is_end in ((before, False), (after, True)):
        rows = np.flatnonzero(n_filled)
        if len(rows) == 0:
            continue
        offsets = rng.integers(0, NOISE_TABLE_SAMPLES - int(n_filled.max()), size=len(rows))
        fill(waveform, rows, n_filled[rows], offsets, np.stack([level[rows], gain[rows]]), is_end)


def fill_rows(
    waveform: Tensor, rows: IntArray, n_filled: IntArray, offsets: IntArray, factors: FloatArray, is_end: bool
) -> None:
    """Fill one end of some rows in memory, each row alone. `factors`: (2, n_rows)."""
    samples, table = waveform.numpy(), _unit_noise(waveform.device).numpy()
    width, size = int(n_filled.max()), waveform.shape[1]
    for row, n, offset, level, gain in zip(
        rows.tolist(), n_filled.tolist(), offsets.tolist(), *factors, strict=True
    ):
        first = offset + width - n if is_end else offset
        target = samples[row, size - n :] if is_end else samples[row, :n]
        np.multiply(table[first : first + n], level, out=target)
        target *= gain


def fill_at_once(
    waveform: Tensor, rows: IntArray, n_filled: IntArray, offsets: IntArray, factors: FloatArray, is_end: bool
) -> None:
    """The same on a device where each call costs: all rows as wide as the widest, under a mask."""
    device, width = waveform.device, int(n_filled.max())
    noise = _unit_noise(device).unfold(0, width, 1)[to_device(offsets, device)]
    noise.mul_(column(factors[0], device)).mul_(column(factors[1], device))
    columns = torch.arange(width, device=device)
    filled = column(n_filled, device)
    mask = columns >= width - filled if is_end else columns < filled
    part = slice(waveform.shape[1] - width, None) if is_end else slice(0, width)
    chosen = to_device(rows, device)
    waveform[chosen, part] = torch.where(mask, noise, waveform[chosen, part])


@functools.cache
def _unit_noise(device: torch.device) -> Tensor:
    """A table of normal noise: cutting pieces out of it is many times faster than drawing them."""
    return torch.randn(NOISE_TABLE_SAMPLES, generator=torch.Generator().manual_seed(0)).to(device)


def column(values: AnyArray, device: torch.device) -> Tensor:
    return to_device(values, device).unsqueeze(1)
