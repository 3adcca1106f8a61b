"""Running speech through a network: against every window alone, for audio and for a cache; and what is found."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import WORDS, temporary_folder, toy_store
from toy_speech import TONES_HZ, WINDOW_FRAMES, ToneNetwork, babble, band_of, tone, toy_speech, write_speech

from data_prep.row_source import AnyStore, JoinedStores
from data_prep.store import Store
from data_prep.task import SplitTask, TaskConfig, make_split_task
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from models.registry import create_model, find_architecture
from speechcmd.training.augment.waveforms import noise_scale
from speechcmd.training.batch import Batch
from speechcmd.training.data.feature_cache import cached_features
from speechcmd.training.mining import stream_recall
from speechcmd.training.mining.speech_scan import MinedWindows, scan_speech
from speechcmd.training.mining.stream_recall import (
    HeardClips,
    measure_stream_recall,
    noise_under_words,
    threshold_at,
)

CPU = torch.device("cpu")
WINDOW, STEP = 480 + (WINDOW_FRAMES - 1) * 160, 640
CENTRE, GROUP, GROUPS = (
    2,
    12,
    8,
)  # of five answers that are averaged; of those the best of twelve; read at once
CLOSE = 1e-4  # float32 scores through other shapes of the same network


def cache_of(store: Store) -> AnyStore:
    return cached_features(store, FrontEndConfig(), 128, temporary_folder())


def task_of(*stores: AnyStore, split: str = "training") -> SplitTask:
    source = JoinedStores([toy_store(), *stores])
    return make_split_task(source, TaskConfig(WORDS), split)


def scan(network: KeywordNetwork, store: AnyStore, split: str = "training") -> tuple[MinedWindows, SplitTask]:
    task = task_of(store, split=split)
    return scan_speech(network, [toy_store(), store], task, CPU), task


@functools.cache
def some_network(architecture: str) -> KeywordNetwork:
    """Untrained, but of decided opinions."""
    torch.manual_seed(1)
    network = create_model(architecture, 4, WINDOW, **find_architecture(architecture).toy)
    network.set_normalisation(torch.full((40,), -8.0), torch.full((40,), 2.0))
    network.head.weight.data *= 10
    return network


@torch.inference_mode()
def alone(network: KeywordNetwork, log_mel: torch.Tensor, n_samples: int) -> np.ndarray:
    """Best word of each window of a recording, each classified alone, five averaged. Shape: (n,)."""
    network.eval()
    n_windows = (n_samples - WINDOW) // STEP + 1
    windows = torch.stack([log_mel[4 * k : 4 * k + WINDOW_FRAMES] for k in range(n_windows)])
    scores = network.classify(windows)[:, 0].softmax(dim=1).numpy()[:, :2]
    means = [scores[k - CENTRE : k + CENTRE + 1].mean(axis=0) for k in range(CENTRE, n_windows - CENTRE)]
    best: np.ndarray = np.array(means).max(axis=1)
    return best


@pytest.mark.parametrize("architecture", ["mlp", "rnn"])
@pytest.mark.parametrize("is_cached", [False, True])
def test_a_scan_is_what_every_window_says_alone(architecture: str, is_cached: bool) -> None:
    network, audio = some_network(architecture), toy_speech()
    found, task = scan(network, cache_of(audio) if is_cached else audio)
    log_mel = ToneNetwork().log_mel(audio.samples_of(audio.rows[0]))
    if is_cached:  # whole frames, in float16
        log_mel = log_mel.half().float()
    n_samples = FrontEndConfig().n_samples(len(log_mel)) if is_cached else audio.rows[0].n_samples
    expected = alone(network, log_mel, n_samples)
    assert 3 * GROUPS * GROUP > len(expected) > 2 * GROUPS * GROUP  # three reads
    (example,) = (index for index in task.speech if task.examples.paths[index] == "talk/long")
    own = found.example == example
    start, score = found.start[own], found.score[own]
    # beside what lies wholly inside two more, to whose averages belong windows that reach beyond the end
    assert len(start) == math.ceil((len(expected) + 2) / GROUP)
    for number in range(len(expected) // GROUP):
        group = expected[number * GROUP : (number + 1) * GROUP]
        assert score[number] == pytest.approx(group.max(), abs=CLOSE)
        place = start[number] // STEP - CENTRE - number * GROUP
        assert 0 <= place < GROUP
        assert group[place] == pytest.approx(group.max(), abs=CLOSE)
    assert (start % STEP == 0).all()
    assert start[-1] + WINDOW <= n_samples
    rest = expected[len(expected) // GROUP * GROUP :]
    assert score[len(expected) // GROUP] >= rest.max(initial=0) - CLOSE
    assert score.std() > 0.01  # it has opinions


def test_of_what_is_short_the_first_answer_counts() -> None:
    network = some_network("mlp")
    found, task = scan(network, toy_speech())
    for name in ("talk/short", "talk/little"):
        (example,) = (index for index in task.speech if task.examples.paths[index] == name)
        assert found.start[found.example == example].tolist() == [CENTRE * STEP]
    assert set(found.example.tolist()) == set(task.speech.tolist())
    assert not network.training


@pytest.mark.parametrize("open_store", [lambda store: store, cache_of], ids=["audio", "cache"])
def test_a_scan_finds_a_planted_word(open_store: Callable[[Store], AnyStore]) -> None:
    """Across the border of two pieces of a cache, which lies at 128 frames; and in the second read."""
    samples = babble(8.0, 7) // 8
    first, second = 125 * 160, 5 * 16_000
    for hertz, place in zip(TONES_HZ, (first, second), strict=True):
        samples[place : place + WINDOW] = tone(hertz, WINDOW)
    found, _ = scan(ToneNetwork(), open_store(write_speech({("talk", "training"): samples})))
    hardest = found.hardest(2)
    assert np.abs(hardest.start - [first, second]).max() <= STEP
    assert hardest.score.min() > 0.6  # a mean of five, of which some hear half the tone
    assert np.sort(found.score)[-5] < 0.1  # a tone may reach into two groups


def test_the_hardest_in_the_order_of_the_recordings() -> None:
    found = MinedWindows(
        np.array([4, 4, 5, 6]), np.array([0, 640, 0, 0]), np.array([0.5, 0.9, 0.5, 0.7], np.float32)
    )
    assert [found.hardest(n).example.tolist() for n in range(6)] == [
        [],
        [4],
        [4, 6],
        [4, 4, 6],
        [4, 4, 5, 6],
        [4, 4, 5, 6],
    ]
    assert found.hardest(3).start.tolist() == [0, 640, 0]
    again = MinedWindows.from_tensors(found.to_tensors())
    assert all(np.array_equal(a, b) for a, b in zip(vars(found).values(), vars(again).values(), strict=True))


# --- recall in streams


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), max_size=12), st.integers(0, 14))
def test_the_threshold_by_trying_every_one(scores: list[float], n_allowed: int) -> None:
    given = np.array(scores, np.float32)
    tried = [each for each in (0.0, *scores) if np.sum(given > np.float32(each)) <= n_allowed]
    expected = 0.0 if n_allowed >= len(scores) else min(tried)
    assert threshold_at(given, np.ones(len(given)), n_allowed) == pytest.approx(expected, abs=1e-7)


def test_a_score_counts_as_often_as_its_count_says() -> None:
    scores, counts = np.array([0.9, 0.5, 0.7], np.float32), np.array([0.5, 1.0, 2.0])
    allowed = {0.4: 0.9, 0.5: 0.7, 2.4: 0.7, 2.5: 0.5, 3.5: 0.0}
    found = {most: threshold_at(scores, counts, most) for most in allowed}
    assert found == {most: pytest.approx(expected) for most, expected in allowed.items()}


def words_of(n_known: int, n_strange: int, level: float = 1.0) -> list[Batch]:
    """Words as tones in the middle of long windows of quiet noise, and such as hold the other word's tone."""
    network = ToneNetwork()
    n_frames = WINDOW_FRAMES + 11 * 4
    batches = []
    for number in range(n_known + n_strange):
        label = number % 2
        heard = label if number < n_known else 1 - label
        samples = babble(2.0, number)[: FrontEndConfig().n_samples(n_frames)] // 50
        samples[3_000 : 3_000 + WINDOW] = level * tone(TONES_HZ[heard], WINDOW)
        log_mel, spans, no = network.log_mel(samples).unsqueeze(0), torch.zeros(1, 2), np.zeros(1, np.bool_)
        batches.append(Batch(torch.zeros(0, 1), log_mel, torch.tensor([label]), no, no, spans, 0, 0))
    return batches


@pytest.mark.parametrize(
    ("knows", "n_known", "n_strange", "expected"), [(True, 4, 0, 100), (True, 3, 1, 75), (False, 4, 0, 0)]
)
def test_stream_recall(knows: bool, n_known: int, n_strange: int, expected: float) -> None:
    """Who knows the words finds all; who gives all the same score none over those of the negatives."""
    assert band_of(TONES_HZ[0]) != band_of(TONES_HZ[1])
    stores = [toy_store(), toy_speech()]
    task = task_of(toy_speech(), split="validation")
    recall = measure_stream_recall(
        ToneNetwork(knows=knows), stores, task, HeardClips(words_of(n_known, n_strange), []), CPU
    )
    assert recall == expected


def test_other_words_alone_are_false_accepts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of four holds the tone of a word: in an hour with 400 others that is heard a hundred times."""
    stores, task = [toy_store(), toy_speech()], task_of(toy_speech(), split="validation")
    others = [
        *words_of(1, 0),
        *(batch._replace(log_mel=batch.log_mel.flip(2)) for batch in words_of(3, 0)),
    ]
    recalls = []
    for per_hour in (99.0, 101.0):
        monkeypatch.setattr(stream_recall, "FALSE_ACCEPTS_PER_HOUR", (per_hour,))
        recalls.append(
            measure_stream_recall(
                ToneNetwork(), stores, task, HeardClips(words_of(4, 0, level=0.5), others), CPU
            )
        )
    assert recalls == [0, 100]


@pytest.mark.parametrize(
    ("per_hour", "expected"), [((5.0,), 0), ((600.0,), 0), ((1_200.0,), 100), ((5.0, 1_200.0), 50)]
)
def test_false_accepts_are_allowed_by_the_hour(
    monkeypatch: pytest.MonkeyPatch, per_hour: tuple[float, ...], expected: float
) -> None:
    """Six seconds of speech hold a word, louder than those to be found, at the border of two groups."""
    samples = babble(6.0, 3) // 8
    place = (CENTRE + 2 * GROUP) * STEP
    samples[place - STEP : place - STEP + WINDOW + STEP] = tone(TONES_HZ[0], WINDOW + STEP)
    speech = write_speech({("talk", "validation"): samples})
    task, stores = task_of(speech, split="validation"), [toy_store(), speech]
    monkeypatch.setattr(stream_recall, "FALSE_ACCEPTS_PER_HOUR", per_hour)
    assert (
        measure_stream_recall(ToneNetwork(), stores, task, HeardClips(words_of(4, 0, level=0.5), []), CPU)
        == expected
    )


@pytest.mark.parametrize("n_samples", [16_000, 18_880, 31_040])
def test_noise_under_a_word_is_as_loud_in_every_window(n_samples: int) -> None:
    """From as loud as a word that fills one second to 20 dB below it."""
    word = torch.zeros(1, n_samples)
    word[:, 1_000:9_000] = torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(1))
    for snr_db, factor in zip(noise_under_words(n_samples).noise_snr_db, (1, 100), strict=True):
        power = float((noise * noise_scale(word, noise, torch.tensor([snr_db]))).square().mean())
        assert power == pytest.approx(float(word.square().sum()) / 16_000 / factor, rel=1e-4)
