"""One convolution by hand, its gradient by hand, and what a word that comes late does to a network."""

import numpy as np
import torch
from lesson import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SAMPLE_RATE,
    Lesson,
    NormalisedLogMel,
    accuracy,
    cut,
    fit,
    percent,
    plt,
)
from torch import nn
from torch.nn import functional

from data_prep.trim import find_speech

WORDS = ("yes", "no", "stop", "go")
lesson = Lesson("convolution", WORDS, clips_per_word=50)
training = lesson.read(WORDS, "training", 100)
held_out = lesson.read(WORDS, "validation", 60)
log_mel = NormalisedLogMel(training.waveforms)


# %% A convolution by hand: the same small kernel at each place
def convolve(image, kernel):
    """Sum of the kernel times what lies under it. Shape: (frames, bands), (k, l) -> (frames - k + 1, bands - l + 1)."""
    height, width = kernel.shape
    result = np.zeros((image.shape[0] - height + 1, image.shape[1] - width + 1))
    for frame in range(result.shape[0]):
        for band in range(result.shape[1]):
            result[frame, band] = (image[frame : frame + height, band : band + width] * kernel).sum()
    return result


image = log_mel(training.waveforms[training.labels == 2][5:6])[0].double().numpy()
onset = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]) / 3  # later minus earlier: where something begins
by_hand = convolve(image, onset)
by_torch = functional.conv2d(torch.tensor(image)[None, None], torch.tensor(onset)[None, None])[0, 0]
lesson.section("one kernel on the log-mel of stop")
lesson.show("from", f"{image.shape[0]} x {image.shape[1]} to {by_hand.shape[0]} x {by_hand.shape[1]}")
lesson.show("weights", onset.size)
lesson.show("weights of a full layer between the two", f"{image.size * by_hand.size:,}")
lesson.show("largest difference to torch", f"{np.abs(by_hand - by_torch.numpy()).max():.0e}")


# %% Its gradient by hand: each weight met each place once
def kernel_gradient(image, slopes, shape):
    """Slope of the loss along each weight. `slopes`: that along each output."""
    gradient = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            under = image[row : row + slopes.shape[0], column : column + slopes.shape[1]]
            gradient[row, column] = (under * slopes).sum()  # all that this weight met
    return gradient


def image_gradient(kernel, slopes):
    """Slope along each input: the kernel, laid down at each output with that output's slope."""
    height, width = kernel.shape
    gradient = np.zeros((slopes.shape[0] + height - 1, slopes.shape[1] + width - 1))
    for frame in range(slopes.shape[0]):
        for band in range(slopes.shape[1]):
            gradient[frame : frame + height, band : band + width] += slopes[frame, band] * kernel
    return gradient


rng = np.random.default_rng(0)
kernel = rng.normal(size=(3, 3)) / 3
difference = (
    convolve(image, kernel) - by_hand
)  # loss: half the mean square of the difference to the onset kernel
slopes = difference / difference.size

kernel_torch = torch.tensor(kernel, requires_grad=True)
image_torch = torch.tensor(image, requires_grad=True)
answer = functional.conv2d(image_torch[None, None], kernel_torch[None, None])[0, 0]
loss = 0.5 * (answer - torch.tensor(by_hand)).square().mean()
loss.backward()

step = 1e-5
nudged = kernel.copy()
nudged[0, 0] += step
by_step = (0.5 * np.mean((convolve(image, nudged) - by_hand) ** 2) - loss.item()) / step
lesson.section("gradient of a loss")
of_kernel, of_image = kernel_gradient(image, slopes, kernel.shape), image_gradient(kernel, slopes)
lesson.show("first weight, by hand", f"{of_kernel[0, 0]:.5f}")
lesson.show("first weight, by autograd", f"{kernel_torch.grad[0, 0].item():.5f}")
lesson.show("first weight, by moving it a little", f"{by_step:.5f}")
lesson.show("all weights, largest difference", f"{np.abs(of_kernel - kernel_torch.grad.numpy()).max():.0e}")
lesson.show("all inputs, largest difference", f"{np.abs(of_image - image_torch.grad.numpy()).max():.0e}")

# %% The gradient at work: a random kernel learns to be the onset kernel
start = kernel.copy()
losses = []
for _ in range(60):
    difference = convolve(image, kernel) - by_hand
    losses.append(0.5 * np.mean(difference**2))
    kernel = kernel - 0.1 * kernel_gradient(image, difference / difference.size, kernel.shape)
lesson.section("60 steps of gradient descent by hand")
lesson.show("loss before and after", f"{losses[0]:.3f}, {losses[-1]:.5f}")
lesson.show(
    "largest error of a weight before and after",
    f"{np.abs(start - onset).max():.2f}, {np.abs(kernel - onset).max():.2f}",
)

# %% A word that comes ten frames later gives the same answer, ten frames later
late = convolve(image[:-10], onset)
early = convolve(image[10:], onset)
moved = convolve(image, onset)
lesson.section("the same kernel when the word is shifted by ten frames")
lesson.show("largest difference, shifted back", f"{np.abs(moved[10:] - early).max():.0e}")
lesson.show("largest value before and after", f"{moved.max():.3f}, {early.max():.3f}")


# %% Two networks: one averages over time, the other has a weight for each moment
def make_network(pooled):
    torch.manual_seed(0)
    layers = [nn.Conv1d(40, 32, 5), nn.ReLU(), nn.Conv1d(32, 32, 5, stride=2), nn.ReLU()]
    if pooled:
        return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, len(WORDS)))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 45, len(WORDS)))


found = {
    clips: [find_speech(waveform.numpy()) for waveform in clips.waveforms] for clips in (training, held_out)
}


def windows(clips, late_ms):
    """Windows of a second in which each word comes so many milliseconds after the middle."""
    late = torch.as_tensor(late_ms).expand(len(clips.labels)) * SAMPLE_RATE // 1000
    placed = [
        cut(waveform, speech.centre - SAMPLE_RATE // 2 - int(shift), SAMPLE_RATE, speech.floor_db)
        for waveform, speech, shift in zip(clips.waveforms, found[clips], late, strict=True)
    ]
    return log_mel(torch.stack(placed)).transpose(1, 2)


centred = windows(training, 0)
anywhere = torch.randint(-400, 401, (3, len(training.labels)))
shifted = torch.cat([windows(training, late_ms) for late_ms in anywhere])
networks = {}
for name, pooled, inputs, repeats, epochs in (
    ("with pooling", True, centred, 1, 24),
    ("without pooling", False, centred, 1, 24),
    ("without pooling, trained on shifted words", False, shifted, 3, 8),
):
    networks[name] = make_network(pooled)
    fit(networks[name], inputs, training.labels.repeat(repeats), epochs, learning_rate=2e-3)

lateness_ms = range(-400, 401, 100)
tests = {late_ms: windows(held_out, late_ms) for late_ms in lateness_ms}
curves = {
    name: [accuracy(network, tests[late_ms], held_out.labels) for late_ms in lateness_ms]
    for name, network in networks.items()
}
lesson.section("held-out accuracy of networks that were trained on words in the middle")
for name, curve in curves.items():
    weights = sum(value.numel() for value in networks[name].parameters())
    lesson.show(f"{name}, weights", f"{weights:,}")
    lesson.show(f"{name}, word in the middle", percent(curve[4]))
    lesson.show(f"{name}, 200 ms late", percent(curve[6]))
    lesson.show(f"{name}, 400 ms late", percent(curve[8]))

# %% Picture: the kernel at work
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8))
for axis, values, title in zip(
    axes,
    (image, by_hand, np.maximum(by_hand, 0).mean(axis=1)),
    ("log-mel of stop", "through the onset kernel", "mean of what is positive"),
    strict=True,
):
    if values.ndim == 2:
        axis.imshow(
            values.T,
            origin="lower",
            aspect="auto",
            cmap="magma" if values is image else "RdBu_r",
            extent=(0, 1, 0, 40),
            vmin=-2.5,
            vmax=2.5,
        )
        axis.set_ylabel("mel band")
    else:
        axis.plot(np.arange(len(values)) / 98, values, color=ORANGE)
    axis.set(title=title, xlabel="seconds")
lesson.save(figure, "onset")

# %% Picture: what is learnt by hand
figure, axes = plt.subplots(1, 4, figsize=(9, 2.3), width_ratios=(1, 1, 1, 2))
for axis, values, title in zip(
    axes, (start, kernel, onset), ("random kernel", "after 60 steps", "onset kernel"), strict=False
):
    axis.imshow(values.T, origin="lower", cmap="RdBu_r", vmin=-0.6, vmax=0.6)
    axis.set(title=title, xticks=[], yticks=[], xlabel="time", ylabel="band")
axes[3].semilogy(losses, color=BLUE)
axes[3].set(title="loss", xlabel="step")
lesson.save(figure, "learnt")

# %% Picture: accuracy and the place of the word
figure, axis = plt.subplots(figsize=(8, 3.2))
for (name, curve), colour in zip(curves.items(), (BLUE, ORANGE, GREEN), strict=True):
    axis.plot(lateness_ms, curve, "o-", color=colour, label=name)
axis.axhline(100 / len(WORDS), color=GREY, linestyle=":", label="guessing")
axis.set(
    xlabel="milliseconds after the middle of the window",
    ylabel="right, %",
    ylim=(0, 102),
)
axis.legend(loc="lower center", ncols=4, fontsize="small", bbox_to_anchor=(0.5, 1.0))
lesson.save(figure, "late")
