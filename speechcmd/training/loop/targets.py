"""How much of a word each answer has in view, and what it shall say then.

An answer whose window holds the whole word says the word; one that holds half of it or less says that it
is no word yet (`_unknown_` or `_silence_`, whichever it likes); what lies between is left open.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WHOLE, HALF = 0.9, 0.5  # of the word: from here on it is seen, up to here it is not
NEARER_FRAMES = 10  # to the middle of the window than its neighbour: a word that is asked for


@dataclass(frozen=True)
class AnswerTargets:
    """Of each answer of each clip whether its clip's label is asked for, or that it is no word yet.

    Both bool, (batch, n_steps), never both true; where neither is the answer does not count.
    """

    label: Tensor
    no_word: Tensor


def make_targets(
    spans: Tensor, is_unknown: Tensor, n_steps: int, step_frames: int, window_frames: int
) -> AnswerTargets:
    """What the answers to a batch see. Noise is noise wherever one looks; speech holds pauses: no words.

    Shape: (batch, 2), (batch,) -> (batch, n_steps) twice.
    """
    share = _seen_share(spans, n_steps, step_frames, window_frames)
    is_recording, is_unknown = share.isnan(), is_unknown.unsqueeze(1)
    is_noise, is_speech = is_recording & ~is_unknown, is_recording & is_unknown
    return AnswerTargets(label=(share >= WHOLE) | is_noise, no_word=(share <= HALF) | is_speech)


def leave_to_neighbours(
    asked: AnswerTargets, spans: Tensor, neighbours: Tensor, step_frames: int, window_frames: int
) -> AnswerTargets:
    """Of two words the one nearer to the middle is asked for; where that is the neighbour nothing counts.

    `neighbours` are spans of other words in the same clips, NaN where there is none.

    Shape: (batch, n_steps) twice, (batch, 2) twice -> (batch, n_steps) twice.
    """
    n_steps = asked.label.shape[1]
    middles = torch.arange(n_steps, device=spans.device) * step_frames + window_frames / 2
    own, other = ((each.mean(dim=1, keepdim=True) - middles).abs() for each in (spans, neighbours))
    is_alone = neighbours[:, :1].isnan()
    share = _seen_share(neighbours, n_steps, step_frames, window_frames)
    return AnswerTargets(
        label=asked.label & (is_alone | (own + NEARER_FRAMES <= other)),
        no_word=asked.no_word & (is_alone | (share <= HALF)),
    )


def _seen_share(spans: Tensor, n_steps: int, step_frames: int, window_frames: int) -> Tensor:
    """How much of each word each answer has in view, NaN without. Shape: (batch, 2) -> (batch, n_steps)."""
    begins = torch.arange(n_steps, device=spans.device) * step_frames
    first, last = spans[:, :1], spans[:, 1:]
    seen = torch.minimum(last, begins + window_frames) - torch.maximum(first, begins)
    return seen.clamp_min(0) / (last - first).clamp_min(1)


def label_targets(labels: Tensor) -> AnswerTargets:
    """One answer a clip, for its label. Shape: (batch,) -> (batch, 1) twice."""
    whole = torch.ones(len(labels), 1, dtype=torch.bool, device=labels.device)
    return AnswerTargets(whole, ~whole)
