"""Excerpts of recordings: the same samples whether the format can be entered in the middle or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcmd.audio.reading import read_waveform
from speechcmd.evaluation.streams.excerpt import read_excerpt

RATE = 16_000


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16"), ("wav", "GSM610"), ("au", "G721_32")]
)
@pytest.mark.parametrize(("start_s", "end_s"), [(-0.5, 0.5), (0.0, 1.0), (1.3, 2.1), (2.5, 9.0), (4.0, 5.0)])
def test_a_stretch_is_the_recordings(
    tmp_path: Path, suffix: str, subtype: str, start_s: float, end_s: float
) -> None:
    path = tmp_path / f"recording.{suffix}"
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    soundfile.write(path, noise, RATE, subtype=subtype)
    whole = read_waveform(path)
    expected = whole[max(0, round(start_s * RATE)) : max(0, round(end_s * RATE))]
    np.testing.assert_array_equal(read_excerpt(path, start_s, end_s, RATE), expected)
