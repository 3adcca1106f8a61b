"""The first bytes of a stream tell whether it is audio at all, before it is kept on disk."""

from __future__ import annotations

import io

from speechcmd.audio.reading import open_audio
from speechcmd.errors import AudioError

HEAD_BYTES = 2**16
_UNRECOGNISED = 1  # SF_ERR_UNRECOGNISED_FORMAT
_TAG = b"ID3"  # may be longer than the head, and hide what follows


def check_stream_head(head: bytes) -> None:
    """Refuse a stream that no decoder knows by its first bytes (up to `HEAD_BYTES`, or all there are).

    Raises
    ------
    AudioError
        If libsndfile does not recognise the format. What it recognises may still be damaged.
    """
    try:
        with open_audio(io.BytesIO(head)):
            pass
    except AudioError as error:
        if getattr(error.__cause__, "code", None) == _UNRECOGNISED and not head.startswith(_TAG):
            raise
