"""Reading audio: what no recording should hold is bounded before it reaches a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcmd.audio import LARGEST_SAMPLE, float32_to_int16, int16_to_float32, read_blocks, read_waveform

pytestmark = pytest.mark.runtime


def test_absurd_and_missing_samples_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "float.wav"
    samples = np.array([0.5, np.nan, np.inf, -np.inf, 1e25, -1e25, 2.0], dtype=np.float32)
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    expected = [0.5, 0.0, 1.0, -1.0, LARGEST_SAMPLE, -LARGEST_SAMPLE, 2.0]
    np.testing.assert_array_equal(read_waveform(path), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("block_s", [0.01, 0.1, 0.37])
def test_any_blocks_give_the_same_resampled_audio(tmp_path: Path, block_s: float) -> None:
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(0).standard_normal((44_100, 2)).astype(np.float32) * np.float32(0.1)
    soundfile.write(path, noise, 44_100, subtype="FLOAT")
    whole = read_waveform(path)
    assert len(whole) == 16_000
    np.testing.assert_allclose(np.concatenate(list(read_blocks(path, block_s=block_s))), whole, atol=1e-6)


def test_int16_goes_to_float_and_back_unchanged() -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    np.testing.assert_array_equal(float32_to_int16(int16_to_float32(every)), every)
    assert float32_to_int16(np.array([2.0, -2.0])).tolist() == [32_767, -32_768]
