"""Where windows are cut, and where in them the words then lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data_prep.task import Examples, SplitTask
from data_prep.word_window import place_around_word
from speechcmd.arrays import FloatArray, IntArray
from speechcmd.training.augment.draws import draw_share
from speechcmd.training.settings.config import AugmentConfig

# of the window: nearer a word is in view as a rule, farther nothing of it
HALF_SEEN_SHIFT = (0.2, 0.8)


# of a window: what is longer was found with noise around it, or would never be in view; its middle counts
LONGEST = 0.7


def draw_time_shift(
    config: AugmentConfig, n_clips: int, sample_rate: int, rng: np.random.Generator
) -> IntArray:
    """Shift of each window in samples. Shape: (n_clips,)."""
    most = round(config.time_shift_ms * sample_rate / 1000)
    return rng.integers(-most, most + 1, size=n_clips)


def draw_half_seen(config: AugmentConfig, n_clips: int, n_window: int, rng: np.random.Generator) -> IntArray:
    """Shift in samples of the words that come to lie at an edge; 0 for the others. Shape: (n_clips,)."""
    moved = draw_share(config.half_seen_percent, n_clips, rng)
    distance = rng.uniform(*HALF_SEEN_SHIFT, size=n_clips) * n_window
    return np.where(moved, np.rint(distance * rng.choice((-1, 1), size=n_clips)), 0).astype(np.int64)


def place_windows(
    task: SplitTask, indices: IntArray, n_samples: int, shift: IntArray, rng: np.random.Generator
) -> IntArray:
    """First sample of each window: around a word, or anywhere in a recording. Shape: (batch,)."""
    examples = task.examples
    word = examples.speech_start[indices], examples.speech_end[indices], examples.centre[indices]
    starts = place_around_word(*word, n_samples) + shift
    first, end = examples.first[indices], examples.end[indices]
    anywhere = first + np.floor(rng.uniform(size=len(indices)) * np.maximum(1, end - first - n_samples + 1))
    return np.where(examples.is_word[indices], starts, anywhere).astype(np.int64)


def word_spans(
    examples: Examples, indices: IntArray, starts: IntArray, n_window: int, hop_length: int
) -> FloatArray:
    """First and last frame of words in windows of `n_window` samples from `starts` on; NaN for recordings.

    Shape: (batch,) twice -> (batch, 2).
    """
    reach = round(LONGEST / 2 * n_window)
    centre = examples.centre[indices]
    first = np.maximum(examples.speech_start[indices], centre - reach)
    last = np.minimum(examples.speech_end[indices], centre + reach)
    spans: FloatArray = (np.stack([first - starts, last - starts], axis=1) / hop_length).astype(np.float32)
    spans[~examples.is_word[indices]] = np.nan
    return spans


def without_long(spans: Tensor, window_frames: int) -> Tensor:
    """The spans, NaN for those that fill a window: words found with noise around.

    Shape: (batch, 2) -> (batch, 2).
    """
    is_long = spans[:, 1] - spans[:, 0] > LONGEST * window_frames - 2
    return spans.masked_fill(is_long.unsqueeze(1), torch.nan)
