"""What commands that measure on recordings share: what to measure on, and running the network over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from speechcmd.evaluation.streams.heard import HeardSet
    from speechcmd.evaluation.streams.outcome import Outcome
    from speechcmd.evaluation.streams.recording_set import RecordingSet
    from speechcmd.runtime.model.card import DecoderSettings
    from speechcmd.runtime.recognition.recognizer import Recognizer

_Command = TypeVar("_Command", bound=Callable[..., Any])

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=min(os.cpu_count() or 1, 8),
    show_default="all cores, at most 8",
    help="Processes that try thresholds.",
)


def say_what_is_measured(recordings: RecordingSet, role: str) -> None:
    """Report on standard error what was taken and what was left out."""
    n_labelled = sum(one.annotation is not None for one in recordings.recordings)
    parts = [f"{len(recordings.recordings)} recordings, {n_labelled} with labels"]
    if recordings.n_transcripts:
        parts.append(f"{recordings.n_transcripts} with transcripts")
    if recordings.n_other_role:
        parts.append(f"{recordings.n_other_role} left out (not of role {role})")
    click.echo("speechcmd: " + ", ".join(parts), err=True)


def hear_recordings(recognizer: Recognizer, recordings: RecordingSet) -> HeardSet:
    """Run the network over all recordings, with a progress bar."""
    from speechcmd.audio.reading import claimed_duration_s
    from speechcmd.cli.console.progress import AudioProgress
    from speechcmd.evaluation.streams.heard import listen_to

    lengths_s = [claimed_duration_s(one.path) for one in recordings.recordings]
    total_s = None if None in lengths_s else sum(length_s or 0.0 for length_s in lengths_s)
    with AudioProgress(total_s) as progress:
        return listen_to(recognizer, recordings.recordings, progress.advance)


def score_settings(audio: HeardSet, settings: Sequence[DecoderSettings], jobs: int) -> list[Outcome]:
    """Try settings on the audio, with a progress bar."""
    from speechcmd.cli.console.progress import StepProgress
    from speechcmd.evaluation.streams.sweep import score_all

    with StepProgress("thresholds") as progress:
        return score_all(
            audio,
            settings,
            n_processes=jobs,
            on_progress=lambda done: progress.update(done, len(settings)),
        )
