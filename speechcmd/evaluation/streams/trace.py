"""What the network says of a recording, kept so that decoders with any settings can be tried on it.

One pass over the audio; after that a decoder with other thresholds costs thousandths of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from speechcmd.arrays import AnyFloatArray, FloatArray
from speechcmd.audio.reading import AudioSource
from speechcmd.runtime.model.card import DecoderSettings, ModelCard
from speechcmd.runtime.recognition.decoder import NO_LEVELS, Decoder, Detection
from speechcmd.runtime.recognition.level_history import Burst, LevelTrack, hop_samples
from speechcmd.runtime.recognition.recognizer import Recognizer
from speechcmd.runtime.recognition.stream import clip_times, edge_samples

_LEAST_POSTERIOR = 1e-37  # float32 holds it


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Posteriors and levels of one whole recording: four bytes for each label of each step, and each hop."""

    posteriors: FloatArray
    """Shape: (n_steps, n_labels)."""
    levels: FloatArray
    """In dB. Shape: (n_hops,)."""
    n_samples: int
    """Of the recording, at the model's rate."""

    def at_temperature(self, ratio: float) -> Trace:
        """Return the trace of the model whose temperature is `ratio` times as high."""
        return replace(self, posteriors=change_temperature(self.posteriors, ratio))


def change_temperature(posteriors: FloatArray, ratio: float) -> FloatArray:
    """softmax(logits / (ratio * T)) from softmax(logits / T). Shape: (..., n_labels) -> the same."""
    if ratio == 1.0:
        return posteriors
    scaled = np.log(np.maximum(posteriors, np.float32(_LEAST_POSTERIOR))) / np.float32(ratio)
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    changed: FloatArray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return changed


def make_trace(
    recognizer: Recognizer,
    source: AudioSource | AnyFloatArray,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Trace:
    """Run the network over a recording once; memory grows only with the trace, to twice its size.

    Parameters
    ----------
    source, on_progress
        As for `Recognizer.transcribe`.

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    lengths_s: list[float] = []

    def count(seconds: float) -> None:
        lengths_s.append(seconds)
        if on_progress is not None:
            on_progress(seconds)

    parts = list(recognizer.steps(source, on_progress=count))
    return Trace(
        posteriors=np.concatenate([part.posteriors for part in parts]),
        levels=np.concatenate([part.levels for part in parts]),
        n_samples=round(sum(lengths_s) * recognizer.card.sample_rate),
    )


class RememberedLevels(LevelTrack):
    """The levels of a whole recording, which remembers what it was asked: the next decoder asks the same.

    What it remembers grows with the words in it; where they are dense it is more than the trace itself.
    """

    def __init__(self, card: ModelCard, levels: FloatArray) -> None:
        super().__init__(hop_samples(card), card.sample_rate, 0.0)
        super().reset(-edge_samples(card))
        super().append(levels)
        self._sound_levels: dict[tuple[int, int], float] = {}
        self._answers: dict[tuple[int, int], list[Burst]] = {}

    def reset(self, first_sample: int) -> None:
        """Keep everything: the next decoder hears the same recording."""

    def trim(self) -> None:
        """Keep everything."""

    def bursts(self, begin: int, end: int) -> list[Burst]:
        """As LevelTrack's, each stretch looked at once."""
        key = (begin, end)
        if key not in self._answers:
            self._answers[key] = super().bursts(begin, end)
        return self._answers[key]

    def sound_level(self, begin: int, end: int) -> float:
        """As LevelTrack's, each stretch looked at once."""
        key = (begin, end)
        if key not in self._sound_levels:
            self._sound_levels[key] = super().sound_level(begin, end)
        return self._sound_levels[key]


class Replayer:
    """Decodes one recording's trace again and again.

    Parameters
    ----------
    card
        Of the model that made the trace.
    trace
        Of the recording.
    """

    def __init__(self, card: ModelCard, trace: Trace) -> None:
        self._card = card
        self._trace = trace
        self._track = RememberedLevels(card, trace.levels)

    def decode(self, settings: DecoderSettings) -> list[Detection]:
        """Return the detections that `Recognizer.transcribe` would give with these settings."""
        decoder = Decoder(
            self._card, settings=settings, first_sample=-edge_samples(self._card), level_track=self._track
        )
        detections = decoder.feed(self._trace.posteriors, NO_LEVELS) + decoder.flush()
        duration_s = self._trace.n_samples / self._card.sample_rate
        return [clip_times(detection, 0.0, duration_s) for detection in detections]
