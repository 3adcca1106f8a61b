"""The picture channel: libjpeg's tables, blocks where libjpeg has them, and a log-mel that comes back."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn, idctn

from models.frontend import FrontEndConfig, LogMel
from speechcmd.arrays import ByteArray, DoubleArray
from speechcmd.training.augment.image_channel import (
    jpeg,
    log_mel_to_pixels,
    luminance_table,
    pixels_to_log_mel,
    through_image,
)


def saved_and_opened(picture: ByteArray, quality: int) -> ByteArray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())))


def block_by_block(picture: DoubleArray, quality: int) -> DoubleArray:
    """Baseline JPEG as the standard words it, for whole blocks."""
    result, table = np.empty_like(picture), luminance_table(quality)
    for row in range(0, picture.shape[0], 8):
        for column in range(0, picture.shape[1], 8):
            spectrum = dctn(picture[row : row + 8, column : column + 8] - 128, norm="ortho")
            levels = idctn(np.round(spectrum / table) * table, norm="ortho") + 128
            result[row : row + 8, column : column + 8] = np.clip(np.round(levels), 0, 255)
    return result


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Log-mel of rising tones in noise, as grey levels. Shape: (6, 98, 40)."""
    rng = np.random.default_rng(0)
    time_s = np.arange(16_000) / 16_000
    loudness = np.exp(-(((time_s - 0.5) / 0.2) ** 2))
    tones = [np.sin(2 * np.pi * (pitch + 300 * time_s) * time_s) for pitch in (150, 250, 400, 600, 900, 1500)]
    noise = rng.standard_normal((6, 16_000))
    waveform = 0.3 * loudness * np.stack(tones) + 0.003 * noise
    with torch.no_grad():
        return log_mel_to_pixels(LogMel()(torch.from_numpy(waveform.astype(np.float32))))


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 75, 92, 100])
def test_quantisation_table_is_that_of_libjpeg(quality: int) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    table = Image.open(io.BytesIO(file.getvalue())).quantization[0]
    assert luminance_table(quality).ravel().tolist() == list(table)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_that_does_not_exist_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        luminance_table(quality)


def test_default_table_begins_as_in_the_published_pictures() -> None:
    coded = jpeg(torch.linspace(0, 255, 64).round().view(1, 8, 8))
    assert torch.equal(coded, jpeg(torch.linspace(0, 255, 64).round().view(1, 8, 8), 75))
    assert luminance_table(75)[0].tolist() == [8, 6, 5, 8, 12, 20, 26, 31]


@pytest.mark.parametrize("quality", [20, 75])
def test_whole_blocks_equal_the_standard_block_by_block(pictures: torch.Tensor, quality: int) -> None:
    whole = pictures[:, :96]
    expected = np.stack([block_by_block(picture, quality) for picture in whole.double().numpy()])
    difference = np.abs(jpeg(whole, quality).numpy() - expected)
    # a block's mean lies on one half of a step once in sixty-four times and may round to either side
    assert (difference == 0).mean() > 0.95
    assert (difference <= 1).mean() > 0.995


@pytest.mark.parametrize("size", [(98, 40), (37, 43), (8, 8), (3, 5)])
def test_like_libjpeg_on_its_own_pictures(pictures: torch.Tensor, size: tuple[int, int]) -> None:
    smooth = torch.nn.functional.interpolate(pictures[:, None], size=size)[:, 0].round().numpy()
    once = np.stack([saved_and_opened(picture, 75) for picture in smooth.astype(np.uint8)])
    twice = np.stack([saved_and_opened(picture, 75) for picture in once]).astype(np.float32)
    difference = np.abs(jpeg(torch.from_numpy(once).float()).numpy() - twice)
    assert (difference <= 1).mean() > 0.995  # libjpeg computes in whole numbers
    assert difference.max() <= 8


def test_differs_from_libjpeg_far_less_than_it_changes_a_picture(pictures: torch.Tensor) -> None:
    file = np.stack([saved_and_opened(picture, 75) for picture in pictures.numpy().astype(np.uint8)])
    ours = jpeg(pictures).numpy()
    # libjpeg rounds its cosines: a coefficient near one half falls to either side
    assert np.square(ours - file).mean() < 0.04 * np.square(ours - pictures.numpy()).mean()
    assert np.abs(ours - pictures.numpy()).mean() > 1


def test_phase_moves_the_block_grid_of_each_picture(pictures: torch.Tensor) -> None:
    phase = torch.tensor([0, 1, 3, 4, 6, 7])
    coded = jpeg(pictures, phase=phase)
    for picture, n_before, got in zip(pictures, phase.tolist(), coded, strict=True):
        longer = torch.cat([picture[:1].expand(n_before, -1), picture])
        # the rows below fill up to the same block or to one more: they touch only the last block
        assert torch.equal(got[:88], jpeg(longer[None])[0, n_before:][:88])
    assert torch.equal(coded[0], jpeg(pictures)[0])
    assert not torch.equal(coded[1], jpeg(pictures)[1])


def test_pixels_are_the_published_mapping() -> None:
    power = np.array([0.0, 1e-6, 1e-3, 1.0, 100.0])
    log_mel = torch.from_numpy(np.log(power + 1e-6)).float()
    expected = np.clip(np.round(10 * np.log(power + 5e-7) + 146.3), 0, 255)
    assert log_mel_to_pixels(log_mel).tolist() == expected.tolist()


def test_pixels_come_back_within_rounding_and_above_the_floor() -> None:
    log_mel = torch.linspace(-11.5, 10.8, 500)
    back = pixels_to_log_mel(log_mel_to_pixels(log_mel))
    assert (back - log_mel).abs().max() < 0.055
    floor = torch.tensor([-20.0, np.log(1e-6)], dtype=torch.float32)
    assert torch.allclose(pixels_to_log_mel(log_mel_to_pixels(floor)), torch.tensor(np.log(1e-6)).float())
    stored = torch.tensor([0, 100, 255], dtype=torch.uint8)
    assert torch.equal(pixels_to_log_mel(stored), pixels_to_log_mel(stored.float()))


def test_the_channel_is_pixels_jpeg_and_back_with_the_floor_of_the_front_end(pictures: torch.Tensor) -> None:
    log_mel = pixels_to_log_mel(pictures)
    before = log_mel.clone()
    coded = through_image(log_mel, 50)
    assert torch.equal(log_mel, before)
    assert torch.equal(coded, pixels_to_log_mel(jpeg(log_mel_to_pixels(log_mel), 50)))
    change = (through_image(log_mel) - log_mel).square().mean().sqrt()
    assert 0.05 < change < 0.6
    higher = FrontEndConfig(log_floor=1e-3)
    assert through_image(log_mel, frontend=higher).min() >= np.log(1e-3) - 1e-4
    phase = torch.full((6,), 5)
    assert torch.equal(
        through_image(log_mel, phase=phase), pixels_to_log_mel(jpeg(log_mel_to_pixels(log_mel), phase=phase))
    )


def test_no_pictures_are_no_pictures() -> None:
    none = torch.zeros(0, 98, 40)
    assert through_image(none).shape == (0, 98, 40)
    assert through_image(none, phase=torch.zeros(0, dtype=torch.int64)).shape == (0, 98, 40)
