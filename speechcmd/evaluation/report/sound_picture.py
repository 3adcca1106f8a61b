"""A sound as a picture: its spectrogram, and what the recogniser listened to in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.report.drawing import FONT_PT, INK, WIDTH_IN, style_axes, to_svg
from speechcmd.evaluation.report.saliency import LEAST_FALL, Saliency

_SPAN_DB = 60.0  # quieter than this below the loudest is black
_N_ROWS = 96
_FRAME_S = 0.025
_LONGEST_COLUMNS = 160


def draw_sound(waveform: Waveform, sample_rate: int, saliency: Saliency) -> bytes:
    """Draw the spectrogram, and under it the same with the saliency over it, as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, 3.7), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    levels_db = _spectrogram_db(waveform, sample_rate)
    duration_s, top_khz = len(waveform) / sample_rate, sample_rate / 2_000
    extent = (0.0, duration_s, 0.0, top_khz)
    upper.imshow(levels_db, origin="lower", aspect="auto", extent=extent, cmap="magma", interpolation="none")
    _draw_saliency(figure, lower, saliency, levels_db, extent)
    for axes in (upper, lower):
        style_axes(axes)
        axes.set_ylabel("kHz")
    upper.set_title("the sound", loc="left", color=INK, fontsize=FONT_PT)
    lower.set_title("what the answer rests on", loc="left", color=INK, fontsize=FONT_PT)
    lower.set_xlabel("seconds")
    return to_svg(figure)


def _draw_saliency(
    figure: Any, axes: Any, saliency: Saliency, levels_db: FloatArray, extent: tuple[float, ...]
) -> None:
    """Draw the sound as grey ink, and the orange of its cells under it."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    falls = _spread_cells(saliency, levels_db.shape, extent)
    shares = falls / max(float(falls.max()), LEAST_FALL)
    colours = LinearSegmentedColormap.from_list("saliency", ["#FFFFFF", "#FDB863", "#D55E00"])
    ink = 0.6 * (1.0 + levels_db / _SPAN_DB)
    image = colours(shares)[..., :3] * (1.0 - ink[..., None])
    axes.imshow(image, origin="lower", aspect="auto", extent=extent, interpolation="none")
    scale = ScalarMappable(Normalize(0, 1), colours)
    bar = figure.colorbar(scale, ax=axes, pad=0.01, aspect=12, ticks=[0, 1])
    bar.ax.set_yticklabels(["nothing", "most"], fontsize=FONT_PT)
    bar.outline.set_visible(False)


def _spread_cells(saliency: Saliency, shape: tuple[int, ...], extent: tuple[float, ...]) -> FloatArray:
    """Bands are not equally wide: each row of the picture looks its band up. Shape: `shape`."""
    n_rows, n_columns = shape
    rows_hz = (np.arange(n_rows) + 0.5) / n_rows * extent[3] * 1_000
    columns_s = (np.arange(n_columns) + 0.5) / n_columns * extent[1]
    bands = np.searchsorted(saliency.band_edges_hz[1:-1], rows_hz, side="right")
    times = np.searchsorted(saliency.time_edges_s[1:-1], columns_s, side="right")
    cells: FloatArray = saliency.falls[np.ix_(bands, times)].clip(min=0.0)
    return cells


def _spectrogram_db(waveform: Waveform, sample_rate: int) -> FloatArray:
    """Levels below the loudest, from -60 to 0 dB. Shape: (n_rows, n_columns), low frequencies first."""
    from scipy.signal import stft

    n_frame = min(round(_FRAME_S * sample_rate), len(waveform))
    hop = max(n_frame // 4, len(waveform) // _LONGEST_COLUMNS, 1)
    overlap = max(0, n_frame - hop)
    bins_hz, _, spectrum = stft(waveform, fs=sample_rate, nperseg=n_frame, noverlap=overlap)
    power = np.abs(spectrum) ** 2
    rows = np.linspace(0, len(bins_hz), _N_ROWS + 1).astype(int)[:-1]
    level_db = 10 * np.log10(np.maximum.reduceat(power, np.minimum(rows, len(bins_hz) - 1), axis=0) + 1e-12)
    floored: FloatArray = np.maximum(level_db - level_db.max(), -_SPAN_DB)
    return floored
