"""Edges and buffering, with a network of one line of numpy in place of the real one."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from fakes import plain_card
from hypothesis import given, settings
from hypothesis import strategies as st

from speechcmd.arrays import FloatArray
from speechcmd.errors import AudioError
from speechcmd.runtime.model.card import ModelCard
from speechcmd.runtime.recognition.stream import PosteriorStream, as_waveform, measure_floor

pytestmark = pytest.mark.runtime


# small, and nothing divides anything: half a window is 20 samples, a second 1000
CARD = replace(plain_card(), labels=("a", "b"), sample_rate=1_000, window_samples=41, step_samples=7)
LSB = 1 / 32_768


class Network:
    """Remembers its inputs; the posteriors of a step are its window's first sample and its energy."""

    def __init__(self, card: ModelCard = CARD) -> None:
        self.inputs: list[FloatArray] = []
        self._card = card

    def __call__(self, waveform: FloatArray) -> FloatArray:
        self.inputs.append(waveform.copy())
        windows = np.lib.stride_tricks.sliding_window_view(waveform, self._card.window_samples)
        windows = windows[:: self._card.step_samples]
        return np.stack([windows[:, 0], (windows**2).sum(axis=1)], axis=1)


def noise(n_samples: int, rms: float = 0.1, seed: int = 0) -> FloatArray:
    return (np.random.default_rng(seed).standard_normal(n_samples) * rms).astype(np.float32)


def run_both(stream: PosteriorStream, blocks: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Posteriors and levels of a whole recording."""
    parts = [*(stream.feed(block) for block in blocks), stream.flush()]
    return np.concatenate([part.posteriors for part in parts]), np.concatenate(
        [part.levels for part in parts]
    )


def run(stream: PosteriorStream, blocks: list[FloatArray]) -> FloatArray:
    return run_both(stream, blocks)[0]


def whole_input(waveform: FloatArray) -> FloatArray:
    """What the network saw of a recording that fits one run: the recording between its edges."""
    network = Network()
    run(PosteriorStream(network, CARD, update_s=1_000), [waveform])
    (seen,) = network.inputs
    return seen


@pytest.mark.parametrize("n_samples", [1, 5, 9, 10, 40, 41, 42, 999, 1_000, 1_001, 3_000])
def test_half_a_window_of_noise_stands_on_each_side(n_samples: int) -> None:
    waveform = noise(n_samples)
    seen = whole_input(waveform)
    assert len(seen) == n_samples + 2 * 20
    np.testing.assert_array_equal(seen[20:-20], waveform)
    assert (seen[:20] != 0).all()
    assert (seen[-20:] != 0).all()


@pytest.mark.parametrize("n_samples", [1, 7, 8, 100, 2_500])
@pytest.mark.parametrize("update_s", [0.001, 0.06, 1.0])
def test_a_step_for_every_step_samples(n_samples: int, update_s: float) -> None:
    """Windows centred on sample 0, 7, 14, ...: the edges make room for every one of them."""
    stream = PosteriorStream(Network(), CARD, update_s)
    assert len(run(stream, [noise(n_samples)])) == (n_samples - 1) // 7 + 1


def test_no_samples_give_no_steps() -> None:
    assert run(PosteriorStream(Network(), CARD, 0.06), [noise(0)]).shape == (0, 2)


def test_each_edge_has_the_level_of_its_end() -> None:
    waveform = np.concatenate([noise(2_000, rms=0.001), noise(2_000, rms=0.1)])
    seen = whole_input(waveform)
    assert 0.0003 < seen[:20].std() < 0.002
    assert 0.03 < seen[-20:].std() < 0.2


def test_the_edges_of_digital_silence_are_not_digital_silence() -> None:
    seen = whole_input(np.zeros(2_000, dtype=np.float32))
    assert 0 < np.abs(seen[:20]).max() < 4 * LSB
    assert 0 < np.abs(seen[-20:]).max() < 4 * LSB


def test_the_floor_is_that_of_the_quiet_parts() -> None:
    """20 of 100 pieces are quiet: the 10th percentile lies among them, whatever the loud ones do."""
    waveform = noise(1_000, rms=0.3)
    waveform[400:600] = noise(200, rms=0.002)
    assert measure_floor(waveform, 1_000) == pytest.approx(0.002, rel=0.4)
    assert measure_floor(waveform + np.float32(0.2), 1_000) == pytest.approx(0.002, rel=0.4)  # an offset


def test_the_floor_of_a_few_samples_is_their_deviation() -> None:
    assert measure_floor(np.array([0.5, -0.5], dtype=np.float32), 1_000) == pytest.approx(0.5)
    assert measure_floor(np.array([0.5], dtype=np.float32), 1_000) == LSB


def test_the_network_runs_on_equal_pieces_and_the_rest() -> None:
    network = Network()
    run(PosteriorStream(network, CARD, update_s=0.07), [noise(2_000)])
    lengths = [len(waveform) for waveform in network.inputs]
    assert set(lengths[:-1]) == {41 + 9 * 7}  # ten steps a run
    assert 41 <= lengths[-1] <= 41 + 9 * 7


def test_nothing_is_computed_before_the_floor_is_known() -> None:
    network = Network()
    stream = PosteriorStream(network, CARD, update_s=0.07)
    assert len(stream.feed(noise(999)).posteriors) == 0
    assert network.inputs == []
    assert len(stream.feed(noise(1)).posteriors) > 100


def test_memory_does_not_grow_with_the_recording() -> None:
    def infer(waveform: FloatArray) -> FloatArray:
        return np.zeros(((len(waveform) - 41) // 7 + 1, 2), dtype=np.float32)

    stream = PosteriorStream(infer, CARD, update_s=0.06)
    block = noise(16_000)
    stream.feed(block)
    tracemalloc.start()
    for _ in range(20):
        stream.feed(block)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < block.nbytes  # of twenty


@settings(deadline=None)
@given(
    n_samples=st.integers(0, 3_000),
    sizes=st.lists(st.integers(0, 1_200), max_size=12),
    update_s=st.sampled_from([0.007, 0.06, 0.5]),
)
def test_any_division_gives_the_same_bits(n_samples: int, sizes: list[int], update_s: float) -> None:
    waveform = noise(n_samples, seed=n_samples)
    expected, levels = run_both(PosteriorStream(Network(), CARD, update_s), [waveform])
    stream = PosteriorStream(Network(), CARD, update_s)
    stream.feed(noise(500, seed=1))
    stream.reset()  # as new; and so it is after the flush in `run`
    for _ in range(2):
        parts = np.split(waveform, np.minimum(np.cumsum(sizes, dtype=int), n_samples))
        again = run_both(stream, parts)
        np.testing.assert_array_equal(again[0], expected)
        np.testing.assert_array_equal(again[1], levels)


def test_the_length_of_an_update_does_not_change_the_posteriors() -> None:
    waveform = noise(5_000)
    live = run(PosteriorStream(Network(), CARD, update_s=0.06), [waveform])
    file = run(PosteriorStream(Network(), CARD, update_s=10.0), [waveform])
    np.testing.assert_allclose(live, file, rtol=1e-6)


def test_a_block_may_be_reused_by_its_owner() -> None:
    waveform = noise(3_000)
    expected = run(PosteriorStream(Network(), CARD, 0.06), [waveform])
    stream = PosteriorStream(Network(), CARD, 0.06)
    block = np.empty(100, dtype=np.float32)
    parts = []
    for start in range(0, 3_000, 100):
        block[:] = waveform[start : start + 100]
        parts.append(stream.feed(block).posteriors)
        block[:] = 9
    np.testing.assert_array_equal(np.concatenate([*parts, stream.flush().posteriors]), expected)


def test_samples_that_are_no_numbers_become_zero() -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf])
    waveform = as_waveform(samples)
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, [0.5, 0, 1, -1])
    assert np.isnan(samples[1])  # the caller's array is as it was


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (
            np.zeros((2, 100), dtype=np.float32),
            r"mono waveform of shape \(n_samples,\), got shape \(2, 100\)",
        ),
        (
            np.zeros(100, dtype=np.int16),
            "float samples .* got int16; speechcmd.audio.samples.int16_to_float32",
        ),
        ([["a"]], "mono waveform"),
    ],
)
def test_what_is_no_waveform_is_refused(samples: npt.ArrayLike, expected: str) -> None:
    with pytest.raises(AudioError, match=expected):
        as_waveform(samples)
