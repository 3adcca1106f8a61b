"""A network that is run every few hundredths of a second, each time on the new audio alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from speechcmd.arrays import AnyArray, FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.carried_frames import CannotCarryError, Carried, carry_frames
from speechcmd.runtime.model.model_file import check_signals
from speechcmd.runtime.model.session import Session
from speechcmd.typed import as_type

LARGEST_DIFFERENCE = 1e-5  # of logits, to those of whole windows


class _FrontEnd(Struct):
    """What the card's `training`, which may hold anything, says of the front end."""

    win_length: int
    hop_length: int


@dataclass(frozen=True, slots=True)
class IncrementalNetwork:
    """A network that goes on where its last run ended; any number of recordings share it."""

    session: Session
    """The rewritten network."""
    carried: tuple[Carried, ...]
    """The values that go from run to run."""
    card: ModelCard
    overlap_samples: int
    """Samples before the new ones that the first new frame covers."""

    def begin(self) -> IncrementalRun:
        """A new recording."""
        return IncrementalRun(self)


class IncrementalRun:
    """Logits of one recording, span by span."""

    def __init__(self, network: IncrementalNetwork) -> None:
        self._network = network
        self._values: dict[str, AnyArray] = {each.before: each.none_yet() for each in network.carried}
        self._has_begun = False

    def __call__(self, span: Waveform) -> FloatArray:
        """Compute the steps of a span whose first step is the one after the last of the span before.

        Shape: (n_samples,) -> (n_steps, n_labels).

        Raises
        ------
        ModelError
            If the network fails.
        """
        network = self._network
        window, step = network.card.window_samples, network.card.step_samples
        n_steps = (len(span) - window) // step + 1
        end = window + (n_steps - 1) * step
        begin = end - n_steps * step - network.overlap_samples if self._has_begun else 0
        logits, values = network.session.run_on(span[None, begin:end], self._values)
        self._values = values
        self._has_begun = True
        result: FloatArray = logits[0]
        return result


def open_incremental(model_bytes: bytes, card: ModelCard, session: Session) -> IncrementalNetwork | None:
    """Open the network of a checked model file in this form, or None if it has none.

    It has one if all layers after the front end are known to keep frames apart, and if it hears in the
    signals of the check vector what `session`, the plain network, hears in them.
    """
    try:
        front_end = as_type(card.training.get("front_end"), _FrontEnd)
        overlap = front_end.win_length - front_end.hop_length
        if overlap <= 0:
            return None
        rewritten, carried = carry_frames(model_bytes)
        network = IncrementalNetwork(Session(rewritten, carried), carried, card, overlap)
        is_same = _hears_the_same(network, session)
    except (CannotCarryError, ModelError, ValueError):
        return None
    return network if is_same else None


def _hears_the_same(network: IncrementalNetwork, session: Session) -> bool:
    """Compare on the check signals: one step first, two more, and the last."""
    window, step = network.card.window_samples, network.card.step_samples
    for signal in check_signals(window, step):
        run = network.begin()
        parts = [run(signal[:window]), run(signal[step : window + 2 * step]), run(signal[3 * step :])]
        whole = session.run(signal[None])[0]
        joined = np.concatenate(parts)
        if joined.shape != whole.shape or not np.abs(joined - whole).max() <= LARGEST_DIFFERENCE:
            return False
    return True
