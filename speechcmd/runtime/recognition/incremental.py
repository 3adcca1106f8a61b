"""A network that is run every few hundredths of a second, each time on the new audio alone."""

from __future__ import annotations

import numpy as np

from speechcmd.arrays import AnyArray, FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.model.carried_frames import CannotCarryError, Carried, carry_frames
from speechcmd.runtime.model.model_file import check_signals
from speechcmd.runtime.model.session import Session

LARGEST_DIFFERENCE = 1e-5  # of logits, to those of whole windows


class IncrementalNetwork:
    """The network of a model file as it goes on where its last run ended; any number of recordings share it.

    Parameters
    ----------
    session
        The rewritten network.
    carried
        The values that go from run to run.
    card
        Of the model.
    overlap_samples
        Samples before the new ones that the first new frame covers.
    """

    def __init__(
        self, session: Session, carried: tuple[Carried, ...], card: ModelCard, overlap_samples: int
    ) -> None:
        self.session = session
        self.carried = carried
        self.window_samples, self.step_samples = card.window_samples, card.step_samples
        self.overlap_samples = overlap_samples

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
        n_steps = (len(span) - network.window_samples) // network.step_samples + 1
        end = network.window_samples + (n_steps - 1) * network.step_samples
        begin = end - n_steps * network.step_samples - network.overlap_samples if self._has_begun else 0
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
    front_end = card.training.get("front_end", {})
    overlap = front_end.get("win_length", 0) - front_end.get("hop_length", 0)
    if overlap <= 0:
        return None
    try:
        rewritten, carried = carry_frames(model_bytes)
        network = IncrementalNetwork(Session(rewritten, carried), carried, card, overlap)
        is_same = _hears_the_same(network, session)
    except (CannotCarryError, ModelError):
        return None
    return network if is_same else None


def _hears_the_same(network: IncrementalNetwork, session: Session) -> bool:
    """Compare on the check signals: one step first, two more, and the last."""
    window, step = network.window_samples, network.step_samples
    for signal in check_signals(window, step):
        run = network.begin()
        parts = [run(signal[:window]), run(signal[step : window + 2 * step]), run(signal[3 * step :])]
        whole = session.run(signal[None])[0]
        joined = np.concatenate(parts)
        if joined.shape != whole.shape or not np.abs(joined - whole).max() <= LARGEST_DIFFERENCE:
            return False
    return True
