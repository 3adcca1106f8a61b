"""Whole validation clips: pooled as the runtime pools them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_run import WORDS, toy_config, toy_export, toy_run, toy_store

from speechcmd import Recognizer
from speechcmd.runtime.recognition.level_history import hop_samples, measure_levels
from speechcmd.runtime.recognition.pooling import PoolingSpans, pick_label, pool_posteriors
from speechcmd.training.loop.checkpoint import BEST, load_checkpoint
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.loop.whole_clip import HEARD_S, MOST_CLIPS, choose_whole, heard_samples


@pytest.mark.parametrize("architecture", ["cnn", "gru"])
def test_the_answers_are_those_of_the_model_file(
    architecture: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trainer = Trainer(toy_store(), toy_config(architecture), tmp_path_factory.mktemp("run") / "run")
    best = load_checkpoint(toy_run(architecture) / BEST)
    trainer.network.load_state_dict(best["network"])
    recognizer = Recognizer.load(toy_export(architecture).path)
    card, labels = recognizer.card, (*WORDS, "_unknown_", "_silence_")
    n_right = n_clips = 0
    for batch in trainer.whole_clips:
        for waveform, truth in zip(batch.waveform.numpy(), batch.labels.tolist(), strict=True):
            levels = measure_levels(waveform, hop_samples(card))
            posteriors = recognizer.posteriors(waveform)
            scores = pool_posteriors(posteriors, levels, card.labels, PoolingSpans.of_card(card))
            n_right += pick_label(scores, card.labels) == labels[truth]
            n_clips += 1
    heard = trainer.hear_whole_clips()
    assert n_clips == trainer.n_whole_clips > 10
    assert heard.accuracy == pytest.approx(100 * n_right / n_clips)
    assert heard.loss > 0


def test_what_is_heard_is_whole_steps(tmp_path_factory: pytest.TempPathFactory) -> None:
    network = Trainer(toy_store(), toy_config(), tmp_path_factory.mktemp("run") / "run").network
    n_beyond = heard_samples(network) - network.window_samples
    assert n_beyond % network.step_samples == 0
    assert n_beyond / 16_000 == pytest.approx(HEARD_S, abs=0.1)
    with torch.no_grad():
        steps = network(torch.zeros(1, heard_samples(network))).shape[1]
    assert steps == n_beyond // network.step_samples + 1


def test_so_many_clips_are_taken_evenly() -> None:
    np.testing.assert_array_equal(choose_whole(np.arange(7)), np.arange(7))
    many = choose_whole(np.arange(3 * MOST_CLIPS))
    np.testing.assert_array_equal(many, 3 * np.arange(MOST_CLIPS))
    assert len(choose_whole(np.arange(0))) == 0
