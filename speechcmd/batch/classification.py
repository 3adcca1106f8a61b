"""Which word each clip of a batch holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechcmd.batch.inputs import Recording, open_recording
from speechcmd.errors import AudioError
from speechcmd.runtime.output.formats import as_text
from speechcmd.runtime.output.lines import LineFormatter, clip_fields, error_fields
from speechcmd.runtime.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    from speechcmd.batch.workers import (
        BatchListener,
    )


def classify_all(
    recordings: Sequence[Recording],
    recognizer: Recognizer,
    labels: Sequence[str] | None,
    lines: LineFormatter,
    listener: BatchListener,
) -> None:
    """Classify clips one after the other; a clip that cannot be read is reported, and stops nothing."""
    listener.begin(recordings)
    listener.text(as_text(lines.header()))
    for number, recording in enumerate(recordings):
        try:
            with open_recording(recording) as source:
                row = clip_fields(recording.path, recognizer.classify(source, only_labels=labels))
        except AudioError as error:
            listener.text(as_text(lines.line(error_fields(recording.path, str(error)))))
            listener.failed(number, str(error))
        else:
            listener.text(as_text(lines.line(row)))
            listener.done(number)
