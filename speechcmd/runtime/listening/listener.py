"""What happens to audio while listening: recognise, keep clips, run commands, measure."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from speechcmd.audio.samples import Waveform
from speechcmd.runtime.listening.clip_saver import ClipSaver, Moment
from speechcmd.runtime.listening.rule_runner import RuleRunner
from speechcmd.runtime.microphone.open_microphone import Block
from speechcmd.runtime.recognition.decoder import Detection
from speechcmd.runtime.recognition.stream import Stream

LEAST_LEVEL_DB = -100.0
_LOAD_S = 1.0  # over which the share of a core is measured


@dataclass(frozen=True, slots=True)
class Heard:
    """What a block of audio brought."""

    detections: list[Detection]
    n_samples: int
    level_db: float
    """Of the block, in dB of full scale (rms)."""
    peak_db: float
    latency_ms: float
    """From the arrival of the block to its result."""


@dataclass(slots=True)
class Summary:
    """What listening came to."""

    heard: Counter[str] = field(default_factory=Counter)
    n_near_misses: int = 0
    heard_s: float = 0.0
    """Seconds of audio, without what was lost."""
    lost_s: float = 0.0
    n_gaps: int = 0


class Listener:
    """Feed blocks of audio to a stream, and what it hears to those who want to know.

    Parameters
    ----------
    stream
        From `Recognizer.stream(keep_near_misses=True)`.
    saver
        Keeps a clip of each detection and near miss.
    rules
        Runs commands on detections.
    on_notice
        Gets a kind and a line for whatever the user should know.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        saver: ClipSaver | None = None,
        rules: RuleRunner | None = None,
        on_notice: Callable[[str, str], None],
    ) -> None:
        self._stream = stream
        self.saver = saver
        self._rules = rules
        self._on_notice = on_notice
        self.sample_rate = stream.card.sample_rate
        self.summary = Summary()
        self.load = LoadMeter()
        self.latency = LatencyMeter()

    @property
    def position_s(self) -> float:
        """Seconds since listening began, by the samples."""
        return self._stream.position_s

    @property
    def scores(self) -> dict[str, float]:
        """Smoothed posterior of each word that may fire."""
        return self._stream.scores

    def feed(self, block: Block) -> Heard:
        """Take the next block of audio."""
        before_gap = self._skip(block.lost_samples) if block.lost_samples else []
        detections: list[Detection] = []
        if self.saver is not None:
            self.saver.feed(block.waveform)
        if len(block.waveform):
            self.summary.heard_s += len(block.waveform) / self.sample_rate
            detections = self._stream.feed(block.waveform)
        self._report(detections)
        self.load.measure()
        level_db, peak_db = measure_level(block.waveform)
        latency_ms = 1_000 * (time.monotonic() - block.arrived_at)
        self.latency.see(latency_ms)
        return Heard(before_gap + detections, len(block.waveform), level_db, peak_db, latency_ms)

    def finish(self) -> list[Detection]:
        """End listening: decide what is still open, and write what is still to be written."""
        detections = self._stream.flush()
        self._report(detections)
        if self.saver is not None:
            self.saver.close()
            self._report_problems()
        if self._rules is not None:
            self._rules.close()
        return detections

    def _skip(self, n_samples: int) -> list[Detection]:
        self.summary.n_gaps += 1
        self.summary.lost_s += n_samples / self.sample_rate
        detections = self._stream.gap(n_samples)
        self._report(detections)  # before the saver forgets the audio in front of a long gap
        if self.saver is not None:
            self.saver.skip(n_samples)
        return detections

    def _report(self, detections: Iterable[Detection]) -> None:
        near_misses = self._stream.take_near_misses()
        self.summary.n_near_misses += len(near_misses)
        self.summary.heard.update(detection.label for detection in detections)
        if self.saver is not None:
            self._mark("hit", detections)
            self._mark("near_miss", near_misses)
            self._report_problems()
        if self._rules is not None:
            for detection in detections:
                self._rules.on_detection(detection)
            self._rules.poll()

    def _mark(self, kind: Literal["hit", "near_miss"], detections: Iterable[Detection]) -> None:
        for one in detections:
            moment = Moment(kind, one.label, one.score, one.start_s, one.end_s, one.decided_s)
            if self.saver is not None:
                self.saver.mark(moment)

    def _report_problems(self) -> None:
        for problem in self.saver.take_problems() if self.saver is not None else ():
            self._on_notice("saving", problem)


class LoadMeter:
    """Share of one core that this process uses, over about the last second."""

    def __init__(self) -> None:
        self.share = 0.0
        self._began = (time.monotonic(), time.process_time())

    def measure(self) -> None:
        """Look at the clocks; the share changes about once a second."""
        now = time.monotonic()
        elapsed_s = now - self._began[0]
        if elapsed_s >= _LOAD_S:
            used = time.process_time()
            self.share = (used - self._began[1]) / elapsed_s
            self._began = (now, used)


class LatencyMeter:
    """The longest latency within the last second or two: most blocks only wait for the next update."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._before_ms = self._now_ms = 0.0

    @property
    def longest_ms(self) -> float:
        """From the arrival of audio to its result."""
        return max(self._before_ms, self._now_ms)

    def see(self, latency_ms: float) -> None:
        """Take the latency of the newest block."""
        if self._clock() - self._began_at >= _LOAD_S:
            self._began_at = self._clock()
            self._before_ms, self._now_ms = self._now_ms, 0.0
        self._now_ms = max(self._now_ms, latency_ms)


def measure_level(waveform: Waveform) -> tuple[float, float]:
    """Rms and peak in dB of full scale; at least -100. Shape: (n_samples,), which may be (0,)."""
    if len(waveform) == 0:
        return LEAST_LEVEL_DB, LEAST_LEVEL_DB
    rms = math.sqrt(float(waveform @ waveform) / len(waveform))
    return _decibels(rms), _decibels(float(max(waveform.max(), -waveform.min())))


def _decibels(amplitude: float) -> float:
    return max(LEAST_LEVEL_DB, 20 * math.log10(max(amplitude, 1e-10)))
