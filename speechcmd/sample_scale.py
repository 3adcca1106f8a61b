"""Float samples lie between -1 and 1; whole numbers that were stored as float do not.

They are refused, not scaled: a quiet begin does not tell the one from the other, and by which number to
divide (32,768 or 2,147,483,648) is known to whoever wrote them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from speechcmd.errors import AudioError

# 24 dB over full scale: more is no sound, and would overflow in a network
LARGEST_SAMPLE = 16.0
_LARGEST_INTEGER = 2.0**31
_LEAST_SHARE = 0.01  # a damaged sample here and there is bounded, not refused


def check_scale(samples: npt.NDArray[np.floating], name: str) -> None:
    """Refuse a block of whole numbers of 16 to 32 bits. Shape: any.

    Raises
    ------
    AudioError
        If one sample of a hundred lies beyond `LARGEST_SAMPLE` and within what 32 bits hold.
    """
    size = np.abs(samples)
    beyond = (size > LARGEST_SAMPLE) & (size <= _LARGEST_INTEGER)
    if np.count_nonzero(beyond) < max(1.0, _LEAST_SHARE * samples.size):
        return
    largest = float(size[beyond].max())
    raise AudioError(
        f"{name}: expected float samples from -1 to 1, got up to {largest:,.0f}: whole numbers; "
        "divide them by 32768 (16 bits) or 2147483648 (32 bits), or write them as integers"
    )
