"""The same training four times: a loop over files, Dataset and DataLoader, worker processes, one file for all clips."""

import shutil
import time

import numpy as np
import soundfile
import torch
from lesson import BLUE, CLIP_SAMPLES, FRONT_END, GREY, ORANGE, Lesson, plt, read_clip
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from data_prep.prepare import PrepareConfig, prepare_store
from data_prep.store import Store
from speechcmd import __version__

WORDS = ("up", "down", "left", "right")
EPOCHS, BATCH_SIZE = 2, 32


class LogMelLayer(nn.Module):
    """Waveforms to log-mel, bands before frames."""

    def forward(self, waveforms):
        return FRONT_END(waveforms).transpose(1, 2) / 4


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(
        LogMelLayer(), nn.Conv1d(40, 32, 5, stride=2), nn.ReLU(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, len(WORDS)),
    )  # fmt: skip


def shuffled(n_clips, epoch):
    """Another order each epoch, the same for each way of loading."""
    return torch.randperm(n_clips, generator=torch.Generator().manual_seed(epoch)).tolist()


def step(network, optimizer, waveforms, labels):
    loss = functional.cross_entropy(network(waveforms), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %% 1. Without: a loop over files
def train_by_loop(files, labels):
    network = make_network()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for epoch in range(EPOCHS):
        order = shuffled(len(files), epoch)
        for first in range(0, len(order), BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            waveforms = torch.stack([read_clip(files[index]) for index in chosen])
            step(network, optimizer, waveforms, labels[chosen])
    return network


# %% 2. With: a Dataset says what a clip is, a DataLoader makes batches of them
class WavClips(Dataset):
    def __init__(self, files, labels):
        self.files, self.labels = files, labels

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return read_clip(self.files[index]), self.labels[index]


def make_loader(dataset, epoch, n_workers=0):
    return DataLoader(
        dataset,
        BATCH_SIZE,
        sampler=shuffled(len(dataset), epoch),
        num_workers=n_workers,
        generator=torch.Generator(),
    )


def train_by_loader(dataset, n_workers=0):
    network = make_network()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for epoch in range(EPOCHS):
        for waveforms, labels in make_loader(dataset, epoch, n_workers):
            step(network, optimizer, waveforms, labels)
    return network


# %% 3. All clips in one file: a batch is one look into memory
class StoreClips(Dataset):
    """Clips of a store: `audio` is one long line of int16 on disk, `offsets` says where each clip begins."""

    def __init__(self, store, names, labels):
        rows = {row.path: row for row in store.rows}
        self.audio, self.labels = store.audio, labels
        self.offsets = np.array([rows[name].offset for name in names])

    def __len__(self):
        return len(self.offsets)

    def __getitems__(self, indices):
        """A whole batch: a DataLoader calls this once instead of __getitem__ for each clip."""
        samples = np.stack([self.audio[first : first + CLIP_SAMPLES] for first in self.offsets[indices]])
        waveforms = samples.astype(np.float32) / 32_768
        return list(zip(torch.from_numpy(waveforms), self.labels[indices], strict=True))


def make_store(lesson, files):
    """Copy the clips into a folder of their own and prepare it, as `speechcmd prepare` does."""
    for path in files:
        target = lesson.temporary(f"chosen/{path.parent.name}/{path.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    config = PrepareConfig(lesson.temporary("chosen"), n_workers=1)
    prepare_store(config, lesson.temporary("store"), __version__)
    return Store.open(lesson.temporary("store"))


# %% Measure
def seconds_of(work):
    """Time that the processor spends in this process: other programs do not disturb it."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def whole_clips(lesson, most):
    """Clips that are exactly a second long: a store has no fixed length, one look into it does."""
    files = [path for word in WORDS for path in lesson.files_of(word, "training")]
    whole = [path for path in files if soundfile.info(path).frames == CLIP_SAMPLES]
    chosen = [path for word in WORDS for path in [p for p in whole if p.parent.name == word][:most]]
    return chosen, torch.tensor([WORDS.index(path.parent.name) for path in chosen])


def main():
    lesson = Lesson("loading", WORDS, clips_per_word=80)
    files, labels = whole_clips(lesson, most=100)
    wav_clips = WavClips(files, labels)
    took, store = seconds_of(lambda: make_store(lesson, files))
    store_clips = StoreClips(store, [f"{path.parent.name}/{path.name}" for path in files], labels)
    lesson.section("what is trained")
    lesson.show("clips", len(files))
    lesson.show("batches in an epoch", -(-len(files) // BATCH_SIZE))
    lesson.show("time of preparing the store, once", f"{took:.2f} s")

    ways = {
        "loop over files": lambda: train_by_loop(files, labels),
        "Dataset and DataLoader": lambda: train_by_loader(wav_clips),
        "DataLoader with 2 workers": lambda: train_by_loader(wav_clips, n_workers=2),
        "store and DataLoader": lambda: train_by_loader(store_clips),
    }
    train_by_loop(files[:BATCH_SIZE], labels)  # what is called first pays for setting torch up
    lesson.section(f"training, {EPOCHS} epochs")
    networks, training_s = [], []
    for name, train in ways.items():
        took, network = seconds_of(train)
        networks.append(network.state_dict())
        training_s.append(took)
        lesson.show(f"{name}, time", f"{took:.2f} s")
    lesson.section("weights that are equal to those of the loop, to the last bit")
    for name, weights in zip(ways, networks, strict=True):
        equal = sum(torch.equal(weights[key], networks[0][key]) for key in weights)
        lesson.show(name, f"{equal} of {len(weights)} tensors")

    # loading alone: the fastest of three rounds
    rounds = {
        "read wav files": lambda: [
            torch.stack([read_clip(path) for path in files[i : i + BATCH_SIZE]])
            for i in range(0, len(files), BATCH_SIZE)
        ],
        "Dataset of wav files": lambda: list(make_loader(wav_clips, 0)),
        "Dataset of the store": lambda: list(make_loader(store_clips, 0)),
    }
    loading_s = [min(seconds_of(work)[0] for _ in range(3)) for work in rounds.values()]
    lesson.section("loading alone, one epoch")
    for name, took in zip(rounds, loading_s, strict=True):
        lesson.show(f"{name}, time", f"{1000 * took:.0f} ms, {len(files) / took:,.0f} clips/s")

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6))
    left.barh(list(ways), training_s, color=(GREY, BLUE, BLUE, ORANGE))
    left.set(title=f"training, {EPOCHS} epochs", xlabel="seconds")
    right.barh(list(rounds), [len(files) / took for took in loading_s], color=(GREY, BLUE, ORANGE))
    right.set(title="loading alone", xlabel="clips per second")
    left.invert_yaxis()
    right.invert_yaxis()
    lesson.save(figure, "times")


if __name__ == "__main__":  # worker processes import this file again on some systems: they shall not train
    main()
