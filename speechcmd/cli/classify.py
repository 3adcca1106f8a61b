"""`speechcmd classify`: one answer for each clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speechcmd.cli.common import load_recognizer, process_recordings, recording_options

if TYPE_CHECKING:
    from speechcmd.audio import AudioSource
    from speechcmd.runtime.transcript import Row


@click.command()
@recording_options(
    "text",
    "jsonl",
    "csv",
    output_type=click.Path(dir_okay=False, path_type=Path),
    output_help="Write the results to this file.",
)
def classify(
    paths: tuple[str, ...],
    model: str | None,
    labels: list[str] | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Say which word each clip holds.

    PATHS are recordings of any length, rate and channel count, folders of them, patterns, or - for
    standard input. Words left out by --labels count as _unknown_. Exit status: 0 done, 1 a clip or
    the model failed, 2 wrong usage.
    """
    from speechcmd.cli.recording import find_recordings
    from speechcmd.runtime.transcript import CLIP_FIELDS, Transcript, clip_row

    recognizer = load_recognizer(model, labels)
    recordings = find_recordings(paths)

    def process(path: str, source: AudioSource) -> Iterator[Row]:
        yield clip_row(path, recognizer.classify(source, only_labels=labels))

    names = [recording.path for recording in recordings]
    transcript = Transcript(output_format, CLIP_FIELDS, names, recognizer.labels)
    process_recordings(recordings, transcript, output, process)
