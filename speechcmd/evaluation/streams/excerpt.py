"""Short stretches of long recordings, to hear a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechcmd.arrays import FloatArray
from speechcmd.audio.mixing import Mixer
from speechcmd.audio.reading import open_audio
from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import Waveform, finite_samples
from speechcmd.evaluation.mistakes import Sound
from speechcmd.evaluation.streams.stream_result import StreamMistake
from speechcmd.runtime.model.card import ModelCard

_BEFORE_S, _AFTER_S = 1.6, 0.4


def read_excerpt(path: Path, start_s: float, end_s: float, sample_rate: int) -> Waveform:
    """Read a stretch of a recording, cut where the recording ends. Shape: (n_samples,).

    Raises
    ------
    AudioError
        If the recording cannot be read.
    """
    import soundfile

    with open_audio(path) as file:
        begin = max(0, round(start_s * file.samplerate))
        n_samples = max(0, round(end_s * file.samplerate) - begin)
        rate = file.samplerate
        try:
            file.seek(begin)
            block = file.read(n_samples, dtype="float32")
        except soundfile.SoundFileError:  # GSM cannot be entered in the middle, and nothing behind its end
            block = None
    if block is None:
        block = _read_on(path, begin, n_samples)
    waveform = np.ascontiguousarray(Mixer().feed(finite_samples(block)))
    return Resampler(rate, sample_rate).feed(waveform, last=True)


def _read_on(path: Path, begin: int, n_samples: int) -> FloatArray:
    """The same stretch, by reading all that comes before it."""
    with open_audio(path) as file:
        left = begin
        while left and len(skipped := file.read(min(left, file.samplerate), dtype="float32")):
            left -= len(skipped)
        block: FloatArray = file.read(n_samples, dtype="float32")
        return block


def sounds_of(mistakes: Sequence[StreamMistake], paths: Sequence[Path], card: ModelCard) -> list[Sound]:
    """Read what was heard before each mistake.

    Parameters
    ----------
    paths
        Of all recordings, in the order of the result.
    """
    sounds = []
    for one in mistakes:
        start_s, end_s = one.time_s - _BEFORE_S, one.time_s + _AFTER_S
        waveform = read_excerpt(paths[one.recording], start_s, end_s, card.sample_rate)
        sounds.append(Sound(one, waveform, card.sample_rate, one.heard or one.label))
    return sounds
