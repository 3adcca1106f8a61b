"""`speechcmd transcribe`: the words in long recordings, with their times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speechcmd.cli.common import load_recognizer, process_recordings, recording_options

if TYPE_CHECKING:
    from speechcmd.audio import AudioSource
    from speechcmd.runtime.transcript import Row


@click.command()
@recording_options
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Score at which a word is heard, for all words.  [default: the model's own]",
)
def transcribe(
    paths: tuple[str, ...],
    model: str | None,
    labels: list[str] | None,
    output_format: str,
    output: Path | None,
    threshold: float | None,
) -> None:
    """List the words in recordings, with their times.

    PATHS are recordings of any length, rate and channel count, folders of them, patterns, or - for
    standard input. They are read in blocks: memory does not grow with their length. Exit status: 0 done,
    1 a recording or the model failed, 2 wrong usage.
    """
    from speechcmd.cli.recording import find_recordings
    from speechcmd.runtime.transcript import DETECTION_FIELDS, Transcript, detection_row

    recognizer = load_recognizer(model, labels)
    recordings = find_recordings(paths)

    def process(path: str, source: AudioSource, on_progress: Callable[[float], None]) -> Iterator[Row]:
        detections = recognizer.transcribe(
            source, only_labels=labels, threshold=threshold, on_progress=on_progress
        )
        n_words = 0
        for detection in detections:
            n_words += 1
            yield detection_row(path, detection)
        if n_words == 0 and output_format == "text":
            click.echo(f"{path}: no word heard", err=True)

    names = [recording.path for recording in recordings]
    transcript = Transcript(output_format, DETECTION_FIELDS, names, recognizer.card.words)
    process_recordings(recordings, transcript, output, process)
