"""Model files: released names and paths, their bytes, their cards, and the signals that check them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from speechcmd.audio.reproducible_noise import triangle_wave, white_noise
from speechcmd.audio.samples import Waveform
from speechcmd.errors import ModelError
from speechcmd.runtime.model.card import METADATA_KEY, ModelCard
from speechcmd.runtime.model.onnx_check import inspect_model

ASSETS = Path(__file__).resolve().parents[2] / "assets"
DEFAULT_MODEL = "cnn"
MAX_MODEL_BYTES = 64 * 2**20

_CHECK_STEPS_BEYOND_WINDOW = 3
_QUIET_RMS = np.float32(0.003)
_LOUD_NOISE_RMS = np.float32(0.05)
# three triangle waves (their rms is amplitude / sqrt(3)) bring the loud signal to an rms of about 0.3
_LOUD_TONE_AMPLITUDE = np.float32(0.296)
_LOUD_TONES_CYCLES_PER_SAMPLE = (0.03, 0.0625, 0.14)


def check_signals(window_samples: int, step_samples: int) -> Waveform:
    """Two signals, the same everywhere, on which a model file stores its own logits.

    A quiet one (noise, rms 0.003) and a loud one (noise and three tones, rms 0.3), three steps longer
    than the window. Shape: (2, window_samples + 3 * step_samples).
    """
    n_samples = window_samples + _CHECK_STEPS_BEYOND_WINDOW * step_samples
    quiet = white_noise(n_samples, seed=1) * _QUIET_RMS
    loud = white_noise(n_samples, seed=2) * _LOUD_NOISE_RMS
    for cycles_per_sample in _LOUD_TONES_CYCLES_PER_SAMPLE:
        loud += triangle_wave(n_samples, cycles_per_sample) * _LOUD_TONE_AMPLITUDE
    return np.stack([quiet, loud])


def released_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in ASSETS.glob("*.onnx"))


def read_model_bytes(source: str | os.PathLike[str] | None = None) -> bytes:
    """Read a model file: a path, the name of a released model, or None for the default model.

    Raises
    ------
    ModelError
        If there is no such model, or the file is larger than a model of ours ever is.
    """
    path = _model_path(source)
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(
                f"expected a model of at most {MAX_MODEL_BYTES >> 20} MB, got {size >> 20} MB", path=path
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model ({error.strerror})", path=path) from error


def read_card(model_bytes: bytes) -> ModelCard:
    """Find the model card in the bytes of a model file, after a check of its structure.

    Raises
    ------
    ModelError
        If the bytes are not an ONNX model that speechcmd exported, or hold what they may not hold.
    """
    metadata = inspect_model(model_bytes).metadata
    if METADATA_KEY not in metadata:
        raise ModelError("an ONNX model, but not one that `speechcmd export` wrote (it has no model card)")
    return ModelCard.from_json(metadata[METADATA_KEY])


def load_model_file(source: str | os.PathLike[str] | None = None) -> tuple[bytes, ModelCard]:
    """Read a model file and its card; errors begin with the file's name."""
    model_bytes = read_model_bytes(source)
    try:
        return model_bytes, read_card(model_bytes)
    except ModelError as error:
        raise error.at(source or DEFAULT_MODEL) from error


def _model_path(source: str | os.PathLike[str] | None) -> Path:
    name = os.fspath(DEFAULT_MODEL if source is None else source)
    if name in released_models():
        return ASSETS / f"{name}.onnx"
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelError("expected a model file, got a folder", path=name)
    if path.suffix or path.parent != Path():
        raise ModelError("no such model file", path=name)
    names = ", ".join(released_models()) or "none"
    raise ModelError(
        f"no released model is called {name!r} (released: {names})", advice="give a name or a path"
    )
