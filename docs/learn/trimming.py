"""Trimming silence, the mean length, and what they cost: word lengths, and accuracy at five windows."""

import time

import librosa
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

from data_prep.synthetic import COMMANDS
from data_prep.trim import find_speech, frame_levels

lesson = Lesson("trimming", COMMANDS, clips_per_word=40, snr_db=14.0)
training = lesson.read(COMMANDS, "training", 110)
held_out = lesson.read(COMMANDS, "validation", 110)
log_mel = NormalisedLogMel(training.waveforms)

# %% Where is the word? Level of each 25 ms frame against the clip's own background
spoken = [find_speech(waveform.numpy()) for waveform in training.waveforms]
lengths = np.array([(speech.end - speech.start) / SAMPLE_RATE for speech in spoken if not speech.reason])
mean_s, p95_s = lengths.mean(), np.quantile(lengths, 0.95)

lesson.section("words of the training speakers")
lesson.show("clips", len(spoken))
lesson.show("kept whole, nothing stands out", len(spoken) - len(lengths))
lesson.show("length of a clip", "1.00 s")
lesson.show("mean length of a word", f"{mean_s:.2f} s")
lesson.show("shortest and longest", f"{lengths.min():.2f} s, {lengths.max():.2f} s")
lesson.show("95 of 100 words are shorter than", f"{p95_s:.2f} s")
lesson.show("words longer than the mean", percent(100 * np.mean(lengths > mean_s)))
lesson.show(
    "of all that is spoken, cut off at the mean length",
    percent(100 * np.maximum(0, lengths - mean_s).sum() / lengths.sum()),
)

# %% A click: the loudest sound of a clip is not always the word
example = training.waveforms[training.labels == COMMANDS.index("stop")][5].numpy()
clicked = example.copy()
clicked[800:808] = 0.99  # half a millisecond
lesson.section("one clip of stop, and the same clip with a click in front")
for what, waveform in (("as it is", example), ("with a click", clicked)):
    speech = find_speech(waveform)
    _, (start, end) = librosa.effects.trim(waveform, top_db=30, frame_length=400, hop_length=160)
    lesson.show(
        f"{what}, find_speech", f"{speech.start / SAMPLE_RATE:.2f} to {speech.end / SAMPLE_RATE:.2f} s"
    )
    lesson.show(f"{what}, librosa.effects.trim", f"{start / SAMPLE_RATE:.2f} to {end / SAMPLE_RATE:.2f} s")


# %% All clips to one length
def around_word(waveform, n_samples):
    """A window with the word's centre in its middle. A word that fits lies wholly inside."""
    speech = find_speech(waveform.numpy())
    start = speech.centre - n_samples // 2
    lowest, highest = sorted((speech.start, speech.end - n_samples))
    return cut(waveform, min(max(start, lowest), highest), n_samples, speech.floor_db)


def from_middle(waveform, n_samples):
    """The middle of the clip, wherever the word is."""
    first = (len(waveform) - n_samples) // 2
    return waveform[first : first + n_samples]


# %% The same network, trained and tested on each kind of window
def make_network():
    return nn.Sequential(
        nn.Conv1d(40, 48, 5), nn.ReLU(), nn.Conv1d(48, 48, 5, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, len(COMMANDS)),
    )  # fmt: skip


def windows(clips, place, seconds):
    cut_clips = torch.stack([place(waveform, round(seconds * SAMPLE_RATE)) for waveform in clips.waveforms])
    return log_mel(cut_clips).transpose(1, 2)  # a convolution wants (clips, bands, frames)


kinds = (
    ("whole clips", from_middle, 1.0),
    ("around the word, 95 of 100 fit", around_word, p95_s),
    ("around the word, mean length", around_word, mean_s),
    ("around the word, half the mean length", around_word, mean_s / 2),
    ("middle of the clip, mean length", from_middle, mean_s),
)
results = []
lesson.section("held-out accuracy")
for name, place, seconds in kinds:
    torch.manual_seed(0)
    network = make_network()
    inputs, began = windows(training, place, seconds), time.perf_counter()
    fit(network, inputs, training.labels, epochs=14)
    took = time.perf_counter() - began
    right = accuracy(network, windows(held_out, place, seconds), held_out.labels)
    results.append(right)
    lesson.show(f"{name}, {seconds:.2f} s", percent(right))
    lesson.show(f"{name}, time of training", f"{took:.1f} s")
interval = 196 * np.sqrt(0.25 * 0.75 / len(held_out.labels))
lesson.show("clips", len(held_out.labels))
lesson.show("a figure of 75 % is exact to", f"+- {interval:.1f} points")

# %% Picture: a clip, its level, and where it is cut
speech = find_speech(clicked)
plain, lifted = frame_levels(clicked, SAMPLE_RATE)
figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.5), sharex=True)
above.plot(np.arange(len(clicked)) / SAMPLE_RATE, clicked, color=BLUE, linewidth=0.6)
above.axvspan(
    speech.start / SAMPLE_RATE, speech.end / SAMPLE_RATE, color=ORANGE, alpha=0.2, label="find_speech"
)
above.axvspan(
    start / SAMPLE_RATE, end / SAMPLE_RATE, ymax=0.08, color=GREY, alpha=0.6, label="librosa.effects.trim"
)
above.set(title='"stop" with a click', ylabel="amplitude")
above.legend(loc="upper right")
below.plot(np.arange(len(plain)) / 100, plain, color=BLUE, label="level")
below.plot(
    np.arange(len(lifted)) / 100,
    lifted,
    color=GREEN,
    linewidth=0.8,
    label="after pre-emphasis, which lifts s and f",
)
below.axhline(speech.floor_db, color=GREY, linestyle=":", label="the clip's background")
below.set(xlabel="seconds", ylabel="dB of full scale")
below.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize="small")
lesson.save(figure, "find-speech")

# %% Picture: lengths of all words, and of each word
figure, (left, right_axis) = plt.subplots(1, 2, figsize=(8, 3.2), width_ratios=(3, 2))
left.hist(lengths, bins=np.arange(0, 1.05, 0.05), color=BLUE, alpha=0.8)
for value, name, colour in ((mean_s, "mean", ORANGE), (p95_s, "95 of 100", GREEN)):
    left.axvline(value, color=colour, label=f"{name}: {value:.2f} s")
left.set(title="trimmed words", xlabel="seconds", ylabel="clips")
left.legend(loc="upper left")
for row in range(len(COMMANDS)):
    own = [
        (speech.end - speech.start) / SAMPLE_RATE
        for speech, label in zip(spoken, training.labels, strict=True)
        if label == row and not speech.reason
    ]
    right_axis.plot(np.quantile(own, (0.1, 0.9)), (row, row), color=BLUE, linewidth=5, alpha=0.5)
    right_axis.plot(np.mean(own), row, "o", color=BLUE)
right_axis.set_yticks(range(len(COMMANDS)), COMMANDS)
right_axis.axvline(mean_s, color=ORANGE, linestyle=":")
right_axis.set(title="each word: mean, 10 to 90 of 100", xlabel="seconds")
lesson.save(figure, "lengths")
