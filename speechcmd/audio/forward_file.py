"""A recording that is read from its begin to its end, whatever its header says of its length."""

from __future__ import annotations

import soundfile


class ForwardFile(soundfile.SoundFile):  # type: ignore[misc, unused-ignore]
    """As soundfile's, but it neither cuts a read at the length in the header nor seeks after each one.

    The seek fails where the length is unknown (a flac from a pipe says 0) or more than there is.
    """

    def seekable(self) -> bool:
        """It says no; `seek` still works where the format allows it."""
        return False
