"""How many words a network finds at a given rate of false accepts: by what epochs can be chosen.

A quick stand-in for `speechcmd evaluate-stream`, on validation audio: words over noise against all running
speech, one threshold for all words, no decoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader

from data_prep.row_source import AnyStore
from data_prep.task import SplitTask
from models.network import KeywordNetwork
from speechcmd.arrays import FloatArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.progress import Progress
from speechcmd.training.batch import Batch, answer_batches
from speechcmd.training.data.training_data import TrainingData
from speechcmd.training.mining.speech_scan import SMOOTHED_STEPS, scan_speech, smoothed_scores
from speechcmd.training.settings.config import AugmentConfig

# the mean over several: at one alone, luck with a few recordings would choose
FALSE_ACCEPTS_PER_HOUR = (1.0, 2.0, 5.0, 10.0)
HEARD_STEPS = SMOOTHED_STEPS + 7  # answers that a word may be found in
SNR_DB = (0.0, 20.0)  # of a word in one second, whatever window hears it


def noise_under_words(n_samples: int) -> AugmentConfig:
    """Noise as loud under a word in a window of any number of samples, so that recalls can be compared.

    A ratio is that of mean powers over the window; a longer one holds no more of the word.
    """
    longer_db = 10 * math.log10(n_samples / SAMPLE_RATE)
    lowest_db, highest_db = SNR_DB
    ratios_db = (lowest_db - longer_db, highest_db - longer_db)
    return replace(AugmentConfig.off(), noise_percent=100.0, noise_snr_db=ratios_db)


def load_heard_words(data: TrainingData, network: KeywordNetwork) -> DataLoader[Batch]:
    """Validation words over noise, in windows of `HEARD_STEPS` answers."""
    n_samples = network.window_samples + (HEARD_STEPS - 1) * network.step_samples
    return data.load_validation(data.validation.words, n_samples, noise_under_words(n_samples))


def measure_stream_recall(
    network: KeywordNetwork,
    stores: Sequence[AnyStore],
    task: SplitTask,
    words: Iterable[Batch],
    device: torch.device,
    on_scan: Progress | None = None,
) -> float:
    """Words found, in percent, where a word is heard in running speech `FALSE_ACCEPTS_PER_HOUR` times: the
    mean over these rates.

    `words` are batches of words in windows of `HEARD_STEPS` answers; `on_scan(done, total)` counts batches of
    speech.
    """
    negatives = scan_speech(network, stores, task, device, on_scan).score
    examples = task.examples
    hours = float((examples.end - examples.first)[task.speech].sum()) / SAMPLE_RATE / 3600
    thresholds = [threshold_at(negatives, round(rate * hours)) for rate in FALSE_ACCEPTS_PER_HOUR]
    scores = _word_scores(network, words, device)
    return 100 * float(np.mean([scores > threshold for threshold in thresholds]))


def threshold_at(scores: FloatArray, n_allowed: int) -> float:
    """The least threshold that at most `n_allowed` of the scores lie over; 0 if there are no more."""
    if n_allowed >= len(scores):
        return 0.0
    return float(np.partition(scores, -n_allowed - 1)[-n_allowed - 1])


@torch.inference_mode()
def _word_scores(network: KeywordNetwork, words: Iterable[Batch], device: torch.device) -> FloatArray:
    scores = []
    for logits, labels in answer_batches(network, words, device):
        best = smoothed_scores(logits).amax(dim=1)
        scores.append(best.gather(1, labels.unsqueeze(1)).squeeze(1).cpu().numpy())
    return np.concatenate(scores)
