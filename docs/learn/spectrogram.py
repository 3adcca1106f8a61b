"""From sound to spectrogram: a waveform, one frame, its DFT by hand, mel filters, the logarithm."""

import cmath

import librosa
import numpy as np
import torch
from lesson import BLUE, GREEN, GREY, ORANGE, SAMPLE_RATE, Lesson, plt

from models.frontend import FrontEndConfig, LogMel

lesson = Lesson("spectrogram", ("stop",), clips_per_word=20)

# %% The waveform: 16,000 numbers a second
clips = lesson.read(("stop",), "training", 6)
waveform = clips.waveforms[5].numpy().astype(np.float64)
lesson.section("waveform")
lesson.show("samples", len(waveform))
lesson.show("largest value", f"{np.abs(waveform).max():.3f}")

# %% One frame: 30 ms around the loudest place, faded in and out by a window
FRAME, HOP = 480, 160  # 30 ms and 10 ms at 16 kHz


def frames_of(waveform, frame=FRAME, hop=HOP):
    """All frames that lie wholly inside. Shape: (n_samples,) -> (n_frames, frame)."""
    return np.lib.stride_tricks.sliding_window_view(waveform, frame)[::hop]


def hann(n):
    """A raised cosine: 0 at the beginning, 1 in the middle."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


frames = frames_of(waveform)
loudest = int((frames**2).sum(axis=1).argmax())
frame = frames[loudest] * hann(FRAME)
lesson.section("frames")
lesson.show("frames in one second", len(frames))
lesson.show("the loudest begins at", f"{loudest * HOP / SAMPLE_RATE:.2f} s")

# %% Its spectrum by hand: how well does the frame match a wave that turns k times?
N_FFT = 512  # the frame is filled up with zeros: powers of two are fast, and bins are 31.25 Hz wide


def dft(frame, n_fft=N_FFT):
    spectrum = []
    for k in range(n_fft // 2 + 1):
        total = 0
        for n, value in enumerate(frame):
            total += value * cmath.exp(-2j * cmath.pi * k * n / n_fft)
        spectrum.append(total)
    return np.array(spectrum)


by_hand = dft(frame)
by_numpy = np.fft.rfft(frame, N_FFT)
peak = int(np.abs(by_hand).argmax())
lesson.section("spectrum of the loudest frame")
lesson.show("bins from 0 to 8000 Hz", len(by_hand))
lesson.show("strongest bin", f"{peak}, which is {peak * SAMPLE_RATE / N_FFT:.0f} Hz")
lesson.show("largest difference to numpy.fft", f"{np.abs(by_hand - by_numpy).max():.0e}")

# %% What the window is for: a pure tone that falls between two bins
tone = np.sin(2 * np.pi * 1010 * np.arange(FRAME) / SAMPLE_RATE)


def level_db(frame):
    magnitude = np.abs(np.fft.rfft(frame, N_FFT))
    return 20 * np.log10(magnitude / magnitude.max() + 1e-12)


far = slice(round(3000 / 8000 * 256), None)  # above 3000 Hz there is nothing of the tone
leak_without, leak_with = level_db(tone)[far].max(), level_db(tone * hann(FRAME))[far].max()
lesson.section("a tone of 1010 Hz, what appears of it above 3000 Hz")
lesson.show("without a window", f"{leak_without:.0f} dB")
lesson.show("with a Hann window", f"{leak_with:.0f} dB")

# %% Mel bands: narrow ones where the ear is fine, wide ones where it is coarse
N_MELS, HIGHEST_HZ = 40, 4000


def hz_to_mel(hz):
    return 2595 * np.log10(1 + hz / 700)


def mel_to_hz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


edges_hz = mel_to_hz(np.linspace(hz_to_mel(0), hz_to_mel(HIGHEST_HZ), N_MELS + 2))
bins_hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
filters = np.zeros((N_MELS, len(bins_hz)))
for band in range(N_MELS):
    low, middle, high = edges_hz[band : band + 3]
    rising = (bins_hz - low) / (middle - low)
    falling = (high - bins_hz) / (high - middle)
    filters[band] = np.maximum(0, np.minimum(rising, falling))

of_librosa = librosa.filters.mel(
    sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=0, fmax=HIGHEST_HZ, htk=True, norm=None
)
lesson.section("mel bands")
lesson.show("width of the lowest", f"{edges_hz[2] - edges_hz[0]:.0f} Hz")
lesson.show("width of the highest", f"{edges_hz[-1] - edges_hz[-3]:.0f} Hz")
lesson.show("largest difference to librosa.filters.mel", f"{np.abs(filters - of_librosa).max():.0e}")

# %% All frames at once, and the logarithm
power = np.abs(np.fft.rfft(frames * hann(FRAME), N_FFT)) ** 2
mel_power = power @ filters.T
log_mel = np.log(mel_power + 1e-6)

# the project's front end is a layer of the network: the DFT is a convolution with cosines and sines
front_end = LogMel(FrontEndConfig())
of_project = front_end(torch.tensor(waveform, dtype=torch.float32)[None])[0].numpy()
# librosa puts the 480 samples into the middle of 512: 16 more samples at either end and the frames are the same
padded = np.pad(waveform, (N_FFT - FRAME) // 2)
of_librosa = librosa.feature.melspectrogram(
    y=padded, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, win_length=FRAME, center=False,
    n_mels=N_MELS, fmin=0, fmax=HIGHEST_HZ, htk=True, norm=None,
)  # fmt: skip
lesson.section("log-mel spectrogram")
lesson.show("shape", f"{log_mel.shape[0]} frames x {log_mel.shape[1]} bands")
lesson.show("numbers per second", f"{log_mel.size} instead of {len(waveform)}")
lesson.show("largest power over smallest", f"{mel_power.max() / mel_power.min():.0e}")
lesson.show("largest logarithm minus smallest", f"{log_mel.max() - log_mel.min():.1f}")
lesson.show("largest difference to models/frontend.py", f"{np.abs(log_mel - of_project).max():.0e}")
lesson.show("largest difference to librosa", f"{np.abs(log_mel - np.log(of_librosa.T + 1e-6)).max():.0e}")

# %% Picture: the waveform and its loudest frame
figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.5))
seconds = np.arange(len(waveform)) / SAMPLE_RATE
above.plot(seconds, waveform, color=BLUE, linewidth=0.6)
above.axvspan(loudest * HOP / SAMPLE_RATE, (loudest * HOP + FRAME) / SAMPLE_RATE, color=ORANGE, alpha=0.4)
above.set(title='"stop", one second', xlabel="seconds", ylabel="amplitude")
milliseconds = np.arange(FRAME) / SAMPLE_RATE * 1000
below.plot(milliseconds, frames[loudest], color=GREY, label="as it is")
below.plot(milliseconds, frame, color=ORANGE, label="times the window")
below.plot(milliseconds, hann(FRAME) * np.abs(frame).max(), color=GREEN, linestyle=":", label="the window")
below.set(title="the loudest frame", xlabel="milliseconds")
below.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.6, 1.25))
lesson.save(figure, "waveform")

# %% Picture: spectra with and without the window
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for axis, signal, title in zip(
    axes, (tone, frames[loudest]), ("a tone of 1010 Hz", "the loudest frame"), strict=True
):
    axis.plot(bins_hz, level_db(signal), color=GREY, linewidth=0.8, label="no window")
    axis.plot(bins_hz, level_db(signal * hann(FRAME)), color=ORANGE, linewidth=1, label="Hann window")
    axis.set(title=title, xlabel="Hz", ylim=(-100, 3))
axes[0].set_ylabel("dB below the peak")
axes[0].legend()
lesson.save(figure, "spectrum")

# %% Picture: the mel filters
figure, axis = plt.subplots(figsize=(8, 2.3))
for band, row in enumerate(filters):
    axis.plot(bins_hz, row, color=ORANGE if band % 5 == 0 else GREY, linewidth=1.4 if band % 5 == 0 else 0.5)
axis.set(title="40 mel filters, each fifth in colour", xlabel="Hz", xlim=(0, 4200), ylabel="weight")
lesson.save(figure, "filters")

# %% Picture: from power to log-mel
figure, axes = plt.subplots(3, 1, figsize=(8, 7), sharex=True)
images = (
    (power.T, (0, 8), "kHz", "power: a few loud places, the rest is black"),
    (np.log(power.T + 1e-6), (0, 8), "kHz", "logarithm of the power, 257 bins"),
    (log_mel.T, (0, N_MELS), "mel band", "log-mel, 40 bands from 0 to 4 kHz: what the network hears"),
)
for axis, (image, (low, high), unit, title) in zip(axes, images, strict=True):
    # column k is drawn at the middle of frame k: from 0.015 s on, every 0.01 s
    axis.imshow(image, origin="lower", aspect="auto", cmap="magma", extent=(0.01, 0.99, low, high))
    axis.set(title=title, ylabel=unit)
axes[-1].set_xlabel("seconds")
lesson.save(figure, "spectrogram")

# %% Picture: short frames see when, long frames see which frequency
figure, axes = plt.subplots(1, 3, figsize=(8, 3), sharey=True)
for axis, length_ms in zip(axes, (5, 30, 120), strict=True):
    n = SAMPLE_RATE * length_ms // 1000
    image = np.log(np.abs(np.fft.rfft(frames_of(waveform, n, 80) * hann(n), 2048)) ** 2 / n + 1e-7)
    ends = (length_ms / 2000, 1 - length_ms / 2000)  # the middle of the first and the last frame
    axis.imshow(image.T, origin="lower", aspect="auto", cmap="magma", extent=(*ends, 0, 8))
    axis.set(title=f"frames of {length_ms} ms", xlabel="seconds", xlim=(0.2, 0.9), ylim=(0, 4))
axes[0].set_ylabel("kHz")
lesson.save(figure, "frame-length")
