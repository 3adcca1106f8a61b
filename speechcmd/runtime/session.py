"""One network in onnxruntime: opened from checked bytes, and checked again by a known answer."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import numpy.typing as npt

from speechcmd.audio import Waveform
from speechcmd.errors import ModelError
from speechcmd.runtime.model_file import ModelCard, check_signals

FloatArray = npt.NDArray[np.float32]

_ERRORS_ONLY = 3
_INPUT = ("waveform", 2)
_LOGITS = ("logits", 3)
_EMBEDDING = ("embedding", 3)


class Session:
    """The network as a function of the waveform; safe to call from several threads."""

    def __init__(self, model_bytes: bytes) -> None:
        self._session = _open(model_bytes)
        _check_signature(self._session)

    def run(self, waveforms: Waveform) -> FloatArray:
        """Compute logits. Shape: (batch, n_samples) -> (batch, n_steps, n_labels).

        Raises
        ------
        ModelError
            If the network fails, or answers with something that is not a number.
        """
        try:
            (logits,) = self._session.run([_LOGITS[0]], {_INPUT[0]: waveforms})
        except Exception as error:  # onnxruntime raises a type of its own for each status code
            raise ModelError(f"the network failed on input {waveforms.shape}: {_one_line(error)}") from error
        if not np.isfinite(logits).all():
            raise ModelError(f"the network computed values that are not numbers ({_machine()})")
        result: FloatArray = logits
        return result

    def verify(self, card: ModelCard) -> None:
        """Recompute the check vector of the card.

        Raises
        ------
        ModelError
            If a logit is further from the stored one than the card's tolerance.
        """
        signals = check_signals(card.window_samples, card.step_samples)
        expected = np.asarray(card.check.logits, dtype=np.float32)
        computed = self.run(signals)
        if signals.shape[1] != card.check.n_samples or computed.shape != expected.shape:
            raise ModelError(
                f"the model's check vector has shape {expected.shape} for {card.check.n_samples} samples, "
                f"the network gives {computed.shape} for {signals.shape[1]}; re-export the model"
            )
        difference = float(np.abs(computed - expected).max())
        if difference > card.check.tolerance:
            raise ModelError(
                f"this computer computes the network wrongly: logits differ by {difference:.2g}, "
                f"at most {card.check.tolerance:.2g} is allowed ({_machine()}); "
                "try another onnxruntime, or export the model again"
            )


def _open(model_bytes: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            model_bytes, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as in `run`
        raise ModelError(f"onnxruntime cannot open the model: {_one_line(error)}") from error


def _check_signature(session: Any) -> None:
    inputs = [(value.name, len(value.shape)) for value in session.get_inputs()]
    outputs = [(value.name, len(value.shape)) for value in session.get_outputs()]
    if inputs != [_INPUT] or _LOGITS not in outputs or not set(outputs) <= {_LOGITS, _EMBEDDING}:
        raise ModelError(
            "expected a network from 'waveform' (batch, n_samples) to 'logits' (batch, n_steps, n_labels), "
            f"got {_describe(inputs)} to {_describe(outputs)}"
        )


def _describe(values: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name!r:.40} of rank {rank}" for name, rank in values) or "nothing"


def _machine() -> str:
    import onnxruntime

    return f"processor {platform.machine() or 'unknown'}, onnxruntime {onnxruntime.__version__}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
