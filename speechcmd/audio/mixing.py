"""Several channels become one, also where they would cancel each other out.

A cable or a converter may turn the sign of one channel; the mean of the two is then silence.
"""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import FloatArray

# the mean of -32768 and 32767: the largest int16 has no opposite
_ROUNDING = np.float32(0.51 / 32_768)


def mix_to_mono(block: FloatArray) -> FloatArray:
    """Average the channels. Shape: (n_samples,) or (n_samples, n_channels) -> (n_samples,)."""
    if block.ndim == 1:
        return block
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


class Mixer:
    """Mixes one recording block by block; any division into blocks gives the same.

    As long as the mix has been nothing since the begin, the first channel is taken: where that is nothing,
    it makes no difference; once the mix is something, the mean is taken to the end.
    """

    def __init__(self) -> None:
        self._is_nothing = True
        self._has_sound = False

    @property
    def took_one_channel(self) -> bool:
        """Whether the channels have cancelled each other out so far, though there is sound in them."""
        return self._is_nothing and self._has_sound

    def feed(self, block: FloatArray) -> FloatArray:
        """Mix a block. Shape: (n_samples,) or (n_samples, n_channels) -> (n_samples,)."""
        mixed = mix_to_mono(block)
        if block.ndim == 1 or block.shape[1] == 1 or not self._is_nothing:
            return mixed
        is_something = np.abs(mixed) > _ROUNDING
        n_nothing = int(is_something.argmax()) if is_something.any() else len(mixed)
        self._is_nothing = n_nothing == len(mixed)
        first = block[:n_nothing, 0]
        self._has_sound |= bool((np.abs(first) > _ROUNDING).any())
        mixed[:n_nothing] = first
        return mixed
