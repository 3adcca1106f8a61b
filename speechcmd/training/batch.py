"""A batch of clips on its way from the data to a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from models.network import KeywordNetwork
from speechcmd.arrays import BoolArray


class Batch(NamedTuple):
    """Clips of audio stores, then those of feature stores, on one device.

    `waveform` float32 (n_audio, n_samples), `log_mel` float32 (n_features, n_frames, n_mels), either of
    them may be empty; `labels` int64 (batch,); `is_image`, whether a clip is an image already, and
    `is_mined`, whether it is a window of speech that was mined, in memory; `spans` float32 (batch, 2), the
    frames where the word begins and ends (of what was mined: its window), NaN for recordings.
    """

    waveform: Tensor
    log_mel: Tensor
    labels: Tensor
    is_image: BoolArray
    is_mined: BoolArray
    spans: Tensor
    epoch: int
    number: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._replace(
            waveform=self.waveform.to(device),
            log_mel=self.log_mel.to(device),
            labels=self.labels.to(device),
            spans=self.spans.to(device),
        )


def log_mel_of(network: KeywordNetwork, batch: Batch) -> Tensor:
    """Log-mel of a whole batch: computed from its audio, given for the rest.

    Shape: (batch, n_frames, n_mels).
    """
    if len(batch.waveform) == 0:
        return batch.log_mel
    computed = network.features(batch.waveform)
    return computed if len(batch.log_mel) == 0 else torch.cat([computed, batch.log_mel])


def answer_batches(
    network: KeywordNetwork, batches: Iterable[Batch], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (batch, n_steps, n_labels) and labels (batch,) of each batch of a fixed set."""
    for given in batches:
        batch = given.to(device)
        yield network.classify(log_mel_of(network, batch)), batch.labels
