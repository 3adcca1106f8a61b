from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from stream_store import SAMPLE_RATE, tone, write_store

from data_prep.store import Store
from speechcmd.audio.samples import Waveform
from speechcmd.evaluation.synthesis.stream_background import StreamBackground, equal_power_fade
from speechcmd.evaluation.synthesis.stream_plan import (
    CROSS_FADE_SAMPLES,
    NoisePiece,
    StreamSettings,
    plan_stream,
)

pytestmark = pytest.mark.runtime


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("background") / "store")


def rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2)))


def laid(store: Store, name: str, n_pieces: int, seconds: float) -> list[NoisePiece]:
    """Pieces of one recording, one behind the other."""
    row = next(row for row in store.rows if row.path == name)
    n_samples = round(seconds * SAMPLE_RATE)
    step = n_samples - CROSS_FADE_SAMPLES
    return [NoisePiece(row, 0, number * step, n_samples) for number in range(n_pieces)]


def test_fading_out_and_in_keeps_the_power() -> None:
    fade = equal_power_fade(1_000).astype(np.float64)
    np.testing.assert_allclose(fade**2 + fade[::-1] ** 2, 1.0, rtol=1e-6)
    assert np.all(np.diff(fade) > 0)


def test_there_is_no_dip_or_bump_where_noise_goes_into_the_next(store: Store) -> None:
    noise = StreamBackground(store, laid(store, "noise/hiss_testing.wav", 4, 2.0), 0).read(0, 6 * SAMPLE_RATE)
    levels_db = [20 * np.log10(rms(part)) for part in noise.reshape(-1, SAMPLE_RATE // 10)]
    assert max(map(abs, levels_db)) < 0.8


def test_nothing_clicks_where_pieces_meet(store: Store) -> None:
    pieces = laid(store, "music/chord.wav", 4, 2.0)
    music = StreamBackground(store, pieces, 0).read(0, 6 * SAMPLE_RATE)
    # a cosine of frequency f and amplitude a moves by no more than 2 pi f a / rate from sample to sample
    loudest = np.sqrt(2.0) * rms(tone(SAMPLE_RATE, 330.0)) * 2 * np.pi * 330 / SAMPLE_RATE * 3
    assert np.abs(np.diff(music)).max() < 2 * loudest + 0.3  # and the white noise under it


def test_any_division_gives_the_same_samples(store: Store) -> None:
    plan = plan_stream(store, StreamSettings(("yes",), minutes=0.35))
    n_samples = plan.settings.n_samples
    whole = StreamBackground(store, plan.pieces, 1).read(0, n_samples)
    parts = StreamBackground(store, plan.pieces, 1)
    edges = [0, 1, 777, 100_000, 100_001, 300_000, n_samples]
    split = [parts.read(first, last) for first, last in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(split), whole)
    another = StreamBackground(store, plan.pieces, 2).read(0, 100_000)
    assert not np.array_equal(whole[:100_000], another)


def test_it_says_what_is_heard(store: Store) -> None:
    pieces = laid(store, "music/chord.wav", 2, 2.0)
    other = laid(store, "noise/barks.wav", 1, 2.0)[0]
    pieces.append(NoisePiece(other.row, 0, pieces[-1].end - CROSS_FADE_SAMPLES, other.n_samples))
    background = StreamBackground(store, pieces, 0)
    assert background.sources(0, 3 * SAMPLE_RATE) == ["music/chord.wav"]
    assert background.sources(pieces[2].start, pieces[2].start + 1) == ["music/chord.wav", "noise/barks.wav"]
    assert background.sources(pieces[1].end, pieces[1].end + 1) == ["noise/barks.wav"]
