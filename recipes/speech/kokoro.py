"""The Kokoro-82M voices: phonemes and a mixture of voices in, 16 kHz speech out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.runtime.model.engine import onnxruntime

RATE = 24_000
STYLE = 256
ENGLISH = ("af", "am", "bf", "bm")  # American and British, women and men
# never mixed into a training voice: thresholds are chosen by them
HELD_OUT = ("af_sarah", "am_michael", "bf_emma", "bm_george")


@dataclass(frozen=True)
class Mixture:
    """A speaker: some of Kokoro's voices and the share of each."""

    voices: tuple[str, ...]
    shares: tuple[float, ...]

    @property
    def british(self) -> bool:
        """By the accent of the voice with the largest share."""
        return self.voices[int(np.argmax(self.shares))].startswith("b")

    def __str__(self) -> str:
        parts = zip(self.voices, self.shares, strict=True)
        return "+".join(f"{voice}*{share:.3f}" for voice, share in parts)


def draw_mixture(voices: tuple[str, ...], rng: np.random.Generator) -> Mixture:
    """Two or three different voices in random shares."""
    n_voices = int(rng.integers(2, 4))
    chosen = tuple(str(each) for each in rng.choice(voices, n_voices, replace=False))
    return Mixture(chosen, tuple(float(share) for share in rng.dirichlet(np.ones(n_voices))))


class Kokoro:
    """Speaks with one thread. `folder` holds kokoro.onnx, vocab.json and voices/NAME.bin (`fetch`)."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = str(folder / "kokoro.onnx")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self._styles = {
            path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, STYLE)
            for path in sorted((folder / "voices").glob("*.bin"))
            if path.stem.startswith(ENGLISH)
        }

    @property
    def voices(self) -> tuple[str, ...]:
        """English voices for training; the held-out ones are not among them."""
        return tuple(name for name in self._styles if name not in HELD_OUT)

    def say(self, phonemes: str, mixture: Mixture, speed: float) -> Waveform:
        """Speech of 16 kHz with its silence before and after. Shape: (n_samples,).

        Raises
        ------
        ValueError
            If a phoneme is none of Kokoro's.
        """
        unknown = sorted(set(phonemes) - set(self._vocabulary))
        if unknown:
            raise ValueError(f"expected phonemes of Kokoro, got {''.join(unknown)!r} in {phonemes!r}")
        tokens = [0, *(self._vocabulary[each] for each in phonemes), 0]
        given = {
            "tokens": np.array([tokens], dtype=np.int64),
            "style": self._style(mixture, len(phonemes))[np.newaxis],
            "speed": np.array([speed], dtype=np.float32),
        }
        spoken = self._session.run(None, given)[0].ravel()
        resampled: Waveform = soxr.resample(spoken, RATE, SAMPLE_RATE).astype(np.float32)
        return resampled

    def _style(self, mixture: Mixture, n_phonemes: int) -> FloatArray:
        """A voice has a style for each length of what it says."""
        parts = zip(mixture.voices, mixture.shares, strict=True)
        styles = [np.float32(share) * self._styles[voice][n_phonemes - 1] for voice, share in parts]
        return np.sum(styles, axis=0, dtype=np.float32)
