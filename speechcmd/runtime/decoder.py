"""From posteriors to detections.

Pure: no audio, no network, no wall clock; the only time is the number of steps that came in. So any
division of the posteriors into calls gives the same detections.

Each label's posterior is averaged over the last steps. A label becomes a candidate when its average
reaches the threshold, and the candidate is decided when the average no longer rises (or falls below the
release level, or half a window has passed). After that the label stays shut until its average was below
the release level. Of two labels whose peaks lie within half a window the stronger fires; a weaker one
that was decided before the stronger began cannot be taken back.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from speechcmd.errors import ModelError
from speechcmd.runtime.model_card import ModelCard

Posteriors = npt.NDArray[np.float32]

_RISE = 0.01  # smaller growth of the average does not keep a candidate waiting
_SETTLED_STEPS = 2  # steps without such growth after which the peak counts as reached


@dataclass(frozen=True, slots=True)
class Detection:
    """One spoken word."""

    label: str
    start_s: float
    """Beginning of the model window that heard it best."""
    end_s: float
    """End of that window."""
    score: float
    """Highest smoothed posterior."""
    decided_s: float
    """Position in the recording at which the decision fell: all audio up to here was used, none after."""


@dataclass(slots=True)
class _Candidate:
    """A label at or above its threshold, not decided yet."""

    word: int
    first_step: int
    peak_step: int
    score: float
    risen_to: float
    risen_step: int
    n_above: int = 1
    is_ripe: bool = False

    def see(self, step: int, value: float, is_above: bool) -> None:
        self.n_above += is_above
        if value > self.score:
            self.score, self.peak_step = value, step
        if value > self.risen_to + _RISE:
            self.risen_to, self.risen_step = value, step


class Decoder:
    """Turn posteriors into detections, in pieces of any size.

    Parameters
    ----------
    card
        Labels, window, step and decoder settings of the model.
    only_labels
        Labels that may fire; None for all words. `_silence_` and `_unknown_` never fire.
    threshold
        One threshold for all labels instead of the card's.
    first_sample
        Position of the first step's window in the recording; negative if noise was put before it.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        only_labels: Collection[str] | None = None,
        threshold: float | None = None,
        first_sample: int = 0,
    ) -> None:
        self._card = card
        self._first_sample = first_sample
        words = [word for word in card.words if only_labels is None or word in only_labels]
        settings = card.decoder
        levels = [settings.threshold(word) if threshold is None else threshold for word in words]
        self._labels = words
        self._columns = [card.labels.index(word) for word in words]
        self._thresholds = levels
        self._releases = [level * settings.release_ratio for level in levels]
        self._refractory_steps = settings.refractory_s / card.step_s
        self._rival_steps = card.window_samples / 2 / card.step_samples
        self._hold_steps = math.ceil(self._rival_steps)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next posteriors begin a new recording."""
        self._step = 0
        self._history = np.zeros((self._card.decoder.smoothing_steps - 1, len(self._labels)))
        self._candidates: dict[int, _Candidate] = {}
        self._shut: set[int] = set()
        self._fired: dict[int, tuple[int, float]] = {}

    def feed(self, posteriors: Posteriors) -> list[Detection]:
        """Return what is decided by these posteriors. Shape: (n_steps, n_labels), n_steps may be 0.

        Raises
        ------
        ModelError
            If the posteriors do not belong to the card's labels.
        """
        if posteriors.ndim != 2 or posteriors.shape[1] != len(self._card.labels):
            raise ModelError(
                f"expected posteriors of shape (n_steps, {len(self._card.labels)}), got {posteriors.shape}"
            )
        smoothed = self._smooth(posteriors[:, self._columns].astype(np.float64))
        crossings = np.flatnonzero((smoothed >= np.asarray(self._thresholds)).any(axis=1))
        detections: list[Detection] = []
        row = 0
        while row < len(smoothed):
            if not self._candidates and not self._shut:  # nothing is going on: jump to where something does
                next_crossing = np.searchsorted(crossings, row)
                if next_crossing == len(crossings):
                    break
                row = int(crossings[next_crossing])
            detections += self._advance(self._step + row, smoothed[row].tolist())
            row += 1
        self._step += len(smoothed)
        return detections

    def flush(self) -> list[Detection]:
        """Decide what is still open at the end of the recording; afterwards the decoder is as new."""
        last_step = self._step - 1
        for word, candidate in list(self._candidates.items()):
            candidate.is_ripe = candidate.n_above >= self._card.decoder.min_steps
            if not candidate.is_ripe:
                del self._candidates[word]
        detections = self._decide(last_step, [0.0] * len(self._labels))
        self.reset()
        return detections

    def _smooth(self, posteriors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Average each label over the last steps, over fewer at the start. Shape: (n_steps, n_words) -> same.

        Slices are added in one fixed order, so that the result does not depend on the division into calls.
        """
        n_steps, span = len(posteriors), self._card.decoder.smoothing_steps
        joined = np.concatenate([self._history, posteriors])
        total = np.zeros_like(posteriors)
        for shift in range(span):
            total += joined[shift : shift + n_steps]
        self._history = joined[len(joined) - (span - 1) :].copy()
        counts = np.minimum(np.arange(self._step + 1, self._step + n_steps + 1), span)
        return total / counts[:, None]

    def _advance(self, step: int, row: list[float]) -> list[Detection]:
        for word, value in enumerate(row):
            if word in self._shut:
                if value >= self._releases[word]:
                    continue
                self._shut.remove(word)
            self._follow(word, step, value)
        return self._decide(step, row)

    def _follow(self, word: int, step: int, value: float) -> None:
        """Open, update, ripen or drop the candidate of one label."""
        is_above = value >= self._thresholds[word]
        candidate = self._candidates.get(word)
        if candidate is None:
            if not is_above:
                return
            candidate = _Candidate(word, step, step, value, value, step)
            self._candidates[word] = candidate
        elif candidate.is_ripe:
            return
        else:
            candidate.see(step, value, is_above)
        has_ended = value < self._releases[word]
        has_settled = step - candidate.risen_step >= _SETTLED_STEPS
        is_late = step - candidate.first_step >= self._hold_steps
        if candidate.n_above >= self._card.decoder.min_steps and (has_ended or has_settled or is_late):
            candidate.is_ripe = True
        elif has_ended:
            del self._candidates[word]

    def _decide(self, step: int, row: list[float]) -> list[Detection]:
        """Settle the ripe candidates, the strongest first; they wait while a stronger rival still rises."""
        detections: list[Detection] = []
        ripe = [candidate for candidate in self._candidates.values() if candidate.is_ripe]
        for candidate in sorted(ripe, key=lambda one: (-one.score, one.word)):
            if self._has_rising_rival(candidate):
                continue
            del self._candidates[candidate.word]
            if row[candidate.word] >= self._releases[candidate.word]:
                self._shut.add(candidate.word)
            if not self._is_echo(candidate):
                self._fired[candidate.word] = (candidate.peak_step, candidate.score)
                detections.append(self._detection(candidate, step))
        return detections

    def _has_rising_rival(self, candidate: _Candidate) -> bool:
        return any(
            not rival.is_ripe
            and rival.score > candidate.score
            and abs(rival.peak_step - candidate.peak_step) < self._rival_steps
            for rival in self._candidates.values()
        )

    def _is_echo(self, candidate: _Candidate) -> bool:
        """True if a detection already given covers this candidate."""
        for word, (peak_step, score) in self._fired.items():
            distance = abs(candidate.peak_step - peak_step)
            if word == candidate.word and distance < self._refractory_steps:
                return True
            if word != candidate.word and distance < self._rival_steps and candidate.score <= score:
                return True
        return False

    def _detection(self, candidate: _Candidate, step: int) -> Detection:
        """The peak of the average lies half its span later than the windows that made it."""
        span = min(candidate.peak_step + 1, self._card.decoder.smoothing_steps)
        middle_step = candidate.peak_step - (span - 1) // 2
        return Detection(
            label=self._labels[candidate.word],
            start_s=self._window_start_s(middle_step),
            end_s=self._window_start_s(middle_step) + self._card.window_s,
            score=candidate.score,
            decided_s=self._window_start_s(step) + self._card.window_s,
        )

    def _window_start_s(self, step: int) -> float:
        return (self._first_sample + step * self._card.step_samples) / self._card.sample_rate
