"""Every clip of a set through the recogniser, as a user's clip goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from speechcmd.arrays import BoolArray, DoubleArray
from speechcmd.audio.resampling import Resampler
from speechcmd.audio.samples import SAMPLE_RATE, Waveform
from speechcmd.errors import AudioError, EvaluationError
from speechcmd.evaluation.clips.labelled_clip import LabelledClip
from speechcmd.progress import Progress
from speechcmd.runtime.recognition.recognizer import ClipResult, Recognizer

Distort = Callable[[Waveform, int], Waveform]


@dataclass(frozen=True)
class Answers:
    """What a model said of each clip."""

    labels: list[str]
    scores: DoubleArray
    """Pooled posterior of the answer. Shape: (n_clips,)."""
    posteriors: DoubleArray
    """Pooled posteriors, columns in the order of the model's labels. Shape: (n_clips, n_labels)."""

    def are_right(self, clips: Sequence[LabelledClip]) -> BoolArray:
        """Whether each answer is the label of its clip. Shape: (n_clips,)."""
        pairs = zip(clips, self.labels, strict=True)
        return np.array([clip.label == answer for clip, answer in pairs], dtype=bool)


def classify_clips(
    recognizer: Recognizer,
    clips: Sequence[LabelledClip],
    *,
    only_labels: Collection[str] | None = None,
    distort: Distort | None = None,
    on_progress: Progress | None = None,
) -> Answers:
    """Classify whole clips, one after the other, by `Recognizer.classify`.

    Parameters
    ----------
    only_labels
        Words that may be the answer (`ClipSet.words`): other words of the model count as `_unknown_`. None
        for all.
    distort
        Changes each clip before it is classified: (waveform, number of the clip) -> waveform.
    on_progress
        Called after each clip with the number of clips done and of all.

    Raises
    ------
    EvaluationError
        If a clip cannot be read or classified; it names the clip.
    """
    results = []
    for index, clip in enumerate(clips):
        results.append(_classify(recognizer, clip, index, only_labels, distort))
        if on_progress is not None:
            on_progress(index + 1, len(clips))
    posteriors = [[result.posteriors.get(label, 0.0) for label in recognizer.labels] for result in results]
    return Answers(
        labels=[result.label for result in results],
        scores=np.array([result.score for result in results], dtype=np.float64),
        posteriors=np.array(posteriors, dtype=np.float64).reshape(len(results), len(recognizer.labels)),
    )


def resample_clip(waveform: Waveform, sample_rate: int) -> Waveform:
    """Bring a whole clip from 16 kHz to the rate of a model. Shape: (n_samples,) -> (n_at_rate,)."""
    return Resampler(SAMPLE_RATE, sample_rate).feed(waveform, last=True)


def _classify(
    recognizer: Recognizer,
    clip: LabelledClip,
    index: int,
    only_labels: Collection[str] | None,
    distort: Distort | None,
) -> ClipResult:
    try:
        waveform = clip.read()
        if distort is not None:
            waveform = distort(waveform, index)
        waveform = resample_clip(waveform, recognizer.card.sample_rate)
        return recognizer.classify(waveform, only_labels=only_labels)
    except AudioError as error:
        raise EvaluationError(
            f"{error.at(clip.path)}; remove or replace this clip, every clip counts"
        ) from error
