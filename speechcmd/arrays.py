"""Types of arrays by what their numbers are. Shapes stand in the docstrings of those who take them.

A waveform has a name of its own: `speechcmd.audio.samples.Waveform`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
"""Features, levels, logits, posteriors."""
DoubleArray = npt.NDArray[np.float64]
"""Sums and statistics."""
HalfArray = npt.NDArray[np.float16]
AnyFloatArray = npt.NDArray[np.floating]

IntArray = npt.NDArray[np.int64]
"""Indices, positions, counts."""
Int16Array = npt.NDArray[np.int16]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.str_]
AnyArray = npt.NDArray[Any]
