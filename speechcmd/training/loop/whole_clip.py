"""Validation clips as a user feeds them: whole, with the quiet round the word, pooled as `classify` does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from models.network import KeywordNetwork
from speechcmd.arrays import IntArray
from speechcmd.runtime.recognition.pooling import PoolingSpans, pool_posteriors
from speechcmd.training.batch import Batch, log_mel_of
from speechcmd.training.data.training_data import TrainingData

HEARD_S = 2.5  # of which the word is the middle: what the clip does not fill is noise at its floor
MOST_CLIPS = 200  # as many networks run each window on its own
BATCH_SIZE = 8
_LEAST_SHARE = 1e-2
_DB_PER_NEPER = 10 / np.log(10)


@dataclass(frozen=True)
class WholeClips:
    """What a network answers to whole clips: mean logarithmic loss of the scores, accuracy in percent."""

    loss: float
    accuracy: float


def load_whole_clips(data: TrainingData, network: KeywordNetwork) -> tuple[DataLoader[Batch], int]:
    """Some of the validation clips of words and other words, and how many."""
    chosen = choose_whole(data.validation_clips[data.validation.examples.is_word[data.validation_clips]])
    return data.load_validation(chosen, heard_samples(network), batch_size=BATCH_SIZE), len(chosen)


def choose_whole(words_and_others: IntArray) -> IntArray:
    """At most `MOST_CLIPS` of a fixed set, evenly taken."""
    n_taken = min(MOST_CLIPS, len(words_and_others))
    return words_and_others[np.arange(n_taken) * len(words_and_others) // max(1, n_taken)]


def heard_samples(network: KeywordNetwork) -> int:
    """Length of what is heard of a clip: whole steps, about `HEARD_S` and never less than one window."""
    n_steps = max(1, round(HEARD_S * network.frontend.config.sample_rate / network.step_samples))
    return network.window_samples + (n_steps - 1) * network.step_samples


@torch.no_grad()
def answer_whole_clips(
    network: KeywordNetwork, batches: Iterable[Batch], labels: tuple[str, ...], device: torch.device
) -> WholeClips:
    """Answer clips of `heard_samples` as `Recognizer.classify` would."""
    frontend = network.frontend.config
    spans = PoolingSpans.of_model(
        network.window_samples, network.step_samples, frontend.hop_length, frontend.sample_rate
    )
    network.eval()
    loss_sum, n_right, n_clips = 0.0, 0, 0
    for batch in batches:
        log_mel = log_mel_of(network, batch.to(device)).float()
        posteriors = network.classify(log_mel).float().softmax(dim=2).cpu().numpy()
        for one, level, truth in zip(posteriors, _levels_of(log_mel), batch.labels.tolist(), strict=True):
            scores = pool_posteriors(one, level.numpy(), labels, spans)
            n_right += int(scores.argmax() == truth)
            loss_sum -= float(np.log(max(scores[truth], _LEAST_SHARE) / max(scores.sum(), _LEAST_SHARE)))
            n_clips += 1
    return WholeClips(loss_sum / max(1, n_clips), 100 * n_right / max(1, n_clips))


def _levels_of(log_mel: Tensor) -> Tensor:
    """Level of each frame in dB, but for a constant.

    Shape: (batch, n_frames, n_mels) -> (batch, n_frames).
    """
    levels: Tensor = log_mel.logsumexp(dim=2) * _DB_PER_NEPER
    return levels.cpu()
