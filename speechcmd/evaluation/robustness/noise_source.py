"""Where noise comes from: made in a colour, or cut from recordings at random places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from speechcmd.audio.coloured_noise import coloured_noise
from speechcmd.audio.loudness import even_out, high_pass
from speechcmd.audio.reading import read_blocks
from speechcmd.audio.samples import SAMPLE_RATE, Int16, Waveform, float32_to_int16, int16_to_float32
from speechcmd.errors import EvaluationError

# the power falls with this power of the frequency: 0, 3 and 6 dB an octave
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
MOST_RECORDINGS = 100
MOST_S = 60
_HOP_SAMPLES = SAMPLE_RATE // 100
_AUDIBLE_SHARE = 10.0 ** (-20.0 / 10.0)


@dataclass(frozen=True)
class NoiseFiles:
    """Recordings of noise that are used together."""

    name: str
    paths: Sequence[Path]


@dataclass(frozen=True)
class NoiseSource:
    """A kind of noise: `draw(n_samples, rng)` gives a piece of it, shape (n_samples,)."""

    name: str
    draw: Callable[[int, np.random.Generator], Waveform]


def make_coloured(colour: str) -> NoiseSource:
    """Gaussian noise of one of the `COLOURS` without what lies below 50 Hz: half of brown noise does."""
    exponent = COLOURS[colour]
    return NoiseSource(colour, lambda n_samples, rng: high_pass(coloured_noise(n_samples, exponent, rng)))


def read_noise(files: NoiseFiles, seed: int) -> NoiseSource:
    """Noise from recordings: first one of them, then a place in it, are drawn; then it is evened out.

    At most `MOST_RECORDINGS` drawn with the seed are used, and of each the first `MOST_S` seconds.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    EvaluationError
        If one is silent or empty.
    """
    paths = sorted(files.paths)
    if len(paths) > MOST_RECORDINGS:
        chosen = np.random.default_rng(seed).choice(len(paths), MOST_RECORDINGS, replace=False)
        paths = [paths[number] for number in sorted(chosen)]
    recordings = [_NoiseRecording(path) for path in paths]

    def draw(n_samples: int, rng: np.random.Generator) -> Waveform:
        return even_out(recordings[int(rng.integers(len(recordings)))].draw(n_samples, rng), rng)

    return NoiseSource(files.name, draw)


class _NoiseRecording:
    """Samples of a recording, and where in it there is sound: many are padded with digital zero."""

    def __init__(self, path: Path) -> None:
        blocks = [float32_to_int16(block) for block in islice(read_blocks(path, block_s=10.0), MOST_S // 10)]
        self._samples: Int16 = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int16)
        if not len(self._samples) or self._samples.min() == self._samples.max():
            raise EvaluationError("expected noise, got silence", path=path, advice="leave this file out")
        n_hops = len(self._samples) // _HOP_SAMPLES
        hops = self._samples[: n_hops * _HOP_SAMPLES].reshape(n_hops, _HOP_SAMPLES)
        self._energy = np.concatenate([[0.0], np.cumsum(hops.var(axis=1))])

    def draw(self, n_samples: int, rng: np.random.Generator) -> Waveform:
        """A piece that is at most 20 dB quieter than the loudest; looped where the recording is shorter."""
        if len(self._samples) <= n_samples:
            turned = np.roll(self._samples, -int(rng.integers(len(self._samples))))
            return int16_to_float32(np.resize(turned, n_samples))
        first = int(rng.choice(self._audible_places(n_samples)))
        return int16_to_float32(self._samples[first : first + n_samples])

    def _audible_places(self, n_samples: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        n_hops = -(-n_samples // _HOP_SAMPLES)
        if n_hops >= len(self._energy):
            return np.zeros(1, dtype=np.int64)
        energy = self._energy[n_hops:] - self._energy[:-n_hops]
        return np.flatnonzero(energy >= energy.max() * _AUDIBLE_SHARE) * _HOP_SAMPLES
