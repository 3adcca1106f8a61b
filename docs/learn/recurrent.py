"""What a GRU keeps and forgets: its gates over a spoken word, and RNN and LSTM beside it."""

import copy

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
WORD_S, STEP_S, HIDDEN = 0.7, 0.04, 32
lesson = Lesson("recurrent", WORDS, clips_per_word=120)
training = lesson.read(WORDS, "training", 100)
held_out = lesson.read(WORDS, "validation", 40)
log_mel = NormalisedLogMel(training.waveforms)


# %% A word, then a pause in which nothing is said
def sequences(clips, pause_s):
    """Four frames side by side are one step of 40 ms. Shape: (n_clips, n_steps, 160)."""
    windows = []
    for waveform in clips.waveforms:
        speech = find_speech(waveform.numpy())
        word = cut(waveform, speech.start, round(WORD_S * SAMPLE_RATE), speech.floor_db)
        pause = cut(waveform, len(waveform), round(pause_s * SAMPLE_RATE), speech.floor_db)
        windows.append(torch.cat([word, pause]))
    frames = log_mel(torch.stack(windows))
    n_steps = frames.shape[1] // 4
    return frames[:, : 4 * n_steps].reshape(len(frames), n_steps, 160)


class LastState(nn.Module):
    """A recurrent layer; the answer is read from its last state."""

    def __init__(self, layer):
        super().__init__()
        self.recurrent = layer(160, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, len(WORDS))

    def forward(self, steps):
        outputs, _ = self.recurrent(steps)
        return self.head(outputs[:, -1])


# %% A GRU by hand
def gru_by_hand(layer, steps):
    """States and update gates of one sequence. Shape: (n_steps, 160) -> (n_steps, hidden) twice."""
    weights = dict(layer.named_parameters())
    state, states, updates = torch.zeros(HIDDEN), [], []
    for step in steps:
        of_input = weights["weight_ih_l0"] @ step + weights["bias_ih_l0"]
        of_state = weights["weight_hh_l0"] @ state + weights["bias_hh_l0"]
        reset_i, update_i, new_i = of_input.chunk(3)
        reset_s, update_s, new_s = of_state.chunk(3)
        reset = torch.sigmoid(reset_i + reset_s)  # how much of the old state the new one may look at
        update = torch.sigmoid(update_i + update_s)  # how much of the old state stays
        candidate = torch.tanh(new_i + reset * new_s)
        state = update * state + (1 - update) * candidate
        states.append(state)
        updates.append(update)
    return torch.stack(states), torch.stack(updates)


LAYERS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
COLOURS = {"RNN": ORANGE, "LSTM": GREEN, "GRU": BLUE}


def make_network(name):
    torch.manual_seed(0)
    network = LastState(LAYERS[name])
    if name == "LSTM":  # its forget gates begin open: gates are stored as input, forget, cell, output
        nn.init.ones_(network.recurrent.bias_ih_l0[HIDDEN : 2 * HIDDEN])
    return network


# %% Train the three, with half a second of pause after each word
PAUSE_S = 0.5
inputs = sequences(training, PAUSE_S)
tests = {pause_s: sequences(held_out, pause_s) for pause_s in (0.0, 0.5, 1.0, 2.0)}
networks, fresh = {}, {}
for name in LAYERS:
    networks[name] = make_network(name)
    fresh[name] = copy.deepcopy(networks[name])
    fit(networks[name], inputs, training.labels, epochs=20)

lesson.section("held-out accuracy, trained with 0.5 s of pause after the word")
curves = {}
for name, network in networks.items():
    curves[name] = [accuracy(network, steps, held_out.labels) for steps in tests.values()]
    lesson.show(f"{name}, weights", f"{sum(value.numel() for value in network.parameters()):,}")
    lesson.show(f"{name}, training clips", percent(accuracy(network, inputs, training.labels)))
    for pause_s, right in zip(tests, curves[name], strict=True):
        lesson.show(f"{name}, pause of {pause_s:.1f} s", percent(right))


# %% How far back does the gradient reach?
def reach(network, steps, labels):
    """Length of the gradient at each step, the last one counting as 1. Shape: (n_steps,)."""
    steps = steps.clone().requires_grad_()
    functional.cross_entropy(network(steps), labels).backward()
    return steps.grad.norm(dim=2).mean(dim=0).numpy()


second = round(1 / STEP_S)
reaches = {}
lesson.section("gradient one second back, against that of the last step")
for state, group in (("before training", fresh), ("after training", networks)):
    for name, network in group.items():
        lengths = reach(network, tests[2.0], held_out.labels)
        reaches[name, state] = lengths
        lesson.show(f"{name}, {state}", f"{lengths[-1 - second] / lengths[-1]:.0e}")

# %% The gates of the GRU over one word and a second of pause
gru, chosen = networks["GRU"], "stop"
clip = next(
    k
    for k, label in enumerate(held_out.labels)
    if WORDS[label] == chosen and gru(tests[1.0][k : k + 1]).argmax() == label
)
steps = tests[1.0][clip]
n_word = round(WORD_S / STEP_S)
with torch.no_grad():
    states, updates = gru_by_hand(gru.recurrent, steps)
    difference = (states - gru.recurrent(steps[None])[0][0]).abs().max()
    answers = gru.head(states).softmax(dim=1)
    everywhere = torch.stack([gru_by_hand(gru.recurrent, sequence)[1] for sequence in tests[1.0][::8]])
kept = everywhere[:, -round(0.5 / STEP_S) :].prod(dim=1).mean(dim=0)
lesson.section("the update gate: the share of the old state that stays at each step of 40 ms")
lesson.show("largest difference by hand to torch", f"{difference:.0e}")
lesson.show("mean during the word", percent(100 * everywhere[:, :n_word].mean()))
lesson.show("mean during the pause", percent(100 * everywhere[:, n_word:].mean()))
lesson.show("left of a state after half a second of pause, mean over units", percent(100 * kept.mean()))
lesson.show("left of it in the unit that keeps most", percent(100 * kept.max()))
lesson.show("left of it in the unit that keeps least", percent(100 * kept.min()))

# %% Picture: sound, gates, answer
figure, axes = plt.subplots(3, 1, figsize=(8, 6.5), sharex=True, height_ratios=(2, 2, 1.4))
end_s = len(steps) * STEP_S
image = axes[0].imshow(
    steps.reshape(-1, 40).T.numpy(), origin="lower", aspect="auto", cmap="magma", extent=(0, end_s, 0, 40)
)
axes[0].set(title=f'"{chosen}" and a second of pause', ylabel="mel band")
order = updates[n_word:].mean(dim=0).argsort()
image = axes[1].imshow(
    updates[:, order].T.numpy(),
    origin="lower",
    aspect="auto",
    cmap="Blues",
    vmin=0,
    vmax=1,
    extent=(0, end_s, 0, HIDDEN),
)
figure.colorbar(image, ax=axes[1], label="kept", pad=0.01)
axes[1].set(title="update gate of each unit: dark keeps, light takes in", ylabel="unit")
for label, word in enumerate(WORDS):
    axes[2].plot((np.arange(len(steps)) + 1) * STEP_S, answers[:, label].numpy(), label=word)
axes[2].axvline(WORD_S, color=GREY, linestyle=":")
axes[2].set(title="answer if the sound ended here", xlabel="seconds", ylim=(0, 1), ylabel="probability")
axes[2].legend(ncols=4, loc="lower right", fontsize="small", bbox_to_anchor=(1, 1))
lesson.save(figure, "gates")

# %% Picture: how far the gradient reaches, and what is left after a pause
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(3, 2))
for (name, state), lengths in reaches.items():
    back = (np.arange(len(lengths)) - len(lengths) + 1) * STEP_S
    style = "-" if state == "before training" else ":"
    left.semilogy(back, lengths / lengths[-1], style, color=COLOURS[name], label=f"{name}, {state}")
left.set(title="length of the gradient", xlabel="seconds before the end", ylim=(1e-12, 10))
left.legend(loc="lower left", fontsize="small")
for name, curve in curves.items():
    right.plot(list(tests), curve, "o-", color=COLOURS[name], label=name)
right.axhline(100 / len(WORDS), color=GREY, linestyle=":")
right.set(title="accuracy after a pause", xlabel="seconds of pause", ylabel="right, %", ylim=(0, 102))
lesson.save(figure, "forgetting")
