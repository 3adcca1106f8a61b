"""A run over clips: what it measures, and the mistakes to listen to."""

from __future__ import annotations

import os
from collections.abc import Sequence

from speechcmd.evaluation.clips.answers import Answers, resample_clip
from speechcmd.evaluation.clips.clip_result import ClipMistake, ClipsResult, MeasuredClips
from speechcmd.evaluation.clips.groups import Metadata, measure_groups
from speechcmd.evaluation.clips.labelled_clip import ClipSet
from speechcmd.evaluation.clips.metrics import measure_clips, worst_mistakes
from speechcmd.evaluation.mistakes import Sound
from speechcmd.evaluation.provenance import describe_run
from speechcmd.runtime.recognition.recognizer import Recognizer

MOST_SOUNDS = 12
SOUNDS_OF_A_PAIR = 2


def describe_source(clip_set: ClipSet) -> MeasuredClips:
    """A set of clips as results name it."""
    return MeasuredClips(
        path=clip_set.name,
        task=clip_set.task,
        split=clip_set.split,
        n_clips=len(clip_set.clips),
        draw=clip_set.draw,
        voices=clip_set.voices,
    )


def make_clip_result(
    recognizer: Recognizer,
    model: str | os.PathLike[str] | None,
    clip_set: ClipSet,
    answers: Answers,
    metadata: Metadata | None = None,
    command: Sequence[str] | None = None,
) -> ClipsResult:
    """Everything that is measured on clips.

    Raises
    ------
    EvaluationError
        If the metadata belong to none of the clips.
    """
    groups = measure_groups(clip_set.clips, answers, clip_set.labels, metadata) if metadata else ()
    return ClipsResult(
        **vars(describe_run(recognizer.card, model, command)),
        **vars(measure_clips(clip_set.clips, answers, clip_set.labels)),
        source=describe_source(clip_set),
        groups=groups,
    )


def pick_sounds(recognizer: Recognizer, clip_set: ClipSet, answers: Answers) -> list[Sound]:
    """The mistakes that the model was surest of, not more than two of one pair of labels."""
    rate = recognizer.card.sample_rate
    sounds = []
    for index in worst_mistakes(clip_set.clips, answers, MOST_SOUNDS, SOUNDS_OF_A_PAIR):
        clip, answer = clip_set.clips[index], answers.labels[index]
        waveform = resample_clip(clip.read(), rate)
        if len(waveform) == 0:  # nothing to hear
            continue
        mistake = ClipMistake(
            title=f"{clip.label} heard as {answer}",
            truth=clip.label,
            answer=answer,
            score=float(answers.scores[index]),
            path=clip.path,
        )
        sounds.append(Sound(mistake, waveform, rate, answer))
    return sounds
