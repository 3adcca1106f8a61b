"""From blocks of audio, of any size, to posteriors and detections.

A recording has edges: before its first and after its last sample stands half a window of noise at the
recording's own floor, so that a word at the very edge is seen in the middle of a window, and no model ever
meets digital zero. The floor is taken from the first (last) second, so the first posteriors come after
a second.

The network always runs on the same number of steps, counted from the first sample: results do not depend
on the sizes of the blocks, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from speechcmd.audio import INT16_SCALE, Waveform, finite_samples
from speechcmd.errors import AudioError
from speechcmd.runtime.decoder import Decoder, Detection
from speechcmd.runtime.model_card import ModelCard
from speechcmd.runtime.noise import white_noise

FloatArray = npt.NDArray[np.float32]

_FLOOR_S = 1.0
_HOPS_PER_S = 100
_FLOOR_PERCENTILE = 10
_LEAST_FLOOR = 1 / INT16_SCALE
_HEAD_SEED, _TAIL_SEED = 11, 12


def measure_floor(waveform: Waveform, sample_rate: int) -> float:
    """Level of the quiet parts: the 10th percentile of the rms of 10 ms pieces, without their offset.

    At least one step of int16, so that the floor is never digital zero. Shape: (n_samples,), not empty.
    """
    hop = sample_rate // _HOPS_PER_S
    n_hops = len(waveform) // hop
    pieces = waveform[: n_hops * hop].reshape(n_hops, hop) if n_hops else waveform[None, :]
    return max(float(np.percentile(pieces.std(axis=1), _FLOOR_PERCENTILE)), _LEAST_FLOOR)


def edge_samples(card: ModelCard) -> int:
    """Length of the noise before and after a recording."""
    return card.window_samples // 2


class PosteriorStream:
    """Posteriors of one recording that arrives in blocks, with its edges.

    Parameters
    ----------
    infer
        The network: (n_samples,) to posteriors (n_steps, n_labels) without any padding.
    card
        Its card.
    update_s
        Audio between two runs of the network, rounded to whole steps.
    """

    def __init__(self, infer: Callable[[Waveform], FloatArray], card: ModelCard, update_s: float) -> None:
        self._infer = infer
        self._card = card
        self._update_steps = max(1, round(update_s / card.step_s))
        self._update_span = card.window_samples + (self._update_steps - 1) * card.step_samples
        self._floor_samples = round(_FLOOR_S * card.sample_rate)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next block begins a new recording."""
        self.n_samples = 0
        self._blocks: list[Waveform] = []
        self._n_buffered = 0
        self._has_head = False
        self._last_second: Waveform = np.zeros(0, dtype=np.float32)

    def feed(self, waveform: Waveform) -> FloatArray:
        """Return the posteriors that are ready. Shape: (n_samples,) -> (n_steps, n_labels), both may be 0."""
        self.n_samples += len(waveform)
        recent = waveform[-self._floor_samples :]
        kept = self._last_second[max(0, len(self._last_second) + len(recent) - self._floor_samples) :]
        self._last_second = np.concatenate([kept, recent])
        self._append(waveform.copy())  # the caller may reuse its block
        if not self._has_head and self.n_samples >= self._floor_samples:
            self._add_head()
        if not self._has_head:
            return self._no_posteriors()
        return self._run_updates()

    def flush(self) -> FloatArray:
        """Return the posteriors up to the end of the recording; afterwards the stream is as new."""
        posteriors = self._no_posteriors()
        if self.n_samples:
            if not self._has_head:
                self._add_head()
            self._append(self._edge(self._last_second, _TAIL_SEED))
            posteriors = np.concatenate([self._run_updates(), self._run_rest()])
        self.reset()
        return posteriors

    def _append(self, waveform: Waveform) -> None:
        self._blocks.append(waveform)
        self._n_buffered += len(waveform)

    def _add_head(self) -> None:
        begin = np.concatenate(self._blocks)
        head = self._edge(begin[: self._floor_samples], _HEAD_SEED)
        self._blocks = [head, begin]
        self._n_buffered = len(head) + len(begin)
        self._has_head = True

    def _edge(self, near: Waveform, seed: int) -> Waveform:
        floor = np.float32(measure_floor(near, self._card.sample_rate))
        return white_noise(edge_samples(self._card), seed) * floor

    def _run_updates(self) -> FloatArray:
        if self._n_buffered < self._update_span:
            return self._no_posteriors()
        buffer = np.concatenate(self._blocks)
        done = []
        position = 0
        while len(buffer) - position >= self._update_span:
            done.append(self._infer(buffer[position : position + self._update_span]))
            position += self._update_steps * self._card.step_samples
        rest = buffer[position:].copy()
        self._blocks, self._n_buffered = [rest], len(rest)
        return np.concatenate(done)

    def _run_rest(self) -> FloatArray:
        rest = np.concatenate(self._blocks)
        return self._infer(rest) if len(rest) >= self._card.window_samples else self._no_posteriors()

    def _no_posteriors(self) -> FloatArray:
        return np.zeros((0, len(self._card.labels)), dtype=np.float32)


class Stream:
    """Detections in one recording that arrives in blocks of any size. Not to be shared between threads."""

    def __init__(self, posteriors: PosteriorStream, decoder: Decoder, card: ModelCard) -> None:
        self._posteriors = posteriors
        self._decoder = decoder
        self._sample_rate = card.sample_rate

    def feed(self, waveform: npt.ArrayLike) -> list[Detection]:
        """Take the next samples at the model's rate and return what they decide. Shape: (n_samples,).

        Raises
        ------
        AudioError
            If it is not a mono float waveform.
        """
        ready = self._posteriors.feed(as_waveform(waveform))
        return self._clip(self._decoder.feed(ready), self._posteriors.n_samples)

    def flush(self) -> list[Detection]:
        """End the recording and return what is still open; afterwards the stream is as new."""
        n_samples = self._posteriors.n_samples
        last = self._decoder.feed(self._posteriors.flush())
        return self._clip(last + self._decoder.flush(), n_samples)

    def reset(self) -> None:
        """Drop the recording: the next block begins a new one."""
        self._posteriors.reset()
        self._decoder.reset()

    def _clip(self, detections: list[Detection], n_samples: int) -> list[Detection]:
        """The noise at the edges is not part of the recording, so no time points into it."""
        end_s = n_samples / self._sample_rate
        return [
            replace(
                detection,
                start_s=min(max(detection.start_s, 0.0), end_s),
                end_s=min(detection.end_s, end_s),
                decided_s=min(detection.decided_s, end_s),
            )
            for detection in detections
        ]


def as_waveform(samples: npt.ArrayLike) -> Waveform:
    """Check that samples are a mono float waveform; what is not a number becomes zero. Shape: (n_samples,).

    Raises
    ------
    AudioError
        If there is more than one dimension, or the samples are integers.
    """
    array = np.asarray(samples)
    if array.ndim != 1:
        raise AudioError(f"expected a mono waveform of shape (n_samples,), got shape {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"expected float samples in [-1, 1], got {array.dtype}; speechcmd.audio.int16_to_float32 converts"
        )
    return finite_samples(array.astype(np.float32))
