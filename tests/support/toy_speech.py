"""A store of running speech alone, to be joined with the toy's words, and a network that hears tones."""

from __future__ import annotations

import functools
import json
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from toy_run import temporary_folder

from data_prep.store import COLUMNS, Row, Store, write_rows
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from speechcmd.audio.samples import SAMPLE_RATE, Int16

WINDOW_FRAMES = 24
TONES_HZ = (700.0, 2_000.0)  # of the two words of `ToneNetwork`
# name, split, seconds: three reads of a scan, less than a window, a little more than one; and to validate
RECORDINGS = (
    ("talk/long", "training", 9.31),
    ("talk/short", "training", 0.2),
    ("talk/little", "training", 0.3),
    ("talk/heard", "validation", 6.0),
)


def tone(hertz: float, n_samples: int) -> Int16:
    """A loud tone."""
    wave = np.sin(2 * np.pi * hertz * np.arange(n_samples) / SAMPLE_RATE)
    samples: Int16 = np.rint(9_000 * wave).astype(np.int16)
    return samples


def babble(seconds: float, seed: int) -> Int16:
    """Noise that is now loud, now quiet, now bright, now dull; no two windows are alike."""
    rng = np.random.default_rng(seed)
    n_samples = round(seconds * SAMPLE_RATE)
    blocks = np.repeat(10 ** rng.uniform(0, 3, n_samples // 1_000 + 1), 1_000)[:n_samples]
    bright = np.repeat(rng.uniform(-1, 1, n_samples // 1_700 + 1), 1_700)[:n_samples]
    noise = rng.standard_normal(n_samples + 1)
    return np.rint(blocks * (noise[1:] + bright * noise[:-1])).astype(np.int16)


def write_speech(recordings: dict[tuple[str, str], Int16]) -> Store:
    """A store of recordings by name and split."""
    path = temporary_folder() / "speech"
    path.mkdir()
    rows, offset = [], 0
    for (name, split), samples in recordings.items():
        n = len(samples)
        rows.append(Row("speech", "", "", split, "", name, offset, n, 0, n, n // 2, -60.0, (), "00"))
        offset += n
    np.save(path / "audio.npy", np.concatenate(list(recordings.values())))
    with (path / "index.csv").open("w", newline="") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        write_rows(handle, rows)
    statistics = {"mean_trimmed_samples": 0, "p95_trimmed_samples": 0, "n_words_measured": 0}
    digest = " ".join(name for name, _ in recordings)
    info = {"schema": 1, "length": "mean", "data_digest": digest, "statistics": statistics}
    (path / "store.json").write_text(json.dumps(info))
    return Store.open(path)


@functools.cache
def toy_speech() -> Store:
    """The recordings."""
    parts = enumerate(RECORDINGS)
    return write_speech({(name, split): babble(seconds, seed) for seed, (name, split, seconds) in parts})


class ToneNetwork(KeywordNetwork):
    """Hears how loud each band is on average over its window; `knows` two tones, or nothing."""

    kind = "sliding"
    step_frames: ClassVar[int] = 4

    def __init__(self, *, knows: bool = True) -> None:
        super().__init__(4, WINDOW_FRAMES, 40, 0.0, FrontEndConfig())
        torch.nn.init.zeros_(self.head.weight)
        self.head.bias.data = torch.tensor([-8.0, -8.0, 0.0, -3.0]) if knows else torch.zeros(4)
        for label, hertz in enumerate(TONES_HZ if knows else ()):
            self.head.weight.data[label, band_of(hertz)] = 2.0
        self.eval()

    def embed(self, normalised: Tensor) -> Tensor:
        return functional.avg_pool1d(normalised.transpose(1, 2), WINDOW_FRAMES, 4).transpose(1, 2)

    @torch.no_grad()
    def log_mel(self, samples: Int16) -> Tensor:
        """Shape: (n_samples,) -> (n_frames, n_mels)."""
        return self.features(torch.from_numpy(samples / np.float32(32_768)).float().unsqueeze(0))[0]


@functools.cache
def band_of(hertz: float) -> int:
    """The band in which a tone is loudest."""
    log_mel = ToneNetwork(knows=False).log_mel(tone(hertz, 4_000))
    return int(log_mel.mean(dim=0).argmax())
