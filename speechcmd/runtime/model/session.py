"""One network in onnxruntime: opened from checked bytes, and checked again by a known answer."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np

from speechcmd.arrays import AnyArray, FloatArray
from speechcmd.audio.samples import Waveform
from speechcmd.errors import ModelError, printable
from speechcmd.runtime.model.card import INT8, ModelCard
from speechcmd.runtime.model.engine import onnxruntime
from speechcmd.runtime.model.model_file import check_signals

if TYPE_CHECKING:
    from speechcmd.runtime.model.carried_frames import Carried  # which only live listening needs

_NO_LOG = 4  # only what ends the process: other errors are raised, and shall not be reported a second time
_EXPORT_AGAIN = "re-export the model"
_TRY_ANOTHER = "try another onnxruntime, or export the model again"
_FLOAT = "tensor(float)"
_INPUT = ("waveform", 2)
_LOGITS = ("logits", 3)
_EMBEDDING = ("embedding", 3)
_LONGEST_CHECK_S = 5.0  # a hundred times what a network of ours needs
_MOST_MEMORY = 2**31  # of all networks in the process, beyond their weights: some kilobytes can ask for more


class Session:
    """The network as a function of the waveform; safe to call from several threads."""

    def __init__(self, model_bytes: bytes, carried: Sequence[Carried] = ()) -> None:
        self._session = _open(model_bytes)
        self._before = [each.before for each in carried]
        self._after = [each.after for each in carried]
        _check_signature(self._session, {*self._before, *self._after})

    def run(self, waveforms: Waveform) -> FloatArray:
        """Compute logits. Shape: (batch, n_samples) -> (batch, n_steps, n_labels).

        Raises
        ------
        ModelError
            If the network fails, or answers with something that is not a number.
        """
        return self._run(waveforms, None)

    def run_on(
        self, waveforms: Waveform, before: Mapping[str, AnyArray]
    ) -> tuple[FloatArray, dict[str, AnyArray]]:
        """Compute logits from where the last run ended, and the values for the next run.

        Raises
        ------
        ModelError
            As `run`.
        """
        names = [_LOGITS[0], *self._after]
        logits, *after = self._compute(names, {_INPUT[0]: waveforms, **before}, None)
        return logits, dict(zip(self._before, after, strict=True))

    def _run(self, waveforms: Waveform, run_options: Any) -> FloatArray:
        (logits,) = self._compute([_LOGITS[0]], {_INPUT[0]: waveforms}, run_options)
        result: FloatArray = logits
        return result

    def _compute(self, names: list[str], inputs: dict[str, AnyArray], run_options: Any) -> list[Any]:
        try:
            outputs: list[Any] = self._session.run(names, inputs, run_options)
        except Exception as error:  # onnxruntime raises a type of its own for each status code
            shape = inputs[_INPUT[0]].shape
            raise ModelError(f"the network failed on input {shape}: {_one_line(error)}") from error
        if not np.isfinite(outputs[0]).all():
            raise ModelError(f"the network computed values that are not numbers ({_machine()})")
        return outputs

    def verify(self, card: ModelCard) -> None:
        """Recompute the check vector of the card.

        Raises
        ------
        ModelError
            If a logit is further from the stored one than the card's tolerance, an int8 network hears
            another label, or the network needs absurdly much time or memory.
        """
        try:
            self._verify(card)
        except MemoryError as error:
            raise ModelError("the network's check vector needs more memory than there is") from error

    def _verify(self, card: ModelCard) -> None:
        signals = check_signals(card.window_samples, card.step_samples)
        expected = np.asarray(card.check.logits, dtype=np.float32)
        computed = self._run_limited(signals)
        if signals.shape[1] != card.check.n_samples or computed.shape != expected.shape:
            raise ModelError(
                f"the model's check vector has shape {expected.shape} for {card.check.n_samples} samples, "
                f"the network gives {computed.shape} for {signals.shape[1]}",
                advice=_EXPORT_AGAIN,
            )
        difference = float(np.abs(computed - expected).max())
        if difference > card.check.tolerance:
            raise ModelError(
                f"this computer computes the network wrongly: logits differ by {difference:.2g}, "
                f"at most {card.check.tolerance:.2g} is allowed ({_machine()})",
                advice=_TRY_ANOTHER,
            )
        if card.precision == INT8 and _lost_label(expected, computed, card.check.tolerance / 10):
            raise ModelError(
                f"this computer computes the network wrongly: it hears another label ({_machine()})",
                advice=_TRY_ANOTHER,
            )

    def _run_limited(self, waveforms: Waveform) -> FloatArray:
        """Run, but not much longer than `_LONGEST_CHECK_S`: the end comes between two operators."""
        run_options = onnxruntime.RunOptions()
        timer = Timer(_LONGEST_CHECK_S, setattr, (run_options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return self._run(waveforms, run_options)
        except ModelError as error:
            if not run_options.terminate:
                raise
            raise ModelError(f"the network took over {_LONGEST_CHECK_S:g} s for its check vector") from error
        finally:
            timer.cancel()


def _lost_label(expected: FloatArray, computed: FloatArray, tie: float) -> bool:
    """True if somewhere the best label of `expected` is beaten by more than a tie."""
    best = expected.argmax(axis=-1)[..., None]
    lead = computed.max(axis=-1) - np.take_along_axis(computed, best, axis=-1)[..., 0]
    return bool((lead > tie).any())


@cache
def _prepare_runtime() -> None:
    """Let sessions share one pool of bounded size, and write nothing to standard error.

    Without the bound, a file of some kilobytes can ask for all the memory of the computer.
    """
    onnxruntime.set_default_logger_severity(_NO_LOG)
    arena = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", arena, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg({"max_mem": _MOST_MEMORY}))


def _open(model_bytes: bytes) -> Any:
    _prepare_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _NO_LOG
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(
            model_bytes, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as in `run`
        raise ModelError(f"onnxruntime cannot open the model: {_one_line(error)}") from error


def _check_signature(session: Any, carried: Collection[str]) -> None:
    inputs, outputs = (
        [(value.name, _rank(value)) for value in values if value.name not in carried]
        for values in (session.get_inputs(), session.get_outputs())
    )
    if inputs != [_INPUT] or _LOGITS not in outputs or not set(outputs) <= {_LOGITS, _EMBEDDING}:
        raise ModelError(
            "expected a network from 'waveform' (batch, n_samples) to 'logits' (batch, n_steps, n_labels), "
            f"got {_describe(inputs)} to {_describe(outputs)}"
        )


def _rank(value: Any) -> int:
    """Number of dimensions of a float tensor; -1 for whatever else."""
    return len(value.shape) if value.type == _FLOAT and value.shape is not None else -1


def _describe(values: list[tuple[str, int]]) -> str:
    parts = [f"{name!r:.40} of " + (f"rank {rank}" if rank >= 0 else "another type") for name, rank in values]
    return ", ".join(parts[:3]) + (" and more" if len(parts) > 3 else "") or "nothing"


def _machine() -> str:
    return f"processor {platform.machine() or 'unknown'}, onnxruntime {onnxruntime.__version__}"


def _one_line(error: Exception) -> str:
    # it quotes names from the file: none of them shall reach a terminal as control characters
    return " ".join(printable(str(error), " ").split())[:200]


def engine_version() -> str:
    """Version of onnxruntime."""
    return str(onnxruntime.__version__)
