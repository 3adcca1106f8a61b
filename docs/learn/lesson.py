"""What every lesson needs: words to work with, a small training loop, printed figures, saved pictures."""

from __future__ import annotations

import argparse
import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from data_prep.split import hashed_split
from data_prep.synthetic import make_corpus
from models.frontend import FrontEndConfig, LogMel

matplotlib.use("Agg")  # pictures go to files, no window opens
import matplotlib.pyplot as plt

SAMPLE_RATE = 16_000
CLIP_SAMPLES = 16_000
BLUE, ORANGE, GREEN, GREY = "#1f77b4", "#e6701e", "#2c8c4a", "#808080"

FRONT_END = LogMel(FrontEndConfig())

plt.rcParams |= {
    "figure.dpi": 90, "figure.constrained_layout.use": True, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": "medium", "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Clips:
    """Recordings of single words, one second each.

    `waveforms` float32 (n_clips, 16000) from -1 to 1, `labels` int64 (n_clips,) into `words`, `files` where
    each came from.
    """

    words: tuple[str, ...]
    waveforms: Tensor
    labels: Tensor
    files: list[Path]


class Lesson:
    """The arguments of a lesson and what it writes: its figures go to the terminal, pictures to a folder."""

    def __init__(
        self, name: str, words: tuple[str, ...], clips_per_word: int = 60, snr_db: float = 15.0
    ) -> None:
        """Read the command line. If no clips are given, synthetic ones of `words` are made."""
        parser = argparse.ArgumentParser(prog=f"{name}.py")
        parser.add_argument(
            "clips",
            nargs="?",
            type=Path,
            help="a folder for each word, as in Speech Commands; else synthetic words",
        )
        parser.add_argument("--pictures", type=Path, default=Path("pictures"), help="where the pictures go")
        arguments = parser.parse_args()
        self.name, self._pictures = name, arguments.pictures
        self._temporary = Path(tempfile.mkdtemp(prefix="lesson-"))
        atexit.register(shutil.rmtree, self._temporary, ignore_errors=True)
        self.folder: Path = arguments.clips or make_corpus(
            self._temporary / "clips", words, 20, clips_per_word, snr_db=snr_db
        )
        torch.manual_seed(0)
        torch.set_num_threads(1)  # the networks are small: a second thread would mostly wait for the first
        print(f"{name}: {'clips of the folder that was given' if arguments.clips else 'synthetic words'}")

    def read(self, words: tuple[str, ...], split: str, most: int) -> Clips:
        """Up to `most` clips of each word, of the speakers of one split: "training" or "validation"."""
        files = [(word, path) for word in words for path in self.files_of(word, split)[:most]]
        waveforms = torch.stack([read_clip(path) for _, path in files])
        labels = torch.tensor([words.index(word) for word, _ in files])
        return Clips(words, waveforms, labels, [path for _, path in files])

    def files_of(self, word: str, split: str) -> list[Path]:
        """Clips of a word by the speakers of a split. The official rule hashes the speaker's name."""
        paths = sorted((self.folder / word).glob("*.wav"))
        own = [path for path in paths if hashed_split(path.name.partition("_nohash_")[0]) == split]
        if not own:
            raise SystemExit(
                f"{self.folder}: expected {split} clips as {word}/SPEAKER_nohash_N.wav, found none; change the "
                f"words at the top of {self.name}.py or give another folder"
            )
        return own

    def temporary(self, name: str) -> Path:
        """A path that is removed when the lesson ends."""
        return self._temporary / name

    def section(self, title: str) -> None:
        """Begin a group of figures."""
        print(f"\n{title}")

    def show(self, what: str, value: object) -> None:
        """Print one figure."""
        print(f"  {what}: {value}")

    def save(self, figure: plt.Figure, picture: str) -> None:
        """Write a picture as PNG; 128 colours make it a third of the size."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        drawn = io.BytesIO()
        figure.savefig(drawn)
        plt.close(figure)
        Image.open(drawn).convert("RGB").quantize(128).save(
            self._pictures / f"{self.name}-{picture}.png", optimize=True
        )


def read_clip(path: Path) -> Tensor:
    """One clip, with silence at its end if it is shorter than a second. Shape: (16000,)."""
    samples, _ = soundfile.read(path, dtype="float32")
    clip = np.zeros(CLIP_SAMPLES, np.float32)
    clip[: len(samples)] = samples[:CLIP_SAMPLES]
    return torch.from_numpy(clip)


def cut(waveform: Tensor, start: int, n_samples: int, floor_db: float) -> Tensor:
    """A window of a clip, which may reach beyond its ends: there comes noise of the clip's own background.

    Zeros would be a sound that no microphone makes, and a network would learn what they tell of the word.
    Shape: (n,) -> (n_samples,).
    """
    window = 10 ** (floor_db / 20) * torch.randn(n_samples)
    first, end = max(0, start), min(len(waveform), start + n_samples)
    window[first - start : end - start] = waveform[first:end]
    return window


class NormalisedLogMel:
    """What lesson 1 computes; then each band less its mean, over its deviation, both of the training clips."""

    def __init__(self, training: Tensor) -> None:
        self.mean, self.deviation = torch.zeros(40), torch.ones(40)
        frames = self(training).flatten(0, 1)
        self.mean, self.deviation = frames.mean(dim=0), frames.std(dim=0)

    @torch.no_grad()
    def __call__(self, waveforms: Tensor) -> Tensor:
        """Shape: (n, n_samples) -> (n, n_frames, 40)."""
        return torch.cat([(FRONT_END(part) - self.mean) / self.deviation for part in waveforms.split(64)])


def fit(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    epochs: int,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    change: Callable[[Tensor], Tensor] = lambda batch: batch,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train by AdamW in batches of 32, each epoch in another order; `change` alters the inputs of a batch."""
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    for epoch in range(epochs):
        network.train()
        for batch in torch.randperm(len(inputs)).split(32):
            loss = functional.cross_entropy(network(change(inputs[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        after_epoch(epoch)


@torch.no_grad()
def accuracy(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of right answers in percent."""
    network.eval()
    answers = torch.cat([network(part).argmax(dim=1) for part in inputs.split(256)])
    return 100.0 * float((answers == labels).float().mean())


def percent(value: float) -> str:
    return f"{value:.1f} %"
