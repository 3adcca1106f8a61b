"""Counter-based randomness: what a batch draws depends on (seed, epoch, batch, purpose) alone.

So the number of workers, a resumed run and the order of calls change nothing.
"""

from __future__ import annotations

import numpy as np

# new ones go to the end: a place in this list is part of what a seed means
PURPOSES = (
    "epoch", "augment", "noise", "spec_augment", "padding", "dropout", "speed", "room", "image", "mixup",
    "share", "frame_padding", "frame_noise", "frame_speed", "frame_room",
    "half_seen", "hard", "warp", "neighbour", "tilt", "narrow",
)  # fmt: skip


def generator_for(purpose: str, seed: int, epoch: int, batch: int = 0) -> np.random.Generator:
    """A numpy generator for one purpose of one batch."""
    counter = [0, batch, epoch, PURPOSES.index(purpose)]
    return np.random.Generator(np.random.Philox(key=seed, counter=counter))


def torch_seed_for(purpose: str, seed: int, epoch: int, batch: int = 0) -> int:
    """A seed for torch's own generators, of any device."""
    return int(generator_for(purpose, seed, epoch, batch).integers(2**62))
