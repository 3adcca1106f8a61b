"""How a network is fooled: noise, words it never met, a tiny perturbation; and what it listened to."""

import numpy as np
import torch
from lesson import (
    BLUE,
    FRONT_END,
    GREY,
    ORANGE,
    SAMPLE_RATE,
    Lesson,
    NormalisedLogMel,
    accuracy,
    fit,
    percent,
    plt,
)
from torch import nn
from torch.nn import functional

from speechcmd.evaluation.report.saliency import compute_saliency

WORDS, STRANGERS, NEW_STRANGERS = ("yes", "no", "stop", "go"), ("up", "left"), ("down", "right")
lesson = Lesson("fooling", (*WORDS, *STRANGERS, *NEW_STRANGERS), clips_per_word=60)
training = lesson.read(WORDS, "training", 120)
held_out = lesson.read(WORDS, "validation", 50)
log_mel = NormalisedLogMel(training.waveforms)


# %% A network from waveform to answer
class Hears(nn.Module):
    """Front end and network in one, so that a gradient reaches the waveform."""

    def __init__(self, n_labels):
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv1d(40, 32, 5), nn.ReLU(), nn.Conv1d(32, 32, 5, stride=2), nn.ReLU(),
            nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, n_labels),
        )  # fmt: skip

    def forward(self, waveforms):
        return self.network(
            (FRONT_END(waveforms) - log_mel.mean).transpose(1, 2) / log_mel.deviation.unsqueeze(1)
        )


def train(waveforms, labels, n_labels):
    torch.manual_seed(0)
    hears = Hears(n_labels)
    fit(hears.network, log_mel(waveforms).transpose(1, 2), labels, epochs=max(1, 4800 // len(labels)))
    return hears.eval()


hears = train(training.waveforms, training.labels, len(WORDS))
lesson.section("held-out clips")
lesson.show("clips", len(held_out.labels))
lesson.show("right", percent(accuracy(hears, held_out.waveforms, held_out.labels)))


# %% Noise: as loud as the word, or ten or a hundred times weaker in power
def with_noise(waveforms, noise, snr_db):
    """Mix in noise so that the power of each clip is `snr_db` above that of its noise."""
    scale = (waveforms.square().mean(dim=1) / noise.square().mean(dim=1)).sqrt() * 10 ** (-snr_db / 20)
    return waveforms + scale[:, None] * noise


torch.manual_seed(1)
white = torch.randn_like(held_out.waveforms)
RATIOS_DB = (60, 50, 40, 30, 20, 10, 0)
noisy = [
    accuracy(hears, with_noise(held_out.waveforms, white, snr_db), held_out.labels) for snr_db in RATIOS_DB
]


# %% A tiny perturbation: move each sample a little in the direction that raises the loss
def perturb(waveforms, labels, snr_db, direction=1, n_steps=12):
    """Climb the loss in small steps (direction -1: descend), always `snr_db` below the clip."""
    limit = waveforms.square().mean(dim=1, keepdim=True).sqrt() * 10 ** (-snr_db / 20)
    added = torch.zeros_like(waveforms)
    for _ in range(n_steps):
        added.requires_grad_()
        functional.cross_entropy(hears(waveforms + added), labels, reduction="sum").backward()
        with torch.no_grad():
            slope = added.grad / (added.grad.square().mean(dim=1, keepdim=True).sqrt() + 1e-20)
            added = added + direction * limit / 4 * slope
            added = added * (limit / added.square().mean(dim=1, keepdim=True).sqrt()).clamp(max=1)
    return added.detach()


perturbed = []
lesson.section("right answers; so many dB above what is added lies the clip")
for snr_db, of_noise in zip(RATIOS_DB, noisy, strict=True):
    added = perturb(held_out.waveforms, held_out.labels, snr_db)
    perturbed.append(accuracy(hears, held_out.waveforms + added, held_out.labels))
    lesson.show(f"{snr_db} dB, white noise", percent(of_noise))
    lesson.show(f"{snr_db} dB, made against the network", percent(perturbed[-1]))

# %% Words that it never met: a network that knows four words hears one of them in everything
known = lesson.read(STRANGERS, "training", 60)
new = lesson.read((*STRANGERS, *NEW_STRANGERS), "validation", 40)
UNKNOWN = len(WORDS)
careful = train(
    torch.cat([training.waveforms, known.waveforms]),
    torch.cat([training.labels, torch.full((len(known.labels),), UNKNOWN)]),
    len(WORDS) + 1,
)


@torch.no_grad()
def heard_as_word(network, waveforms):
    """Share that is taken for one of the four words with a probability over 0.7."""
    return 100 * float(
        (network(waveforms).softmax(dim=1)[:, : len(WORDS)].max(dim=1).values > 0.7).float().mean()
    )


lesson.section("other words that are taken for one of the four, with a probability over 0.7")
for label, word in enumerate(new.words):
    own = new.waveforms[new.labels == label]
    with torch.no_grad():
        most = int(hears(own).argmax(dim=1).bincount(minlength=len(WORDS)).argmax())
    lesson.show(f"{word}, most often as", WORDS[most])
    lesson.show(f"{word}, network of four words", percent(heard_as_word(hears, own)))
    lesson.show(f"{word}, network with an unknown label", percent(heard_as_word(careful, own)))
lesson.show(
    "the four words themselves, network of four words", percent(heard_as_word(hears, held_out.waveforms))
)
lesson.show(
    "the four words themselves, network with an unknown label",
    percent(heard_as_word(careful, held_out.waveforms)),
)

# %% What did it listen to? Cover a part of the sound and ask again
clip = next(
    k
    for k, label in enumerate(held_out.labels)
    if WORDS[label] == "stop" and hears(held_out.waveforms[k : k + 1]).argmax() == label
)
waveform, label = held_out.waveforms[clip], int(held_out.labels[clip])


def score(samples):
    """Probability of stop, softened: one that is 1.000 would hardly move whatever is covered."""
    with torch.no_grad():
        return float((hears(torch.as_tensor(samples)[None]) / 4).softmax(dim=1)[0, label])


saliency = compute_saliency(score, waveform.numpy(), SAMPLE_RATE, "stop")
start_s, end_s, low_hz, high_hz = saliency.peak
lesson.section("one clip of stop")
lesson.show("matters most, from", f"{start_s:.2f} to {end_s:.2f} s")
lesson.show("matters most, between", f"{low_hz:.0f} and {high_hz:.0f} Hz")
target = torch.tensor([WORDS.index("go")])
EXAMPLE_DB = 20
added = perturb(waveform[None], target, EXAMPLE_DB, direction=-1)
with torch.no_grad():
    before, after = (hears(sound).softmax(dim=1)[0] for sound in (waveform[None], waveform[None] + added))
lesson.show("probability of stop", f"{before[label]:.3f}")
lesson.show(f"probability of stop, with a perturbation {EXAMPLE_DB} dB weaker", f"{after[label]:.3f}")
lesson.show("probability of go with it", f"{after[target[0]]:.3f}")

# %% Picture: accuracy by strength of noise and perturbation
figure, axis = plt.subplots(figsize=(7, 3))
axis.plot(RATIOS_DB, noisy, "o-", color=BLUE, label="white noise")
axis.plot(RATIOS_DB, perturbed, "o-", color=ORANGE, label="perturbation made against the network")
axis.axhline(100 / len(WORDS), color=GREY, linestyle=":")
axis.set(xlabel="dB of the clip above what is added (right: stronger)", ylabel="right, %", ylim=(-3, 103))
axis.invert_xaxis()
axis.legend(loc="center right")
lesson.save(figure, "strength")

# %% Picture: the clip, what was added, and what the network listened to
figure, axes = plt.subplots(3, 1, figsize=(8, 7), sharex=True)
seconds = np.arange(len(waveform)) / SAMPLE_RATE
axes[0].plot(seconds, waveform.numpy(), color=BLUE, linewidth=0.6, label='"stop"')
axes[0].plot(seconds, added[0].numpy(), color=ORANGE, linewidth=0.6, label="added")
axes[0].set(
    title=f'heard as "{WORDS[int(before.argmax())]}"; with what is added, as "{WORDS[int(after.argmax())]}"',
    ylabel="amplitude",
)
axes[0].legend(loc="upper left")
both = [FRONT_END(sound)[0].T.numpy() for sound in (waveform[None], added)]
axes[1].imshow(
    both[1],
    origin="lower",
    aspect="auto",
    cmap="magma",
    extent=(0, 1, 0, 40),
    vmin=both[0].min(),
    vmax=both[0].max(),
)
axes[1].set(title="log-mel of what is added, in the colours of the clip below", ylabel="mel band")
axes[2].imshow(both[0], origin="lower", aspect="auto", cmap="magma", extent=(0, 1, 0, 40))
n_bands, n_times = saliency.falls.shape
heard = saliency.band_edges_hz[:-1] < 4000  # the network's bands end there
edges = 40 * np.log10(1 + saliency.band_edges_hz[: heard.sum() + 1] / 700) / np.log10(1 + 4000 / 700)
axes[2].contour(
    (saliency.time_edges_s[:-1] + saliency.time_edges_s[1:]) / 2,
    (edges[:-1] + edges[1:]) / 2,
    saliency.falls[heard],
    levels=np.linspace(0.3, 0.9, 3) * saliency.falls.max(),
    colors="lime",
    linewidths=(1, 1.5, 2.5),
)
axes[2].set(
    title="log-mel of the clip; inside the green lines the network listens",
    ylabel="mel band",
    xlabel="seconds",
)
axes[2].set_ylim(0, 40)
lesson.save(figure, "listened")
