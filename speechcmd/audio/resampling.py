"""From one sample rate to another, block by block."""

from __future__ import annotations

from typing import Any

from speechcmd.audio.samples import SAMPLE_RATE, Waveform


class Resampler:
    """Bring blocks of one rate to another, keeping the filter's state between blocks.

    Any division of the input into blocks gives the same output (soxr, high quality).
    """

    def __init__(self, from_rate: float, to_rate: float = SAMPLE_RATE) -> None:
        self._stream: Any = None
        if from_rate != to_rate:
            import soxr  # only where a rate really changes

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")

    def feed(self, waveform: Waveform, last: bool = False) -> Waveform:
        """Return what the resampler has ready. Shape: (n_in,) -> (n_out,), n_out may be 0."""
        if self._stream is None:
            return waveform
        resampled: Waveform = self._stream.resample_chunk(waveform, last=last)
        return resampled
