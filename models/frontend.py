"""The log-mel front end, part of every network and exported with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import SAMPLE_RATE


@dataclass(frozen=True)
class FrontEndConfig:
    """Settings of the front end: lengths in samples, frequencies in Hz.

    30 ms periodic Hann window every 10 ms, 40 HTK mel bands from 0 to 4000 Hz.
    """

    sample_rate: int = SAMPLE_RATE
    n_fft: int = 512
    win_length: int = 480
    hop_length: int = 160
    n_mels: int = 40
    f_min_hz: float = 0.0
    f_max_hz: float = 4000.0
    log_floor: float = 1e-6

    def n_frames(self, n_samples: int) -> int:
        """Frames of a signal of `n_samples`: only those that lie wholly inside."""
        return max(0, (n_samples - self.win_length) // self.hop_length + 1)

    def n_samples(self, n_frames: int) -> int:
        """Samples that `n_frames` frames cover."""
        return self.win_length + (n_frames - 1) * self.hop_length

    def with_bands(self, n_mels: int) -> FrontEndConfig:
        """The same filters, fewer or more of them: what both front ends have is equal.

        48 instead of 40 reach 6115 instead of 4000 Hz.
        """
        if n_mels == self.n_mels:
            return self
        lowest, highest = hz_to_mel(self.f_min_hz), hz_to_mel(self.f_max_hz)
        spacing = (highest - lowest) / (self.n_mels + 1)
        f_max_hz = float(librosa.mel_to_hz(lowest + spacing * (n_mels + 1), htk=True))
        return replace(self, n_mels=n_mels, f_max_hz=f_max_hz)


def hz_to_mel(frequency_hz: float) -> float:
    """HTK mel."""
    return float(librosa.hz_to_mel(frequency_hz, htk=True))


class LogMel(nn.Module):
    """Waveform to log-mel spectrogram: `log(mel(|DFT|^2) + floor)`.

    Frame k covers samples k * hop_length to k * hop_length + win_length, without centring. The DFT
    is a convolution with a float64-built basis of only the bins that the mel filters use, so it
    exports to plain operators and runs equally everywhere. Always float32, whatever the autocast.

    Shape: (batch, n_samples) -> (batch, n_frames, n_mels).
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, config: FrontEndConfig = FrontEndConfig()) -> None:
        super().__init__()
        self.config = config
        filters = mel_filters(config)
        n_bins = int(np.flatnonzero(filters.any(axis=0))[-1]) + 1
        # constants: a checkpoint does not carry them
        self.register_buffer(
            "basis", torch.from_numpy(dft_basis(config, n_bins)).unsqueeze(1), persistent=False
        )
        self.register_buffer("filters", torch.from_numpy(filters[:, :n_bins].T.copy()), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        with torch.autocast(waveform.device.type, enabled=False), _full_precision():
            spectrum = functional.conv1d(
                waveform.float().unsqueeze(1), self.basis, stride=self.config.hop_length
            )
            real, imaginary = spectrum.chunk(2, dim=1)
            power = (real.square() + imaginary.square()).transpose(1, 2)
            return torch.log(power @ self.filters + self.config.log_floor)


def mel_filters(config: FrontEndConfig) -> FloatArray:
    """Triangular HTK mel filters without normalisation. Shape: (n_mels, n_fft // 2 + 1)."""
    filters: FloatArray = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
        htk=True,
        norm=None,
        dtype=np.float32,
    )
    return filters


def dft_basis(config: FrontEndConfig, n_bins: int) -> FloatArray:
    """Windowed cosines, then sines, of the first `n_bins` bins. Shape: (2 * n_bins, win_length)."""
    n = np.arange(config.win_length)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * n / config.win_length)  # periodic Hann
    # the angle's whole turns are taken off in integers: exact for every bin
    angles = 2.0 * np.pi * ((np.arange(n_bins)[:, None] * n) % config.n_fft) / config.n_fft
    return np.concatenate([np.cos(angles) * window, -np.sin(angles) * window]).astype(np.float32)


class _full_precision:  # noqa: N801 - reads as the context it is
    """TF32 off inside: the log-mel of quiet frames does not survive ten bits of mantissa."""

    def __enter__(self) -> None:
        if torch.compiler.is_compiling() or not torch.cuda.is_available():
            self._before = None
            return
        self._before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before
