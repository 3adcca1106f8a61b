"""Reading audio: what no recording should hold is bounded before it reaches a network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcmd.audio.reading import duration_s, read_blocks, read_int16, read_waveform
from speechcmd.audio.samples import LARGEST_SAMPLE, float32_to_int16, int16_to_float32
from speechcmd.errors import AudioError

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


def test_blocks_are_bounded_whatever_rate_and_channels_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.wav"
    noise = np.random.default_rng(0).standard_normal((3_000, 8)).astype(np.float32) * np.float32(0.1)
    soundfile.write(path, noise, 16_000, subtype="FLOAT")
    monkeypatch.setattr("speechcmd.audio.reading._BLOCK_VALUES", 800)
    blocks = list(read_blocks(path))
    assert {len(block) for block in blocks} == {100}
    np.testing.assert_allclose(np.concatenate(blocks), noise.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_absurd_rates_are_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros(100), rate)
    with pytest.raises(AudioError, match=f"expected a sample rate from 1000 to 768000 Hz, got {rate} Hz"):
        read_waveform(path)
    with pytest.raises(AudioError, match="expected a sample rate"):
        duration_s(path)


@pytest.mark.parametrize("suffix", ["au", "snd", "vox", "gsm"])
def test_what_only_its_name_makes_sound_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text.{suffix}"
    path.write_text("this is no telephone sound\n" * 50)
    with pytest.raises(AudioError, match=r"\(it has no header\)"):
        read_waveform(path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX systems only")
def test_names_that_are_no_text_are_read_and_told_in_one_line(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path / "a\nb") + b"\xff\xfe.wav")
    with pytest.raises(AudioError) as caught:
        read_waveform(name)
    assert str(caught.value) == f"{tmp_path}/a\ufffdb\ufffd\ufffd.wav: no such file"
    soundfile.write(tmp_path / "plain.wav", np.zeros(100), 16_000)
    (tmp_path / "plain.wav").rename(name)
    assert len(read_waveform(name)) == 100


def test_int16_goes_to_float_and_back_unchanged() -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    np.testing.assert_array_equal(float32_to_int16(int16_to_float32(every)), every)
    assert float32_to_int16(np.array([2.0, -2.0])).tolist() == [32_767, -32_768]


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_whole_samples_become_what_the_decoder_makes_of_them(tmp_path: Path, suffix: str) -> None:
    """Files of 16 bits are read as such and scaled here: the same values to the last bit."""
    path = tmp_path / f"two-channels.{suffix}"
    every = np.random.default_rng(0).permutation(np.arange(-32_768, 32_768)).astype(np.int16).reshape(-1, 2)
    soundfile.write(path, every, 16_000, subtype="PCM_16")
    decoded, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read_waveform(path), decoded.mean(axis=1, dtype=np.float32))


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    (tmp_path / "folder.wav").mkdir()
    for name, kind in (("pipe", "a pipe; what comes"), ("device", "a device"), ("folder", "a folder")):
        for read in (read_waveform, read_int16, duration_s):
            with pytest.raises(AudioError, match=f"{name}.wav: expected an audio file, got {kind}"):
                read(tmp_path / f"{name}.wav")  # type: ignore[operator]
