"""Which word each clip of a batch holds."""

from __future__ import annotations

from collections.abc import Sequence

from speechcmd.batch.inputs import Recording, open_recording
from speechcmd.batch.workers import BatchListener
from speechcmd.errors import AudioError
from speechcmd.runtime.output.formats import as_text
from speechcmd.runtime.output.transcript import Transcript, clip_row, error_row
from speechcmd.runtime.recognition.recognizer import Recognizer


def classify_all(
    recordings: Sequence[Recording],
    recognizer: Recognizer,
    labels: Sequence[str] | None,
    transcript: Transcript,
    listener: BatchListener,
) -> None:
    """Classify clips one after the other; a clip that cannot be read is told, and stops nothing."""
    listener.begin(recordings)
    listener.text(as_text(transcript.header()))
    for number, recording in enumerate(recordings):
        try:
            with open_recording(recording) as source:
                row = clip_row(recording.path, recognizer.classify(source, only_labels=labels))
        except AudioError as error:
            listener.text(as_text(transcript.line(error_row(recording.path, str(error)))))
            listener.failed(number, str(error))
        else:
            listener.text(as_text(transcript.line(row)))
            listener.done(number)
