"""Finding and reading model files, and the signals that check a model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from fakes import model, plain_card, toy_graph, toy_model

from speechcmd.audio.reproducible_noise import triangle_wave, white_noise
from speechcmd.errors import ModelError
from speechcmd.runtime.model import model_file
from speechcmd.runtime.model.model_file import (
    check_signals,
    load_model_file,
    read_card,
    read_model_bytes,
    released_models,
)

pytestmark = pytest.mark.runtime


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Released models of our own: cnn and gru."""
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "cnn.onnx").write_bytes(b"default")
    (folder / "gru.onnx").write_bytes(b"other")
    monkeypatch.setattr(model_file, "ASSETS", folder)
    return folder


def test_check_signals_are_the_same_everywhere() -> None:
    """Stored logits are compared on every computer, so not one bit may differ."""
    signals = check_signals(4_800, 320)
    assert signals.shape == (2, 5_760)
    assert signals.dtype == np.float32
    assert (
        hashlib.sha256(signals.tobytes()).hexdigest()
        == "1a8719a8e0452446f282118d946ef8819af1353ec7d64b86b6ae410807ab8096"
    )


def test_check_signals_are_quiet_and_loud() -> None:
    quiet, loud = check_signals(16_000, 320)
    assert np.sqrt(np.mean(quiet**2)) == pytest.approx(0.003, rel=0.02)
    assert np.sqrt(np.mean(loud**2)) == pytest.approx(0.3, rel=0.02)
    assert np.abs(loud).max() < 1
    spectrum = np.abs(np.fft.rfft(loud[:16_000]))
    strongest = set(np.argsort(spectrum)[-3:] / 16_000)
    assert strongest == {0.03, 0.0625, 0.14}


def test_white_noise_is_white_and_has_unit_level() -> None:
    noise = white_noise(100_000, seed=5)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, abs=0.01)
    assert abs(noise.mean()) < 0.02
    assert abs(np.mean(noise[1:] * noise[:-1])) < 0.02
    assert not np.array_equal(noise, white_noise(100_000, seed=6))
    assert white_noise(0, seed=1).shape == (0,)


def test_triangle_wave_by_hand() -> None:
    np.testing.assert_array_equal(triangle_wave(5, 0.25), [-1, 0, 1, 0, -1])


def test_names_paths_and_the_default_are_found(assets: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"mine")
    assert released_models() == ["cnn", "gru"]
    assert read_model_bytes() == b"default"
    assert read_model_bytes("gru") == b"other"
    assert read_model_bytes(mine) == read_model_bytes(str(mine)) == b"mine"


def test_a_file_without_suffix_in_the_current_folder_is_found(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mymodel").write_bytes(b"mine")
    assert read_model_bytes("mymodel") == b"mine"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("lstm", r"no released model is called 'lstm' \(released: cnn, gru\)"),
        ("none.onnx", "none.onnx: no such model file"),
        ("folder/lstm", "no such model file"),
        (".", "expected a model file, got a folder"),
    ],
)
def test_a_model_that_is_not_there(assets: Path, source: str, expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        read_model_bytes(source)


def test_a_file_larger_than_any_model_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", 2**20)
    path = tmp_path / "large.onnx"
    path.write_bytes(b"\0" * (2**20 + 1))
    with pytest.raises(ModelError, match="at most 1 MB"):
        read_model_bytes(path)


def test_the_card_is_found_in_the_bytes() -> None:
    assert read_card(toy_model(check=plain_card().check)) == plain_card()


def test_a_model_of_others_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(model(toy_graph(), {"labels": "yes,no"}))
    with pytest.raises(ModelError, match=r"theirs.onnx: an ONNX model, but not one that `speechcmd export`"):
        load_model_file(path)
