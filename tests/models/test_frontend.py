"""The log-mel front end against librosa, torchaudio, a float64 DFT and the images of the shared corpus."""

from __future__ import annotations

import os
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from models.frontend import FrontEndConfig, LogMel, dft_basis, mel_filters
from speechcmd.arrays import DoubleArray, FloatArray

CONFIG = FrontEndConfig()
FLOOR = CONFIG.log_floor
# float32 rounding beside a loud tone, seen through the logarithm where the power is near the floor
TOLERANCE = 1e-3


def make_signals() -> dict[str, FloatArray]:
    rng = np.random.default_rng(0)
    time_s = np.arange(12_345) / CONFIG.sample_rate
    signals = {
        "noise": 0.1 * rng.standard_normal(12_345),
        "quiet noise": 1e-3 * rng.standard_normal(12_345),
        "tone": 0.5 * np.sin(2 * np.pi * 1_000 * time_s),
        "chirp": 0.3 * np.sin(2 * np.pi * (100 + 2_000 * time_s) * time_s),
        "full-scale square": np.sign(np.sin(2 * np.pi * 220 * time_s)),
        "silence": np.zeros(12_345),
        "one window": 0.1 * rng.standard_normal(480),
    }
    return {name: signal.astype(np.float32) for name, signal in signals.items()}


SIGNALS = make_signals()


def log_mel(waveform: FloatArray, config: FrontEndConfig = CONFIG) -> FloatArray:
    frames: FloatArray = LogMel(config)(torch.from_numpy(waveform)[None])[0].numpy()
    return frames


def reference_log_mel(waveform: FloatArray) -> DoubleArray:
    """Frame by frame in float64 with numpy's FFT."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(CONFIG.win_length) / CONFIG.win_length)
    filters = mel_filters(CONFIG).astype(np.float64)
    frames = []
    for k in range(CONFIG.n_frames(len(waveform))):
        piece = waveform[k * CONFIG.hop_length : k * CONFIG.hop_length + CONFIG.win_length].astype(np.float64)
        frames.append(filters @ np.abs(np.fft.rfft(piece * window, CONFIG.n_fft)) ** 2)
    return np.log(np.array(frames) + FLOOR)


@pytest.mark.parametrize("name", SIGNALS)
def test_equals_a_float64_fft(name: str) -> None:
    assert np.abs(log_mel(SIGNALS[name]) - reference_log_mel(SIGNALS[name])).max() < TOLERANCE


@pytest.mark.parametrize("name", SIGNALS)
def test_equals_librosa(name: str) -> None:
    """librosa frames by n_fft with the window in its middle: 16 samples of padding on each side."""
    pad = (CONFIG.n_fft - CONFIG.win_length) // 2
    power = librosa.feature.melspectrogram(
        y=np.pad(SIGNALS[name], pad), sr=CONFIG.sample_rate, n_fft=CONFIG.n_fft, hop_length=CONFIG.hop_length,
        win_length=CONFIG.win_length, window="hann", center=False, power=2.0, n_mels=CONFIG.n_mels,
        fmin=CONFIG.f_min_hz, fmax=CONFIG.f_max_hz, htk=True, norm=None,
    )  # fmt: skip
    assert np.abs(log_mel(SIGNALS[name]) - np.log(power.T + FLOOR)).max() < TOLERANCE


@pytest.mark.parametrize("name", SIGNALS)
def test_equals_torchaudio(name: str) -> None:
    torchaudio = pytest.importorskip("torchaudio", exc_type=(ImportError, OSError))
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=CONFIG.sample_rate, n_fft=CONFIG.n_fft, win_length=CONFIG.win_length,
        hop_length=CONFIG.hop_length, f_min=CONFIG.f_min_hz, f_max=CONFIG.f_max_hz, n_mels=CONFIG.n_mels,
        center=False, power=2.0, mel_scale="htk", norm=None,
    )  # fmt: skip
    pad = (CONFIG.n_fft - CONFIG.win_length) // 2
    power = transform(torch.from_numpy(np.pad(SIGNALS[name], pad))).numpy()
    # its filters are computed by other means: float32 mel points
    assert np.abs(log_mel(SIGNALS[name]) - np.log(power.T + FLOOR)).max() < 2e-3


@pytest.mark.parametrize("band", [3, 12, 25, 39])
def test_a_tone_lights_its_own_band(band: int) -> None:
    edges_hz = librosa.mel_frequencies(
        CONFIG.n_mels + 2, fmin=CONFIG.f_min_hz, fmax=CONFIG.f_max_hz, htk=True
    )
    tone = 0.3 * np.sin(2 * np.pi * edges_hz[band + 1] * np.arange(8_000) / CONFIG.sample_rate)
    frames = log_mel(tone.astype(np.float32))
    # the lowest bands are narrower than a bin of the DFT: the tone may fall to a neighbour
    assert np.abs(frames.argmax(axis=1) - band).max() <= (1 if band < 10 else 0)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(0, 0), (479, 0), (480, 1), (639, 1), (640, 2), (16_000, 98), (10_733, 65)]
)
def test_frames_lie_wholly_inside(n_samples: int, n_frames: int) -> None:
    assert CONFIG.n_frames(n_samples) == n_frames
    if n_frames:
        assert log_mel(np.zeros(n_samples, dtype=np.float32)).shape == (n_frames, 40)
        assert CONFIG.n_samples(n_frames) <= n_samples < CONFIG.n_samples(n_frames + 1)


def test_frame_k_covers_its_samples_and_no_other() -> None:
    signal = SIGNALS["noise"].copy()
    before = log_mel(signal)
    signal[1_600:1_610] += 0.5
    changed = np.flatnonzero(np.abs(log_mel(signal) - before).max(axis=1) > 1e-6)
    expected = [k for k in range(len(before)) if k * 160 < 1_610 and k * 160 + 480 > 1_600]
    assert changed.tolist() == expected


def test_mel_filters_are_triangles_on_the_mel_scale() -> None:
    filters = mel_filters(CONFIG)
    mel = np.linspace(0, 2595 * np.log10(1 + 4_000 / 700), 42)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    bins_hz = np.arange(257) * 16_000 / 512
    for band in range(40):
        low, middle, high = edges_hz[band : band + 3]
        triangle = np.minimum((bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)).clip(0)
        assert filters[band] == pytest.approx(triangle, abs=1e-5)


@pytest.mark.parametrize("n_mels", [48, 53, 20])
def test_more_or_fewer_of_the_same_filters(n_mels: int) -> None:
    """The first bands of both are equal, and the spacing goes on as librosa's mel scale has it."""
    other = CONFIG.with_bands(n_mels)
    assert other.n_mels == n_mels
    highest = librosa.mel_to_hz(librosa.hz_to_mel(4000.0, htk=True) * (n_mels + 1) / 41, htk=True)
    assert other.f_max_hz == pytest.approx(highest)
    n_both = min(n_mels, CONFIG.n_mels)
    np.testing.assert_allclose(mel_filters(other)[:n_both], mel_filters(CONFIG)[:n_both], atol=1e-6)
    np.testing.assert_allclose(
        log_mel(SIGNALS["noise"], other)[:, :n_both], log_mel(SIGNALS["noise"])[:, :n_both], atol=TOLERANCE
    )
    back = other.with_bands(40)
    assert (back.n_mels, back.f_max_hz) == (40, pytest.approx(4000.0))
    assert CONFIG.with_bands(40) is CONFIG


def test_the_basis_is_a_windowed_dft() -> None:
    n = np.arange(480)
    window = np.hanning(481)[:-1]
    basis = dft_basis(CONFIG, 129)
    for k in (0, 1, 64, 128):
        exact = window * np.exp(-2j * np.pi * k * n / 512)
        assert basis[k] == pytest.approx(exact.real, abs=1e-7)
        assert basis[129 + k] == pytest.approx(exact.imag, abs=1e-7)


def test_no_bin_is_computed_that_no_filter_uses() -> None:
    assert LogMel(CONFIG).basis.shape == (2 * 128, 1, 480)  # bins 0 to 127: 4000 Hz itself has weight 0


def test_silence_is_the_logarithm_of_the_floor() -> None:
    assert log_mel(SIGNALS["silence"]) == pytest.approx(np.log(FLOOR), abs=1e-6)


def test_autocast_does_not_touch_it() -> None:
    frontend, waveform = LogMel(CONFIG), torch.from_numpy(SIGNALS["noise"])[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = frontend(waveform)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, frontend(waveform))
    assert torch.equal(frontend(waveform.double()), frontend(waveform))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_cuda_gives_what_the_processor_gives() -> None:
    waveform = torch.from_numpy(SIGNALS["noise"])[None]
    expected = LogMel(CONFIG)(waveform)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        computed = LogMel(CONFIG).cuda()(waveform.cuda()).cpu()
    assert (computed - expected).abs().max() < 1e-3


def test_constants_are_not_in_a_checkpoint() -> None:
    assert LogMel(CONFIG).state_dict() == {}


DATA = Path(os.environ.get("SPEECHCMD_DATA", "/nowhere"))
IMAGES = DATA / "log_mel_images" / "validation.npz"


@pytest.mark.skipif(not IMAGES.exists(), reason="SPEECHCMD_DATA names no folder with log_mel_images")
def test_shared_images_are_our_log_mel() -> None:
    """pixel = 10 ln(power + 5e-7) + 146.3, for clips of which both the image and the audio exist.

    A few images are of another clip of that name or shifted by some frames, so the median over clips counts.
    """
    config = FrontEndConfig(log_floor=5e-7)
    clips = DATA / "SpeechCommands" / "speech_commands_v0.02"
    shared = np.load(IMAGES)
    differences = []
    for image, word, name in zip(shared["images"], shared["words"], shared["names"], strict=True):
        path = clips / str(word) / f"{name}.wav"
        if len(differences) == 100:
            break
        if not path.exists():
            continue
        waveform, _ = soundfile.read(path, dtype="float32")
        if len(waveform) == 16_000:
            pixels = np.clip(10 * log_mel(waveform, config) + 146.3, 0, 255)
            differences.append(float(np.abs(image - pixels).mean()))
    assert len(differences) == 100
    assert np.median(differences) < 5.0
