"""Channels that cancel each other out, and float samples that are whole numbers."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import toy_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.audio.mixing import Mixer
from speechcmd.audio.reading import read_int16, read_waveform
from speechcmd.errors import AudioError, AudioWarning

pytestmark = pytest.mark.runtime

RATE = 16_000


def noise(n_samples: int = 4_000) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (0.3 * np.random.default_rng(0).standard_normal(n_samples)).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_channels_of_opposite_sign_give_the_first(tmp_path: Path, subtype: str, rate: int) -> None:
    both, one = tmp_path / "both.wav", tmp_path / "one.wav"
    soundfile.write(both, np.stack([noise(), -noise()], axis=1), rate, subtype=subtype)
    soundfile.write(one, noise(), rate, subtype=subtype)
    for read in (read_waveform, read_int16):
        with pytest.warns(
            AudioWarning, match=r"both\.wav: its channels cancel each other out; the first was"
        ):
            found = read(both)
        np.testing.assert_allclose(found, read(one), atol=1e-6)


@pytest.mark.parametrize("other", [noise(), noise()[::-1], np.zeros(4_000), -0.9 * noise()])
def test_other_channels_are_mixed_without_a_word(tmp_path: Path, other: Any) -> None:
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([noise(), other], axis=1), RATE, subtype="FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(read_waveform(path), (noise() + other) / 2, atol=1e-6)
        soundfile.write(path, np.zeros((100, 2)), RATE)
        assert not read_waveform(path).any()


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 300), max_size=5), n_opposite=st.integers(0, 300))
def test_any_blocks_give_the_same_mix(cuts: list[int], n_opposite: int) -> None:
    samples = np.stack([noise(300), noise(300)], axis=1)
    samples[:n_opposite, 1] *= -1
    whole, parts = Mixer(), Mixer()
    expected = whole.feed(samples)
    pieces = [parts.feed(piece) for piece in np.split(samples, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(pieces), expected)
    assert parts.took_one_channel == whole.took_one_channel == (n_opposite == 300)
    np.testing.assert_array_equal(expected, samples[:, 0])


@pytest.mark.parametrize("scale", [2.0**15, 2.0**23, 2.0**31 - 128])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_whole_numbers_are_refused_with_the_reason(tmp_path: Path, scale: float, subtype: str) -> None:
    path = tmp_path / "numbers.wav"
    speech = np.concatenate([np.zeros(20 * RATE), noise()])
    soundfile.write(path, speech * scale, RATE, subtype=subtype)
    with pytest.raises(
        AudioError, match=r"numbers\.wav: expected float samples from -1 to 1, got up to .*: whole"
    ):
        read_waveform(path)


def test_single_samples_are_bounded_as_before(tmp_path: Path) -> None:
    path = tmp_path / "spike.wav"
    samples = noise()
    samples[[5, 2_000]] = 30_000
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert read_waveform(path).max() == 16


def test_the_command_line_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "toy.onnx").write_bytes(toy_model())
    soundfile.write(tmp_path / "both.wav", np.stack([noise(), -noise()], axis=1), RATE)
    command = [sys.executable, "-m", "speechcmd", "transcribe", "-m", "toy.onnx", "both.wav"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    (note,) = [line for line in done.stderr.splitlines() if "note" in line]
    assert note == "speechcmd: note: both.wav: its channels cancel each other out; the first was taken"
