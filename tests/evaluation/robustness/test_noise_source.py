"""Where noise comes from: colours by their spectrum, pieces of recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from speechcmd.errors import AudioError, EvaluationError
from speechcmd.evaluation.robustness import noise_source
from speechcmd.evaluation.robustness.noise_source import COLOURS, NoiseFiles, make_coloured, read_noise

RATE = 16_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


@pytest.mark.parametrize(("colour", "db_per_octave"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_slope_of_a_colour(colour: str, db_per_octave: float) -> None:
    noise = make_coloured(colour).draw(20 * RATE, rng())
    frequency_hz, density = signal.welch(noise, RATE, nperseg=4_096)
    band = (frequency_hz > 150) & (frequency_hz < 7_000)  # well above the high-pass
    # a point weighs as 1/f: each octave the same
    slope, _ = np.polyfit(
        np.log2(frequency_hz[band]), 10 * np.log10(density[band]), 1, w=frequency_hz[band] ** -0.5
    )
    assert slope == pytest.approx(db_per_octave, abs=0.15)
    assert density[frequency_hz < 20].sum() < 0.01 * density.sum()  # a ratio is that of what is heard


def test_colours_of_any_length() -> None:
    assert set(COLOURS) == {"white", "pink", "brown"}
    assert [len(make_coloured("pink").draw(n, rng())) for n in (1, 2, 777)] == [1, 2, 777]


@pytest.fixture
def as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are not evened out."""
    monkeypatch.setattr(noise_source, "even_out", lambda waveform, _: waveform)


def test_pieces_are_evened_out(tmp_path: Path) -> None:
    """A bark, a rest and an offset: as loud in each half second, as in made streams."""
    noise = 0.1 * rng().standard_normal(2 * RATE)
    noise[8_000:24_000] *= 0.05
    source = read_noise(NoiseFiles("dog", [write(tmp_path / "dog.wav", noise + 0.2)]), seed=0)
    piece = source.draw(2 * RATE, rng(1))
    assert abs(piece.mean()) < 0.01
    levels = piece.reshape(8, -1).std(axis=1)
    assert levels.max() < 3 * levels.min()
    np.testing.assert_array_equal(source.draw(2 * RATE, rng(1)), piece)


@pytest.mark.usefixtures("as_recorded")
def test_pieces_come_from_the_recordings_at_random_places(tmp_path: Path) -> None:
    ramp = np.arange(-24_000, 24_000, dtype=np.int16)  # each sample tells its place
    source = read_noise(NoiseFiles("ramp", [write(tmp_path / "ramp.wav", ramp)]), seed=0)
    assert source.name == "ramp"
    pieces = [source.draw(RATE, rng(seed)) * 32_768 for seed in range(5)]
    assert all(len(piece) == RATE and np.all(np.diff(piece) == 1) for piece in pieces)
    assert len({piece[0] for piece in pieces}) == 5
    np.testing.assert_array_equal(source.draw(RATE, rng(3)) * 32_768, pieces[3])


@pytest.mark.usefixtures("as_recorded")
def test_a_short_recording_is_looped(tmp_path: Path) -> None:
    source = read_noise(
        NoiseFiles("short", [write(tmp_path / "s.wav", np.arange(1, 8, dtype=np.int16))]), seed=0
    )
    piece = (source.draw(20, rng()) * 32_768).astype(int).tolist()
    start = piece[0] - 1
    assert piece == [(start + n) % 7 + 1 for n in range(20)]


@pytest.mark.usefixtures("as_recorded")
def test_stretches_of_digital_zero_are_left_out(tmp_path: Path) -> None:
    """Recordings of animals are padded so; scaled to a level they would be nothing, or a click."""
    samples = np.zeros(5 * RATE)
    samples[2 * RATE : 3 * RATE] = 0.1 * rng().standard_normal(RATE)
    source = read_noise(NoiseFiles("dog", [write(tmp_path / "dog.wav", samples)]), seed=0)
    for seed in range(20):
        assert np.std(source.draw(RATE, rng(seed))) > 0.009


@pytest.mark.parametrize("extra", [1, 100, 159])
def test_a_recording_hardly_longer_than_the_clip(tmp_path: Path, extra: int) -> None:
    noise = 0.1 * rng().standard_normal(RATE + extra)
    source = read_noise(NoiseFiles("n", [write(tmp_path / "n.wav", noise)]), seed=0)
    assert source.draw(RATE, rng()).shape == (RATE,)


@pytest.mark.usefixtures("as_recorded")
def test_all_recordings_are_used_and_no_more_than_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = (100, 1_000, 10_000)
    paths = [
        write(tmp_path / f"{level}.wav", np.tile(np.array([level, -level], np.int16), 50)) for level in levels
    ]
    source = read_noise(NoiseFiles("three", paths), seed=0)
    assert {round(np.abs(source.draw(50, rng(seed))).max() * 32_768) for seed in range(30)} == set(levels)
    monkeypatch.setattr(noise_source, "MOST_RECORDINGS", 2)
    source = read_noise(NoiseFiles("three", paths), seed=0)
    assert len({round(np.abs(source.draw(50, rng(seed))).max() * 32_768) for seed in range(30)}) == 2


@pytest.mark.usefixtures("as_recorded")
def test_only_the_first_minute_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_source, "MOST_S", 10)
    samples = np.concatenate(
        [np.tile(np.array([50, -50], np.int16), 5 * RATE), np.tile(np.array([9_000, -9_000], np.int16), RATE)]
    )
    source = read_noise(NoiseFiles("long", [write(tmp_path / "long.wav", samples)]), seed=0)
    assert max(np.abs(source.draw(RATE, rng(seed))).max() * 32_768 for seed in range(9)) == 50


def test_silence_is_refused_in_one_line(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.wav", np.full(900, 7, dtype=np.int16))  # an offset is no sound
    with pytest.raises(EvaluationError, match=r"silent\.wav: expected noise, got silence"):
        read_noise(NoiseFiles("silent", [silent]), seed=0)
    with pytest.raises(AudioError):
        read_noise(NoiseFiles("missing", [tmp_path / "missing.wav"]), seed=0)
