"""What a recogniser listens to: parts of the sound are covered, and the answer is asked again.

The network takes a waveform, so a patch of time and frequency is covered in the waveform: the patch is
brought down to the recording's own floor in each of its frequencies (digital zero is a sound of its own).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speechcmd.arrays import DoubleArray
from speechcmd.audio.samples import Waveform

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.recognizer import Recognizer


N_BANDS = 10  # equally wide in mel
CELL_S = 0.05
MOST_TIMES = 24  # longer recordings have longer cells: the work shall not grow
_PATCH_CELLS = 2  # a patch is two cells wide and high, so that each cell is covered by four patches
_FRAME_S = 0.032
_FLOOR_QUANTILE = 0.1
LEAST_FALL = 0.2  # of the log odds: a smaller one says nothing
_SURE = 1e-3  # a score cannot be surer: the last decimals of 1 say nothing


@dataclass(frozen=True, slots=True)
class Saliency:
    """How far a label's score falls where the sound is covered."""

    label: str
    score: float
    """With nothing covered."""
    falls: DoubleArray
    """Fall of the log odds, mean over the patches that cover a cell. Shape: (n_bands, n_times)."""
    time_edges_s: DoubleArray
    band_edges_hz: DoubleArray

    @property
    def peak(self) -> tuple[float, float, float, float]:
        """The cell that matters most: (start_s, end_s, low_hz, high_hz)."""
        band, time = np.unravel_index(int(self.falls.argmax()), self.falls.shape)
        start_s, end_s = self.time_edges_s[time : time + 2]
        low_hz, high_hz = self.band_edges_hz[band : band + 2]
        return float(start_s), float(end_s), float(low_hz), float(high_hz)


class Cover:
    """A recording of which patches can be covered. Shape of the waveform: (n_samples,), n_samples > 0."""

    def __init__(self, waveform: Waveform, sample_rate: int) -> None:
        from scipy.signal import stft

        self._waveform, self._rate = waveform, sample_rate
        n_frame = min(round(_FRAME_S * sample_rate), len(waveform))
        self._settings: dict[str, Any] = {"fs": sample_rate, "nperseg": n_frame, "noverlap": n_frame // 2}
        self._bins_hz, self._times_s, self._spectrum = stft(waveform, **self._settings)
        magnitude = np.abs(self._spectrum)
        floor = np.quantile(magnitude, _FLOOR_QUANTILE, axis=1, keepdims=True)
        gain = np.minimum(1.0, floor / np.maximum(magnitude, 1e-12))
        self._change = self._spectrum * (gain - 1.0)

    def apply(self, start_s: float, end_s: float, low_hz: float, high_hz: float) -> Waveform:
        """The recording with one patch at its floor. Shape: (n_samples,)."""
        from scipy.signal import istft

        frames = (self._times_s >= start_s) & (self._times_s < end_s)
        bins = (self._bins_hz >= low_hz) & (self._bins_hz < high_hz)
        patch = np.where(bins[:, None] & frames[None, :], self._change, 0)
        # only the change goes through the transform: what is not covered keeps its very samples
        change = istft(patch, **self._settings)[1][: len(self._waveform)]
        covered = self._waveform.copy()
        covered[: len(change)] += change.astype(np.float32)
        return covered


def compute_saliency(
    score: Callable[[Waveform], float], waveform: Waveform, sample_rate: int, label: str
) -> Saliency:
    """Cover each patch of a recording in turn.

    Parameters
    ----------
    score
        From a waveform, shape (n_samples,), to the label's score from 0 to 1.
    waveform
        Shape (n_samples,), n_samples > 0.
    label
        Whose score it is.
    """
    times_s = _time_edges_s(len(waveform) / sample_rate)
    bands_hz = _band_edges_hz(sample_rate / 2)
    cover = Cover(waveform, sample_rate)
    whole = score(waveform)
    n_bands, n_times = len(bands_hz) - 1, len(times_s) - 1
    sums, counts = np.zeros((n_bands, n_times)), np.zeros((n_bands, n_times))
    for band in range(1 - _PATCH_CELLS, n_bands):
        bands = slice(max(0, band), min(n_bands, band + _PATCH_CELLS))
        for time in range(1 - _PATCH_CELLS, n_times):
            times = slice(max(0, time), min(n_times, time + _PATCH_CELLS))
            covered = cover.apply(*_span(times_s, times), *_span(bands_hz, bands))
            sums[bands, times] += _log_odds(whole) - _log_odds(score(covered))
            counts[bands, times] += 1
    return Saliency(label, whole, sums / counts, times_s, bands_hz)


def explain_answer(
    recognizer: Recognizer, waveform: Waveform, sample_rate: int, target: str | None = None
) -> Saliency:
    """What a label's score for a whole recording rests on; None is the recogniser's answer.

    Shape of the waveform: (n_samples,), n_samples > 0, at the model's rate.

    Raises
    ------
    AudioError
        If the waveform is not a mono float waveform.
    """
    label = target if target in recognizer.labels else recognizer.classify(waveform).label

    def score(covered: Waveform) -> float:
        return recognizer.classify(covered).posteriors[label]

    return compute_saliency(score, waveform, sample_rate, label)


def _time_edges_s(duration_s: float) -> DoubleArray:
    n_times = min(MOST_TIMES, max(1, round(duration_s / CELL_S)))
    return np.linspace(0.0, duration_s, n_times + 1)


def _band_edges_hz(highest_hz: float) -> DoubleArray:
    mel = np.linspace(0.0, 2595.0 * math.log10(1.0 + highest_hz / 700.0), N_BANDS + 1)
    edges: DoubleArray = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return edges


def _span(edges: DoubleArray, cells: slice) -> tuple[float, float]:
    # the transform's last frame and its highest frequency lie on the last edge, or behind
    return float(edges[cells.start]), float(edges[cells.stop]) if cells.stop < len(edges) - 1 else math.inf


def _log_odds(score: float) -> float:
    limited = min(max(score, _SURE), 1.0 - _SURE)
    return math.log(limited / (1.0 - limited))
