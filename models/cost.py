"""What a network costs: multiply-accumulates of one window, and of a second of a long recording."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from models.network import KeywordNetwork


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates (MACs) of convolutions, dense and recurrent layers, as papers count them.

    `window` is one answer on one window; `second` is what one more second of a long recording adds:
    a sliding network shares between windows what they have in common, a windowed one runs most of it
    for each. The front end is the same for all networks and stands apart. Multiplications by padding
    count; normalisation, activations and means do not.
    """

    window: int
    second: int
    front_end_window: int
    front_end_second: int


def count_multiplies(network: KeywordNetwork) -> Cost:
    """Count the multiply-accumulates of `network`, which is left as it is."""
    probe = copy.deepcopy(network).cpu().eval()
    config = probe.frontend.config

    def count(n_frames: int) -> tuple[int, int]:
        log_mel = torch.zeros(1, n_frames, config.n_mels)
        waveform = torch.zeros(1, config.n_samples(n_frames))
        return _count(probe.classify, log_mel), _count(probe.features, waveform)

    with _one_thread():
        window, front_end_window = count(probe.window_frames)
        longer, front_end_longer = count(probe.window_frames + probe.step_frames)
    steps_per_s = config.sample_rate / probe.step_samples
    return Cost(
        window=window,
        second=round((longer - window) * steps_per_s),
        front_end_window=front_end_window,
        front_end_second=round((front_end_longer - front_end_window) * steps_per_s),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads would only wait for each other over tensors this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _count(function: Callable[[Tensor], Tensor], values: Tensor) -> int:
    # by operator, not by module: a network may call functions. All operators of the architectures are
    # known to the counter but for a direction of an LSTM, which a processor runs as one
    own = {torch.ops.aten.mkldnn_rnn_layer: _count_lstm}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=own) as counter:
        function(values)
    operations: int = counter.get_total_flops()
    return operations // 2  # a multiplication and an addition each


def _count_lstm(
    values: Sequence[int], from_input: Sequence[int], from_state: Sequence[int], *_: Any, **__: Any
) -> int:
    """Operations of one direction. Shapes: (n_steps, batch, n_in) and those of its two matrices."""
    return 2 * values[0] * values[1] * (math.prod(from_input) + math.prod(from_state))
