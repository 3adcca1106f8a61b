"""From blocks of audio, of any size, to posteriors and detections.

A recording has edges: before its first and after its last sample stands half a window of noise at the
recording's own floor, so that a word at the very edge is seen in the middle of a window, and the edge is
never digital zero. The floor is taken from the first (last) second, so the first posteriors come after a
second.

The network always runs on the same number of steps, counted from the first sample: results do not depend
on the sizes of the blocks, to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speechcmd.arrays import FloatArray
from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.audio.samples import INT16_SCALE, Waveform, finite_samples
from speechcmd.errors import AudioError
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.recognition.decoder import Decoder, Detection
from speechcmd.runtime.recognition.level_history import hop_samples, measure_levels

Infer = Callable[[Waveform], FloatArray]

_FLOOR_S = 1.0
_HOPS_PER_S = 100
_FLOOR_PERCENTILE = 10
_LEAST_FLOOR = 1 / INT16_SCALE
_HEAD_SEED, _TAIL_SEED = 11, 12


def measure_floor(waveform: Waveform, sample_rate: int) -> float:
    """Level of the quiet parts: the 10th percentile of the rms of 10 ms hops, without their offset.

    At least one step of int16, so that the floor is never digital zero. Shape: (n_samples,), not empty.
    """
    hop = sample_rate // _HOPS_PER_S
    n_hops = len(waveform) // hop
    hops = waveform[: n_hops * hop].reshape(n_hops, hop) if n_hops else waveform[None, :]
    return max(float(np.percentile(hops.std(axis=1), _FLOOR_PERCENTILE)), _LEAST_FLOOR)


def edge_samples(card: ModelCard) -> int:
    """Length of the noise before and after a recording."""
    return card.window_samples // 2


class Steps(NamedTuple):
    """What the network and the level meter say of the newest audio."""

    posteriors: FloatArray
    """Shape: (n_steps, n_labels)."""
    levels: FloatArray
    """Of the hops up to the end of the last step's window, in dB. Shape: (n_hops,)."""


class PosteriorStream:
    """Posteriors and levels of one recording that arrives in blocks, with its edges.

    Parameters
    ----------
    infer
        The network: (n_samples,) to posteriors (n_steps, n_labels) without any padding.
    card
        Its card.
    update_s
        Audio between two runs of the network, rounded to whole steps.
    begin_infer
        Gives a function in place of `infer` for each new recording. It is called with the windows of the next
        steps, one span after the other, and may remember what it computed of the span before.
    """

    def __init__(
        self,
        infer: Infer,
        card: ModelCard,
        update_s: float,
        *,
        begin_infer: Callable[[], Infer] | None = None,
    ) -> None:
        self._begin_infer = begin_infer or (lambda: infer)
        self._card = card
        self._update_steps = card.steps_in(update_s)
        self._update_span = card.window_samples + (self._update_steps - 1) * card.step_samples
        self._floor_samples = round(_FLOOR_S * card.sample_rate)
        self._hop = hop_samples(card)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next block begins a new recording."""
        self._recent: deque[Waveform] = deque()  # blocks that hold the last second
        self._n_recent = 0
        self._begin()

    def feed(self, waveform: Waveform) -> Steps:
        """Return the steps that are ready, which may be none. Shape: (n_samples,)."""
        self._n_samples += len(waveform)
        block = waveform.copy()  # the caller may reuse it
        self._remember(block if len(block) <= self._floor_samples else block[-self._floor_samples :].copy())
        self._append(block)
        if not self._has_head and self._n_samples >= self._floor_samples:
            begin = np.concatenate(self._blocks)
            self._add_head(begin[: self._floor_samples])
        return self._run_updates() if self._has_head else self._no_steps()

    def flush(self) -> Steps:
        """Return the steps up to the end of the recording; afterwards the stream is as new."""
        steps = self._finish()
        self.reset()
        return steps

    def gap(self) -> Steps:
        """End what was heard, as `flush` does, and begin again after audio that was lost.

        The level of the noise at the new beginning is that of the last second: nothing has to be waited for.
        """
        steps = self._finish()
        self._begin()
        if self._n_recent:
            self._add_head(self._last_second())
        return steps

    def _begin(self) -> None:
        self._n_samples = 0
        self._blocks: list[Waveform] = []
        self._n_buffered = 0
        self._n_measured = 0  # samples at the buffer's beginning whose level is known
        self._has_head = False
        self._infer = self._begin_infer()

    def _finish(self) -> Steps:
        if self._n_samples == 0:
            return self._no_steps()
        if not self._has_head:
            self._add_head(self._last_second())
        self._append(self._edge(self._last_second(), _TAIL_SEED))
        full, rest = self._run_updates(), self._run_rest()
        return Steps(*(np.concatenate(pair) for pair in zip(full, rest, strict=True)))

    def _remember(self, block: Waveform) -> None:
        """Keep the blocks of the last second; they are joined only when a recording ends."""
        self._recent.append(block)
        self._n_recent += len(block)
        while self._n_recent - len(self._recent[0]) >= self._floor_samples:
            self._n_recent -= len(self._recent.popleft())

    def _last_second(self) -> Waveform:
        return np.concatenate(self._recent)[-self._floor_samples :]

    def _append(self, waveform: Waveform) -> None:
        self._blocks.append(waveform)
        self._n_buffered += len(waveform)

    def _add_head(self, near: Waveform) -> None:
        head = self._edge(near, _HEAD_SEED)
        self._blocks.insert(0, head)
        self._n_buffered += len(head)
        self._has_head = True

    def _edge(self, near: Waveform, seed: int) -> Waveform:
        floor = np.float32(measure_floor(near, self._card.sample_rate))
        return white_noise(edge_samples(self._card), seed) * floor

    def _run_updates(self) -> Steps:
        if self._n_buffered < self._update_span:
            return self._no_steps()
        buffer = np.concatenate(self._blocks)
        done = []
        position = 0
        while len(buffer) - position >= self._update_span:
            done.append(self._infer(buffer[position : position + self._update_span]))
            end = position + self._update_span
            position += self._update_steps * self._card.step_samples
        levels = self._measure(buffer[:end])
        rest = buffer[position:].copy()
        self._blocks, self._n_buffered = [rest], len(rest)
        self._n_measured -= position
        return Steps(np.concatenate(done), levels)

    def _run_rest(self) -> Steps:
        rest = np.concatenate(self._blocks)
        n_steps = (len(rest) - self._card.window_samples) // self._card.step_samples + 1
        if n_steps < 1:
            return self._no_steps()
        end = (n_steps - 1) * self._card.step_samples + self._card.window_samples
        return Steps(self._infer(rest), self._measure(rest[:end]))

    def _measure(self, buffer: Waveform) -> FloatArray:
        """Levels of the whole hops that were not measured before."""
        levels = measure_levels(buffer[self._n_measured :], self._hop)
        self._n_measured += len(levels) * self._hop
        return levels

    def _no_steps(self) -> Steps:
        posteriors = np.zeros((0, len(self._card.labels)), dtype=np.float32)
        return Steps(posteriors, np.zeros(0, dtype=np.float32))


class Stream:
    """Detections in one recording that arrives in blocks of any size. Not to be shared between threads."""

    def __init__(self, posteriors: PosteriorStream, decoder: Decoder, card: ModelCard) -> None:
        self._posteriors = posteriors
        self._decoder = decoder
        self._card = card
        self._near_misses: list[Detection] = []
        self._begin(0)

    @property
    def position_s(self) -> float:
        """Seconds of audio so far, with what was lost in gaps."""
        return self._n_samples / self._card.sample_rate

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    @property
    def scores(self) -> dict[str, float]:
        """Smoothed posterior of each word that may fire, at the newest step."""
        return self._decoder.scores

    def feed(self, waveform: npt.ArrayLike) -> list[Detection]:
        """Take the next samples at the model's rate and return what they decide. Shape: (n_samples,).

        Raises
        ------
        AudioError
            If it is not a mono float waveform.
        """
        samples = as_waveform(waveform)
        self._n_samples += len(samples)
        return self._clip(self._decoder.feed(*self._posteriors.feed(samples)))

    def gap(self, n_samples: int) -> list[Detection]:
        """Say that samples were lost here, and return what that decides.

        Audio on the two sides is not glued together: what was heard ends here as if the recording did, and
        positions go on as if the lost samples had come.
        """
        last = self._decoder.feed(*self._posteriors.gap())
        begin = self._n_samples + n_samples
        detections = self._clip(last + self._decoder.gap(begin - edge_samples(self._card)))
        self._note_near_misses()
        self._begin(begin)
        return detections

    def flush(self) -> list[Detection]:
        """End the recording and return what is still open; afterwards the stream is as new."""
        last = self._decoder.feed(*self._posteriors.flush())
        detections = self._clip(last + self._decoder.flush())
        self._note_near_misses()
        self._begin(0)
        return detections

    def take_near_misses(self) -> list[Detection]:
        """Words that came up to the release level and did not fire, since the last call.

        Only of a stream that was asked to keep them.
        """
        self._note_near_misses()
        taken, self._near_misses = self._near_misses, []
        return taken

    def reset(self) -> None:
        """Drop the recording: the next block begins a new one."""
        self._posteriors.reset()
        self._decoder.reset()
        self._near_misses = []
        self._begin(0)

    def _note_near_misses(self) -> None:
        """Clip them to the audio they were in, which a gap or the end closes."""
        self._near_misses += self._clip(self._decoder.take_near_misses())

    def _begin(self, first_sample: int) -> None:
        self._first_sample = self._n_samples = first_sample

    def _clip(self, detections: list[Detection]) -> list[Detection]:
        """The noise at the edges is not part of the recording, so no time points into it."""
        begin_s, end_s = self._first_sample / self._card.sample_rate, self.position_s
        return [clip_times(detection, begin_s, end_s) for detection in detections]


def clip_times(detection: Detection, begin_s: float, end_s: float) -> Detection:
    """Move the times of a detection into the recording that it was heard in."""
    return replace(
        detection,
        start_s=min(max(detection.start_s, begin_s), end_s),
        end_s=min(max(detection.end_s, begin_s), end_s),
        decided_s=min(detection.decided_s, end_s),
    )


def as_waveform(samples: npt.ArrayLike) -> Waveform:
    """Check that samples are a mono float waveform; what is not a number becomes zero. Shape: (n_samples,).

    Raises
    ------
    AudioError
        If there is more than one dimension, or the samples are integers.
    """
    array = np.asarray(samples)
    if array.ndim == 1 and array.dtype == np.float32:  # what comes many times a second
        return finite_samples(array)
    if array.ndim != 1:
        raise AudioError(f"expected a mono waveform of shape (n_samples,), got shape {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"expected float samples in [-1, 1], got {array.dtype}; "
            "speechcmd.audio.samples.int16_to_float32 converts"
        )
    return finite_samples(array.astype(np.float32, copy=False))
