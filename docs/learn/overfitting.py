"""Over- and underfitting: network sizes, a learning curve, early stopping, and three ways of regularisation."""

import numpy as np
import torch
from lesson import BLUE, GREEN, GREY, ORANGE, Lesson, NormalisedLogMel, accuracy, fit, percent, plt
from torch import nn
from torch.nn import functional

WORDS = ("yes", "no", "stop", "go")
MOST = 160  # clips of a word
lesson = Lesson("overfitting", WORDS, clips_per_word=280, snr_db=-6.0)
training = lesson.read(WORDS, "training", MOST)
held_out = lesson.read(WORDS, "validation", 60)
log_mel = NormalisedLogMel(training.waveforms)
inputs, unseen = (log_mel(clips.waveforms).transpose(1, 2) for clips in (training, held_out))
lesson.section("clips")
lesson.show("training", len(inputs))
lesson.show("held out, by other speakers", len(unseen))


def first_of_each(n):
    """The first n training clips of each word."""
    chosen = torch.cat([(training.labels == label).nonzero()[:n, 0] for label in range(len(WORDS))])
    return inputs[chosen], training.labels[chosen]


# %% Three networks: too small, fitting, far too large
def tiny():
    """The mean of each band over the second: 164 weights."""
    return nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(40, len(WORDS)))


def pooled():
    return nn.Sequential(
        nn.Conv1d(40, 32, 5), nn.ReLU(), nn.Conv1d(32, 32, 5, stride=2), nn.ReLU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, len(WORDS)),
    )  # fmt: skip


def large(dropout=0.0):
    """A weight for each band and frame: it can learn every clip by heart."""
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(40 * 98, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, len(WORDS))
    )  # fmt: skip


def epochs_for(n_clips, steps=240):
    """As many steps however many clips there are."""
    return max(1, round(steps / -(-n_clips // 32)))


lesson.section("networks of three sizes, 40 clips of each word")
some, some_labels = first_of_each(40)
for make in (tiny, pooled, large):
    torch.manual_seed(0)
    network = make()
    fit(network, some, some_labels, epochs_for(len(some)))
    lesson.show(f"{make.__name__}, weights", f"{sum(value.numel() for value in network.parameters()):,}")
    lesson.show(f"{make.__name__}, training clips", percent(accuracy(network, some, some_labels)))
    lesson.show(f"{make.__name__}, held-out clips", percent(accuracy(network, unseen, held_out.labels)))

# %% A learning curve: what would more clips bring?
sizes = (5, 10, 20, 40, 80, MOST)
seen_curve, unseen_curve = [], []
lesson.section("the pooled network with more and more clips of each word")
for n in sizes:
    own, own_labels = first_of_each(n)
    torch.manual_seed(0)
    network = pooled()
    fit(network, own, own_labels, epochs_for(len(own)))
    seen_curve.append(accuracy(network, own, own_labels))
    unseen_curve.append(accuracy(network, unseen, held_out.labels))
    lesson.show(f"{n} clips, training", percent(seen_curve[-1]))
    lesson.show(f"{n} clips, held out", percent(unseen_curve[-1]))


# %% The large network on few clips, epoch by epoch
@torch.no_grad()
def loss_on(network, clips, labels):
    network.eval()
    return float(functional.cross_entropy(network(clips), labels))


def shift(batch):
    """Move each clip by up to 150 ms, what leaves at one end comes in at the other."""
    return torch.stack(
        [
            clip.roll(int(n), dims=1)
            for clip, n in zip(batch, torch.randint(-15, 16, (len(batch),)), strict=True)
        ]
    )


few, few_labels = first_of_each(40)
EPOCHS = 30
ways = {
    "nothing": {},
    "weight decay": {"weight_decay": 1.0},
    "dropout": {"dropout": 0.5},
    "shifted clips": {"change": shift},
}


def watch(settings):
    """Train the large network; training loss, held-out loss and held-out accuracy of each epoch."""
    torch.manual_seed(0)
    network, history = large(settings.get("dropout", 0.0)), []

    def note(epoch):
        of_training, of_held_out = (
            loss_on(network, few, few_labels),
            loss_on(network, unseen, held_out.labels),
        )
        history.append((of_training, of_held_out, accuracy(network, unseen, held_out.labels)))

    others = {key: value for key, value in settings.items() if key != "dropout"}
    fit(network, few, few_labels, EPOCHS, learning_rate=5e-4, after_epoch=note, **others)
    return np.array(history)


histories = {}
lesson.section(f"the large network, 40 clips of each word, {EPOCHS} epochs")
for name, settings in ways.items():
    history = histories[name] = watch(settings)
    best = int(history[:, 1].argmin())
    lesson.show(f"{name}, training loss at the end", f"{history[-1][0]:.3f}")
    lesson.show(f"{name}, held-out loss at the end", f"{history[-1][1]:.3f}")
    lesson.show(f"{name}, lowest held-out loss", f"{history[best][1]:.3f}")
    lesson.show(f"{name}, epoch of it", best + 1)
    lesson.show(f"{name}, held-out accuracy there", percent(history[best][2]))
    lesson.show(f"{name}, held-out accuracy at the end", percent(history[-1][2]))

# %% Picture: the learning curve
figure, axis = plt.subplots(figsize=(7, 3))
axis.semilogx(sizes, seen_curve, "o-", color=GREY, label="training clips")
axis.semilogx(sizes, unseen_curve, "o-", color=BLUE, label="held-out clips, other speakers")
axis.set(xlabel="training clips of each word", ylabel="right, %", ylim=(20, 103), title="learning curve")
axis.set_xticks(sizes, sizes)
axis.minorticks_off()
axis.legend(loc="lower right")
lesson.save(figure, "learning-curve")

# %% Picture: loss by epoch, and what regularisation does to it
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
numbers = np.arange(1, EPOCHS + 1)
plain = histories["nothing"]
left.plot(numbers, plain[:, 0], color=GREY, label="training")
left.plot(numbers, plain[:, 1], color=BLUE, label="held out")
stop = int(plain[:, 1].argmin())
left.axvline(stop + 1, color=ORANGE, linestyle=":", label="early stopping")
left.set(title="large network, nothing against overfitting", xlabel="epoch", ylabel="loss", ylim=(0, None))
left.legend()
for (name, history), colour in zip(histories.items(), (BLUE, ORANGE, GREEN, "#8a4fb0"), strict=True):
    right.plot(numbers, history[:, 1], color=colour, label=name)
right.set(title="held-out loss", xlabel="epoch", ylim=(0.5, 1.8))
right.legend(ncols=2, fontsize="small")
lesson.save(figure, "epochs")
