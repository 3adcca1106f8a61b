"""How many words a network finds at a given rate of false accepts: by what epochs can be chosen.

A quick stand-in for `speechcmd evaluate-stream`, on validation audio: words over noise against all running
speech and other words over noise, one threshold for all words, no decoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_prep.row_source import AnyStore
from data_prep.task import SplitTask
from models.network import KeywordNetwork
from speechcmd.arrays import DoubleArray, FloatArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.progress import Progress
from speechcmd.training.batch import Batch, answer_batches
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.mining.speech_scan import SMOOTHED_STEPS, scan_speech, smoothed_scores
from speechcmd.training.settings.config import AugmentConfig

# the mean over several: at one alone, luck with a few recordings would choose
FALSE_ACCEPTS_PER_HOUR = (1.0, 2.0, 5.0, 10.0)
# said alone, to each hour of speech: a network that need not reject them comes to take them for commands
OTHER_WORDS_PER_HOUR = 400
HEARD_STEPS = SMOOTHED_STEPS + 7  # answers that a word may be found in
SNR_DB = (0.0, 20.0)  # of a word in one second, whatever window hears it
_NOTHING = np.zeros(0, np.float32)
_ROUNDING = 1e-6
_MOST_OTHERS = 2_000


def noise_under_words(n_samples: int) -> AugmentConfig:
    """Noise as loud under a word in a window of any number of samples, so that recalls can be compared.

    A ratio is that of mean powers over the window; a longer one holds no more of the word.
    """
    longer_db = 10 * math.log10(n_samples / SAMPLE_RATE)
    lowest_db, highest_db = SNR_DB
    ratios_db = (lowest_db - longer_db, highest_db - longer_db)
    return replace(AugmentConfig.off(), noise_percent=100.0, noise_snr_db=ratios_db)


class HeardClips(NamedTuple):
    """Batches of words and of other words (there may be none), in windows of `HEARD_STEPS` answers."""

    words: Iterable[Batch]
    others: Iterable[Batch]


def load_heard_clips(data: TrainingData, network: KeywordNetwork) -> HeardClips:
    """Those of the validation split; of other words at most `_MOST_OTHERS`, evenly from all."""
    n_samples = network.window_samples + (HEARD_STEPS - 1) * network.step_samples
    augment, unknown = noise_under_words(n_samples), data.validation.unknown
    n_taken = min(_MOST_OTHERS, len(unknown))
    taken = unknown[np.arange(n_taken) * len(unknown) // max(1, n_taken)]
    return HeardClips(
        data.load_validation(data.validation.words, n_samples, augment),
        data.load_validation(taken, n_samples, augment),
    )


def measure_stream_recall(
    network: KeywordNetwork,
    stores: Sequence[AnyStore],
    task: SplitTask,
    clips: HeardClips,
    device: torch.device,
    on_scan: Progress | None = None,
) -> float:
    """Words found, in percent, where in an hour of running speech, with `OTHER_WORDS_PER_HOUR` others, a word
    is heard `FALSE_ACCEPTS_PER_HOUR` times: the mean over these rates.

    `on_scan(done, total)` counts batches of speech.
    """
    in_speech = scan_speech(network, stores, task, device, on_scan).score
    best_in_others = [best.amax(dim=1).numpy() for best, _ in _heard(network, clips.others, device)]
    in_others = np.concatenate([_NOTHING, *best_in_others])
    examples = task.examples
    hours = float((examples.end - examples.first)[task.speech].sum()) / SAMPLE_RATE / 3600
    negatives = np.concatenate([in_speech, in_others])
    counts = np.ones(len(negatives))
    counts[len(in_speech) :] = OTHER_WORDS_PER_HOUR * hours / max(1, len(in_others))
    thresholds = [threshold_at(negatives, counts, rate * hours) for rate in FALSE_ACCEPTS_PER_HOUR]
    scores = [
        best.gather(1, labels.cpu().unsqueeze(1)).squeeze(1).numpy()
        for best, labels in _heard(network, clips.words, device)
    ]
    return 100 * float(np.mean([np.concatenate(scores) > threshold for threshold in thresholds]))


def threshold_at(scores: FloatArray, counts: DoubleArray, allowed: float) -> float:
    """The least threshold over which the scores count for no more than allowed; 0 if all do.

    Shape: (n,) twice; a score counts as often as its count says.
    """
    order = np.argsort(-scores, kind="stable")
    falling, total = scores[order], np.cumsum(counts[order])
    first_over = int(np.searchsorted(total, allowed + _ROUNDING, side="right"))
    return float(falling[first_over]) if first_over < len(falling) else 0.0


@torch.inference_mode()
def _heard(
    network: KeywordNetwork, batches: Iterable[Batch], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """The best score that each word has in each clip, (batch, n_words), and the labels."""
    for logits, labels in answer_batches(network, batches, device):
        yield smoothed_scores(logits).amax(dim=1).cpu(), labels
