"""From posteriors and levels to detections.

Pure: no audio, no network, no wall clock; the only time is the position of the samples. So any division of
the input into calls gives the same detections.

Each label's posterior is averaged over the last steps. A label whose average reaches its threshold becomes a
candidate; it is decided when the average no longer rises (or falls below the release level, or half a
window has passed). After that the label stays blocked until its average was below the release level, or until
the level says that another word has begun: windows are longer than the pause between two quick words, so the
average of a word that is repeated may never fall. Of two labels whose peaks lie within half a window the
stronger fires; a weaker one that was decided before the stronger began cannot be taken back.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import DoubleArray, FloatArray
from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import DecoderSettings, ModelCard
from speechcmd.runtime.recognition.level_history import LevelTrack, hop_samples
from speechcmd.runtime.recognition.posterior_history import PosteriorHistory, find_crossings

NO_LEVELS: FloatArray = np.zeros(0, dtype=np.float32)
_RISE = 0.01  # smaller growth of the average does not keep a candidate waiting
_SETTLED_STEPS = 1  # steps without such growth after which the peak counts as reached
_ANCHOR_S = 0.1  # this long before its evidence is complete, a word is being spoken
_BEGUN_S = 0.05  # this long after its start, a word is being spoken
_INTO_WORD_S = 0.1  # how far the middle of a window must be in a repeated word


@dataclass(frozen=True, slots=True)
class Detection:
    """One spoken word; positions in seconds from the first sample of the recording."""

    label: str
    start_s: float
    """Where the word begins, by the level inside the windows that heard it."""
    end_s: float
    """Where it ends, as far as it had been spoken when it was decided."""
    score: float
    """Highest smoothed posterior."""
    decided_s: float
    """Where the decision fell: all audio up to here was used, none after."""


@dataclass(slots=True)
class _Candidate:
    """A label that rose to its threshold (with near misses: to its release level) and is not decided yet."""

    word: int
    first_step: int
    """The first at or above the threshold."""
    peak_step: int
    score: float
    risen_to: float
    risen_step: int
    n_above: int
    is_ripe: bool = False

    def see(self, step: int, value: float, is_above: bool) -> None:
        if is_above and self.n_above == 0:  # as if it began here
            self.first_step = self.risen_step = step
            self.risen_to = value
        self.n_above += is_above
        if value > self.score:
            self.score, self.peak_step = value, step
        if value > self.risen_to + _RISE:
            self.risen_to, self.risen_step = value, step


@dataclass(slots=True)
class _Fired:
    """The last detection of a label, for what comes after it; positions in samples."""

    peak: int
    score: float
    begin: int
    anchor: int
    """A sample inside the word."""
    refractory: float


@dataclass(slots=True)
class _Restart:
    """A label that may fire again because another word began, though its average never fell."""

    step: int
    word_start: int
    """Sample at which that word began."""


class Decoder:
    """Turn posteriors into detections, in steps of any number at a time.

    Parameters
    ----------
    card
        Labels, window and step of the model.
    settings
        Thresholds and times instead of the card's own.
    only_labels
        Labels that may fire; None for all words. `_silence_` and `_unknown_` never fire.
    first_sample
        Position of the first step's window in the recording; negative if noise was put before it.
    keep_near_misses
        Note peaks between the release level and the threshold, for `take_near_misses`.
    level_track
        Where levels are kept, instead of a track of its own.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        settings: DecoderSettings | None = None,
        only_labels: Collection[str] | None = None,
        first_sample: int = 0,
        keep_near_misses: bool = False,
        level_track: LevelTrack | None = None,
    ) -> None:
        self._card = card
        self._keeps_near_misses = keep_near_misses
        self._begin_sample = first_sample
        self._labels = [word for word in card.words if only_labels is None or word in only_labels]
        self._columns = [card.labels.index(word) for word in self._labels]
        settings = card.decoder if settings is None else settings
        self._span = settings.smoothing_steps
        self._of = [settings.of(word) for word in self._labels]
        self._release = [own.release for own in self._of]
        self._threshold = [own.threshold for own in self._of]
        self._opening = self._release if keep_near_misses else self._threshold
        self._rival_samples = card.window_samples / 2
        self._hold_steps = math.ceil(self._rival_samples / card.step_samples)
        self._evidence_steps = self._span + self._hold_steps  # how far back evidence is looked for
        memory_steps = self._evidence_steps + self._hold_steps
        self._history = PosteriorHistory(len(self._labels), self._span, memory_steps)
        self._reach_samples = memory_steps * card.step_samples + card.window_samples
        reach_s = self._reach_samples / card.sample_rate
        self._levels = level_track or LevelTrack(hop_samples(card), card.sample_rate, reach_s)
        self.reset()

    @property
    def scores(self) -> dict[str, float]:
        """Smoothed posterior of each word that may fire, at the newest step."""
        return dict(zip(self._labels, self._newest.tolist(), strict=True))

    def reset(self) -> None:
        """Forget everything: the next posteriors begin a new recording."""
        self._fired: dict[int, _Fired] = {}
        self._near_misses: list[Detection] = []
        self._begin(self._begin_sample)

    def feed(self, posteriors: FloatArray, levels: FloatArray = NO_LEVELS) -> list[Detection]:
        """Return what is decided by these posteriors.

        Parameters
        ----------
        posteriors
            Of the next steps. Shape: (n_steps, n_labels), n_steps may be 0.
        levels
            Of the next hops in dB, up to the end of the last step's window (`level.measure_levels`).
            Without levels, the times of a detection are those of the window. Shape: (n_hops,).

        Raises
        ------
        ModelError
            If the posteriors do not belong to the card's labels.
        """
        if posteriors.ndim != 2 or posteriors.shape[1] != len(self._card.labels):
            raise ModelError(
                f"expected posteriors of shape (n_steps, {len(self._card.labels)}), got {posteriors.shape}"
            )
        if len(posteriors) == 0 and len(levels) == 0:
            return []
        self._levels.append(levels)
        smoothed = self._history.append(posteriors[:, self._columns].astype(np.float64))
        detections = self._walk(smoothed)
        if len(smoothed):
            self._newest = smoothed[-1]
        self._history.trim()
        self._levels.trim()
        return detections

    def flush(self) -> list[Detection]:
        """Decide what is still open at the end of the recording; afterwards the decoder is as new.

        But for near misses that were not taken yet.
        """
        detections = self._finish()
        self._fired = {}
        self._begin(self._begin_sample)
        return detections

    def gap(self, next_sample: int) -> list[Detection]:
        """Decide what is open before a gap in the audio; the next window begins at `next_sample`.

        What was said before the gap is not averaged with what comes after it, and a word that the gap cut
        in two does not fire twice.
        """
        detections = self._finish()
        for fired in self._fired.values():
            fired.refractory = max(fired.refractory, self._card.window_samples)
        self._begin(next_sample)
        return detections

    def take_near_misses(self) -> list[Detection]:
        """Words that came up to the release level and did not fire, since the last call."""
        taken, self._near_misses = self._near_misses, []
        return taken

    def _begin(self, first_sample: int) -> None:
        self._first_sample = first_sample
        self._history.reset()
        self._levels.reset(first_sample)
        self._candidates: dict[int, _Candidate] = {}
        self._blocked: dict[int, _Fired] = {}
        self._restarts: dict[int, _Restart] = {}
        self._newest = np.zeros(len(self._labels))

    def _finish(self) -> list[Detection]:
        last_step = self._history.n_steps - 1
        for word, candidate in list(self._candidates.items()):
            candidate.is_ripe = candidate.is_ripe or candidate.n_above >= self._least_steps(word, last_step)
            if not candidate.is_ripe:
                self._drop(candidate, last_step)
        return self._decide(last_step, [0.0] * len(self._labels))

    def _walk(self, smoothed: DoubleArray) -> list[Detection]:
        """Visit the steps in which something can happen."""
        crossings = find_crossings(smoothed, self._opening)
        crossed_rows = list(crossings)
        detections: list[Detection] = []
        first_step = self._history.n_steps - len(smoothed)
        row = 0
        while row < len(smoothed):
            if not (self._candidates or self._blocked or self._restarts):  # jump to where something goes on
                next_crossing = bisect_left(crossed_rows, row)
                if next_crossing == len(crossed_rows):
                    break
                row = crossed_rows[next_crossing]
            detections += self._advance(first_step + row, smoothed[row].tolist(), crossings.get(row, ()))
            row += 1
        return detections

    def _advance(self, step: int, row: list[float], crossed: Collection[int]) -> list[Detection]:
        """See the words at or above their opening, and those of which something goes on."""
        for word in sorted({*crossed, *self._candidates, *self._blocked, *self._restarts}):
            smoothed = row[word]
            row[word] = self._value(word, step, smoothed)
            if word in self._blocked and not self._opens(word, step, row[word]):
                continue
            row[word] = self._value(word, step, smoothed)  # of a label that begins anew here, another one
            self._follow(word, step, row[word])
        return self._decide(step, row)

    def _opens(self, word: int, step: int, value: float) -> bool:
        """Let a label fire again if its average fell, or if another word has been begun."""
        if value >= self._release[word]:
            word_start = self._new_word(self._blocked[word], step)
            if word_start is None:
                return False
            self._restarts[word] = _Restart(step, word_start)
        del self._blocked[word]
        return True

    def _new_word(self, fired: _Fired, step: int) -> int | None:
        """Start of a word after the one that fired, once the middle of the window lies in it."""
        end = self._sample(step) + self._card.window_samples
        latest = math.floor(end - self._rival_samples - _INTO_WORD_S * self._card.sample_rate)
        return self._levels.next_word(fired.anchor, latest, max(fired.begin, end - self._reach_samples), end)

    def _value(self, word: int, step: int, smoothed: float) -> float:
        """The average; of a label that began anew, only over the steps since."""
        if word not in self._restarts:
            return smoothed
        if self._is_young(word, step):
            return self._history.mean(word, self._restarts[word].step, step)
        if smoothed < self._release[word]:
            del self._restarts[word]  # that word is over
        return smoothed

    def _least_steps(self, word: int, step: int) -> int:
        least = self._of[word].min_steps
        return max(least, math.ceil(self._span / 2)) if self._is_young(word, step) else least

    def _is_young(self, word: int, step: int) -> bool:
        """True as long as an average over the whole span would reach back before the restart."""
        return word in self._restarts and step - self._restarts[word].step + 1 < self._span

    def _follow(self, word: int, step: int, value: float) -> None:
        """Open, update, ripen or drop the candidate of one label."""
        is_above = value >= self._threshold[word]
        candidate = self._candidates.get(word)
        if candidate is None:
            if value < self._opening[word]:
                return
            candidate = _Candidate(word, step, step, value, value, step, n_above=int(is_above))
            self._candidates[word] = candidate
        elif candidate.is_ripe:
            return
        else:
            candidate.see(step, value, is_above)
        has_ended = value < self._release[word]
        has_settled = step - candidate.risen_step >= _SETTLED_STEPS
        is_late = step - candidate.first_step >= self._hold_steps
        if candidate.n_above >= self._least_steps(word, step) and (has_ended or has_settled or is_late):
            candidate.is_ripe = True
        elif has_ended:
            self._drop(candidate, step)

    def _drop(self, candidate: _Candidate, step: int) -> None:
        """Forget a candidate that did not last; it is a near miss unless a detection explains it."""
        del self._candidates[candidate.word]
        if self._keeps_near_misses and self._covering(candidate) is None:
            start, stop, _ = self._boundaries(candidate, max(candidate.peak_step, step - self._hold_steps))
            self._near_misses.append(self._detection(candidate, start, stop, step))

    def _decide(self, step: int, row: list[float]) -> list[Detection]:
        """Settle the ripe candidates, the strongest first; they wait while a stronger rival still rises."""
        detections: list[Detection] = []
        ripe = [candidate for candidate in self._candidates.values() if candidate.is_ripe]
        for candidate in sorted(ripe, key=lambda one: (-one.score, one.word)):
            if self._has_rising_rival(candidate):
                continue
            word = candidate.word
            del self._candidates[word]
            covering = self._covering(candidate)
            if covering is None:
                detections.append(self._fire(candidate, step))
            if row[word] >= self._release[word]:
                self._blocked[word] = covering or self._fired[word]
        return detections

    def _has_rising_rival(self, candidate: _Candidate) -> bool:
        return any(
            not rival.is_ripe
            and rival.n_above > 0
            and rival.score > candidate.score
            and self._distance(rival.peak_step, candidate.peak_step) < self._rival_samples
            for rival in self._candidates.values()
        )

    def _distance(self, one_step: int, other_step: int) -> int:
        return abs(one_step - other_step) * self._card.step_samples

    def _covering(self, candidate: _Candidate) -> _Fired | None:
        """The detection already given of which this candidate is an echo, if there is one."""
        peak = self._sample(candidate.peak_step)
        for word, fired in self._fired.items():
            distance = abs(peak - fired.peak)
            if word == candidate.word and distance < fired.refractory:
                return fired
            if word != candidate.word and distance < self._rival_samples and candidate.score <= fired.score:
                return fired
        return None

    def _fire(self, candidate: _Candidate, step: int) -> Detection:
        start, stop, anchor = self._boundaries(candidate, step)
        self._fired[candidate.word] = _Fired(
            peak=self._sample(candidate.peak_step),
            score=candidate.score,
            begin=start,
            anchor=anchor,
            refractory=self._of[candidate.word].refractory_s * self._card.sample_rate,
        )
        return self._detection(candidate, start, stop, step)

    def _boundaries(self, candidate: _Candidate, step: int) -> tuple[int, int, int]:
        """Start and end of the word in the windows that heard it up to a step, and a sample inside it."""
        window, word = self._card.window_samples, candidate.word
        begin = self._sample(self._evidence_step(word, step))
        anchor = begin + window - round(_ANCHOR_S * self._card.sample_rate)
        if word in self._restarts:
            begin = min(begin, self._restarts[word].word_start)
            anchor = self._restarts[word].word_start + round(_BEGUN_S * self._card.sample_rate)
        found = self._levels.find_word(anchor, begin, self._sample(step) + window)
        if found is None:  # the window that heard it best; an average is half its span late
            start = self._sample(candidate.peak_step - (min(candidate.peak_step + 1, self._span) - 1) // 2)
            return start, start + window, anchor
        return *found, min(max(anchor, found[0]), found[1])

    def _detection(self, candidate: _Candidate, start: int, stop: int, step: int) -> Detection:
        decided = self._sample(step) + self._card.window_samples
        label, rate = self._labels[candidate.word], self._card.sample_rate
        return Detection(label, start / rate, stop / rate, candidate.score, decided / rate)

    def _evidence_step(self, word: int, step: int) -> int:
        """First step of the last stretch in which the raw posterior is at least half the threshold."""
        first = max(0, step - self._evidence_steps + 1)
        if word in self._restarts:
            first = max(first, self._restarts[word].step)
        return self._history.rise(word, first, step, self._threshold[word] / 2)

    def _sample(self, step: int) -> int:
        """First sample of a step's window."""
        return self._first_sample + step * self._card.step_samples
