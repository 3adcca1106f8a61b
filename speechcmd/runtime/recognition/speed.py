"""How fast this computer recognises: recordings, and live updates."""

from __future__ import annotations

import time

from speechcmd.audio.reproducible_noise import white_noise
from speechcmd.runtime.recognition.recognizer import Recognizer

_TIMED_S = 10.0
_N_RUNS = 3
_TIMED_RMS = 0.05


def measure_speed(name: str) -> float:
    """Measure how much faster than real time a model transcribes, on one core of this computer.

    All parts are timed: front end, network and decoder, on noise; the fastest of three runs counts.
    """
    recognizer = Recognizer.load(name)
    waveform = white_noise(round(_TIMED_S * recognizer.card.sample_rate), seed=3) * _TIMED_RMS
    spent_s = []
    for _ in range(_N_RUNS):
        begin = time.perf_counter()
        for _ in recognizer.transcribe(waveform):
            pass
        spent_s.append(time.perf_counter() - begin)
    return _TIMED_S / min(spent_s)
