"""The loss and what is done to the weights besides it: against torch's own, or by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from toy_run import PLAIN, toy_config, toy_store

from models.network import KeywordNetwork
from models.registry import create_model
from speechcmd.training.batch import Batch
from speechcmd.training.counter_random import generator_for
from speechcmd.training.loop.batch_loss import BatchLoss
from speechcmd.training.loop.loss import (
    Mixture,
    answer_losses,
    class_weights,
    distillation,
    draw_mixture,
    soft_targets,
    weight_size,
)
from speechcmd.training.loop.optimisation import OPTIMIZERS, make_optimizer
from speechcmd.training.loop.targets import label_targets
from speechcmd.training.loop.teacher import Teacher
from speechcmd.training.loop.trainer import Trainer
from speechcmd.training.loop.weight_average import make_average
from speechcmd.training.settings.config import TrainConfig

CPU = torch.device("cpu")
EXACT = 1e-6  # float32 sums of a few numbers near one


def some_logits(n_clips: int = 6, n_labels: int = 4, seed: int = 0) -> Tensor:
    return 3 * torch.randn(n_clips, n_labels, generator=torch.Generator().manual_seed(seed))


LABELS = torch.tensor([0, 1, 2, 3, 1, 1])
NAMES = ("no", "up", "_unknown_", "_silence_")

# --- targets, class weights


def loss_of_clips(logits: Tensor, targets: Tensor) -> Tensor:
    """Of one answer a clip, which has all in view."""
    return answer_losses(logits.unsqueeze(1), targets, label_targets(LABELS), torch.tensor([2, 3]), 0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_is_torchs(smoothing: float) -> None:
    logits = some_logits()
    targets = soft_targets(LABELS, 4, smoothing)
    assert torch.allclose(targets.sum(dim=1), torch.ones(6))
    assert float(targets[0, 0]) == pytest.approx(1 - smoothing * 3 / 4)
    expected = functional.cross_entropy(logits, LABELS, label_smoothing=smoothing)
    assert float(loss_of_clips(logits, targets)) == pytest.approx(float(expected), abs=EXACT)


def test_class_weights_are_torchs_for_hard_targets() -> None:
    """The clips' losses are weighted by their label and divided by the sum of the weights."""
    logits, weights = some_logits(), torch.tensor([0.5, 2.0, 0.0, 3.0])
    expected = functional.cross_entropy(logits, LABELS, weight=weights)
    given = loss_of_clips(logits, soft_targets(LABELS, 4, 0.0) * weights[LABELS, None])
    assert float(given) == pytest.approx(float(expected), abs=EXACT)


def test_class_weights_by_hand() -> None:
    counts = np.array([10, 40, 0, 50])
    assert class_weights(counts, 0.0).tolist() == [1, 1, 0, 1]
    # every label weighs a third of 100 clips
    assert np.allclose(class_weights(counts, 1.0), [100 / 30, 100 / 120, 0, 100 / 150])
    raw = np.array([10**-0.5, 40**-0.5, 0, 50**-0.5])
    assert np.allclose(class_weights(counts, 0.5), raw * 100 / (raw * counts).sum())


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any), st.floats(0, 1))
def test_class_weights_are_one_on_average_over_the_clips(counts: list[int], balance: float) -> None:
    weights = class_weights(np.array(counts), balance)
    assert (weights * counts).sum() == pytest.approx(sum(counts), rel=1e-5)  # float32 weights
    assert all((weight > 0) == (count > 0) for weight, count in zip(weights, counts, strict=True))


# --- mixup


def test_pairs_mixed_by_hand() -> None:
    mixture = Mixture(torch.tensor([2, 1, 0]), torch.tensor([[0.75], [0.5], [1.0]]))
    values = torch.tensor([[[4.0, 0.0]], [[2.0, 2.0]], [[0.0, 8.0]]])
    assert mixture.mix(values).tolist() == [[[3.0, 2.0]], [[2.0, 2.0]], [[0.0, 8.0]]]
    targets = torch.eye(3)
    assert mixture.mix(targets).tolist() == [[0.75, 0, 0.25], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(("alpha", "mean"), [(1.0, 0.75), (0.2, None), (50.0, None)])
def test_shares_of_mixup(alpha: float, mean: float | None) -> None:
    mixture = draw_mixture(alpha, 4_000, CPU, np.random.default_rng(0))
    assert mixture is not None
    assert sorted(mixture.partner.tolist()) == list(range(4_000))
    assert float(mixture.share.min()) >= 0.5
    assert float(mixture.share.max()) <= 1.0
    if mean is None:  # of the folded Beta distribution, drawn anew
        drawn = np.random.default_rng(1).beta(alpha, alpha, 200_000)
        mean = float(np.maximum(drawn, 1 - drawn).mean())
    assert float(mixture.share.mean()) == pytest.approx(mean, abs=0.015)  # standard error at most 0.003
    assert draw_mixture(0.0, 10, CPU, np.random.default_rng(0)) is None


# --- distillation, the size of weights


def test_distillation_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    # softmax gives 3/4 and 1/4 against halves
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(distillation(student, teacher, 1.0)) == pytest.approx(expected, abs=EXACT)
    assert float(distillation(2 * student, 2 * teacher, 2.0)) == pytest.approx(4 * expected, abs=EXACT)
    both = distillation(student.repeat(5, 1), teacher.repeat(5, 1), 1.0)
    assert float(both) == pytest.approx(expected, abs=EXACT)  # a mean over the clips


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_who_answers_as_the_teacher_has_nothing_to_learn(temperature: float) -> None:
    logits = some_logits().requires_grad_()
    loss = distillation(logits, logits.detach() + 7.0, temperature)  # a constant is no answer
    assert float(loss.detach()) == pytest.approx(0.0, abs=EXACT)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < EXACT
    assert float(distillation(some_logits(), some_logits(seed=1), temperature)) > 0.1


def small_network() -> nn.Sequential:
    network = nn.Sequential(nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-0.5)
    return network


def test_size_of_weights_by_hand() -> None:
    # 4 of the convolution and 2 of the linear layer; no bias, no norm
    network = small_network()
    assert float(weight_size(network).detach()) == pytest.approx(3.0)
    weight_size(network).backward()  # type: ignore[no-untyped-call]
    convolution, norm, _ = network
    assert isinstance(convolution.weight.grad, Tensor)
    assert (convolution.weight.grad == -1).all()
    assert norm.weight.grad is None


# --- the moving average


def test_moving_average_by_hand() -> None:
    network: Any = small_network()
    average = make_average(network, 0.15)
    assert average is not None
    kept: Any = average.module
    seen = []
    for step, value in enumerate((1.0, 2.0, 4.0)):
        with torch.no_grad():
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(10 * value)
            network[1].num_batches_tracked.fill_(step)
        average.update_parameters(network)
        seen.append(float(kept[0].weight.detach()[0, 0, 0]))
        assert torch.allclose(kept[0].weight, torch.full((2, 1, 2), seen[-1]))
        assert float(kept[1].running_mean[0]) == pytest.approx(10 * seen[-1], rel=1e-6)
        assert int(kept[1].num_batches_tracked) == step  # a count is no matter of averages
    # the first weights; then decays (1 + 1) / (10 + 1) > 0.15 and (1 + 2) / (10 + 2) > 0.15
    second = 0.15 * 1 + 0.85 * 2
    assert seen == pytest.approx([1.0, second, 0.15 * second + 0.85 * 4], rel=1e-6)
    early: Any = make_average(network, 0.999)
    for value in (1.0, 2.0, 4.0):
        network[0].weight.data.fill_(value)
        early.update_parameters(network)
    second = 2 / 11 * 1 + 9 / 11 * 2
    assert float(early.module[0].weight.detach()[0, 0, 0]) == pytest.approx(
        3 / 12 * second + 9 / 12 * 4, rel=1e-6
    )
    assert make_average(network, 0.0) is None


def test_the_average_answers(tmp_path: Path) -> None:
    """What is validated is the average; the weights that are trained go their own way."""
    trainer = Trainer(toy_store(), toy_config("mlp", ema=0.99, unknown="0"), tmp_path)
    batch = next(iter(trainer.data.train_batches))
    for _ in range(3):
        trainer._train_batch(batch)
    assert trainer.average is not None
    assert trainer.answering is trainer.average.module
    assert not torch.equal(trainer.answering.head.weight, trainer.network.head.weight)
    before = trainer.evaluate(trainer.data.validation_batches)
    with torch.no_grad():
        trainer.network.head.weight.zero_()
    assert trainer.evaluate(trainer.data.validation_batches) == before
    with torch.no_grad():
        trainer.answering.head.weight.zero_()
    assert trainer.evaluate(trainer.data.validation_batches) != before


# --- a whole step

N_FRAMES = 24


def toy_network(seed: int = 0, window_frames: int = N_FRAMES) -> KeywordNetwork:
    torch.manual_seed(seed)
    return create_model("mlp", 4, 480 + (window_frames - 1) * 160, hidden=6, dropout=0.0)


def toy_batch(n_frames: int = N_FRAMES) -> Batch:
    log_mel = torch.randn(6, n_frames, 40, generator=torch.Generator().manual_seed(1))
    spans = torch.tensor([[4.0, 16.0]]).repeat(6, 1)
    return Batch(
        torch.zeros(0, 100), log_mel, LABELS, np.ones(6, np.bool_), np.zeros(6, np.bool_), spans, 0, 0
    )


def step_of(config: TrainConfig, **options: object) -> BatchLoss:
    return BatchLoss(toy_network(), replace(config, augment=PLAIN), **options)  # type: ignore[arg-type]


BARE = TrainConfig(words=NAMES[:2], label_smoothing=0.0)


@torch.no_grad()
def test_the_loss_of_a_step_by_hand() -> None:
    """Mixed targets and inputs, weighted clips, a teacher's part, then the weights' size."""
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0])
    teacher = toy_network(seed=9, window_frames=N_FRAMES + 8).eval()
    config = replace(
        BARE, mixup=0.4, l1=0.01, teacher_weight=0.3, teacher_temperature=2.0, label_smoothing=0.1
    )
    step = step_of(config, weights=weights, teacher=Teacher(teacher, NAMES, NAMES))
    batch = toy_batch(step.window_frames)
    assert step.window_frames == N_FRAMES + 8
    step.eval()  # else batch norm makes what is computed twice differ
    loss, n_right = step(batch)

    mixture = draw_mixture(0.4, 6, CPU, generator_for("mixup", config.seed, batch.epoch, batch.number))
    assert mixture is not None
    log_mel = mixture.mix(batch.log_mel)
    logits = step.network.classify(log_mel[:, 4:-4])[:, 0]
    log_probabilities = logits.log_softmax(dim=1)
    own = -((functional.one_hot(LABELS, 4) * 0.9 + 0.025) * log_probabilities).sum(dim=1) * weights[LABELS]
    others = LABELS[mixture.partner]
    other = -((functional.one_hot(others, 4) * 0.9 + 0.025) * log_probabilities).sum(dim=1) * weights[others]
    share = mixture.share[:, 0]
    counted = share * weights[LABELS] + (1 - share) * weights[others]
    hard = (share * own + (1 - share) * other).sum() / counted.sum()
    wanted = (teacher.classify(log_mel)[:, 0] / 2).softmax(dim=1)
    soft = 4 * (wanted * (wanted.log() - (logits / 2).log_softmax(dim=1))).sum(dim=1).mean()
    size = sum(float(p.detach().abs().sum()) for p in step.network.parameters() if p.ndim > 1)
    expected = 0.7 * float(hard) + 0.3 * float(soft) + 0.01 * size
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert int(n_right) == int((logits.argmax(dim=1) == LABELS).sum())
    assert not any(parameter is kept for parameter in step.parameters() for kept in teacher.parameters())


@pytest.mark.parametrize("n_before", [0, 4])
@torch.no_grad()
def test_answers_of_a_batch_are_those_of_its_single_windows(n_before: int) -> None:
    """Three answers at once, four frames apart, and what each is asked; with a teacher's frames around them."""
    own = toy_network(9, N_FRAMES + 2 * n_before).eval()
    teacher = {"teacher": Teacher(own, NAMES, NAMES)} if n_before else {}
    step = step_of(replace(BARE, n_steps=3, teacher_weight=0.0), **teacher).eval()
    step.network.head.weight *= 50  # else it would answer the same to everything
    batch = toy_batch(step.window_frames)
    assert step.window_frames == N_FRAMES + 8 + 2 * n_before
    # a word that leaves the view, one that enters, one that stays, a long one, and recordings
    spans = torch.tensor([[0, 20], [20, 30], [10, 20], [4, 28], [math.nan, math.nan], [math.nan, math.nan]])
    answers = [
        step.network.classify(batch.log_mel[:, first : first + N_FRAMES])[:, 0]
        for first in range(n_before, n_before + 12, 4)
    ]
    labels = answers[1].argmax(dim=1)
    assert not torch.equal(labels, answers[0].argmax(dim=1))
    loss, n_right = step(batch._replace(spans=spans + n_before, labels=labels))
    assert int(n_right) == 6  # of the middle answers
    losses = torch.stack(
        [functional.cross_entropy(each, labels, reduction="none") for each in answers], dim=1
    )
    half = -answers[0][1].log_softmax(dim=0)[2:].logsumexp(dim=0)
    # of 20 frames 20, 16 and 12 are seen (0.8 and 0.6: left open); of 10 frames 4, 8, 10; of 24 20, 24, 20
    means = [losses[0, 0], (half + losses[1, 2]) / 2, losses[2].mean(), losses[3, 1]]
    for clip in (4, 5):  # speech may be a pause, noise is noise
        no_word = [-each[clip].log_softmax(dim=0)[2:].logsumexp(dim=0) for each in answers]
        means.append(torch.stack(no_word).mean() if labels[clip] == 2 else losses[clip].mean())
    assert float(loss) == pytest.approx(float(torch.stack(means).mean()), rel=1e-5)


def size_after_steps(config: TrainConfig) -> float:
    """Size of all weights after a few steps."""
    step = step_of(config)
    optimizer = make_optimizer(step.network, config)
    for _ in range(12):
        optimizer.zero_grad()
        step(toy_batch())[0].backward()
        optimizer.step()
    return float(weight_size(step.network).detach())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l1_and_weight_decay_make_weights_smaller(optimizer: str) -> None:
    config = replace(BARE, optimizer=optimizer, learning_rate=0.003, weight_decay=0.0)
    free = size_after_steps(config)
    assert size_after_steps(replace(config, l1=0.3)) < 0.9 * free
    assert size_after_steps(replace(config, weight_decay=5.0)) < 0.9 * free


@pytest.mark.parametrize("gradient_clip", [1e-3, 1e6])
def test_gradients_are_clipped_to_a_norm(tmp_path: Path, gradient_clip: float) -> None:
    """One step of plain SGD moves the weights by the learning rate times the gradient."""
    config = toy_config(
        "mlp", unknown="0", optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=0.5,
        schedule="constant", warmup_percent=0.0, gradient_clip=gradient_clip,
    )  # fmt: skip
    trainer = Trainer(toy_store(), config, tmp_path)
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    trainer._train_batch(next(iter(trainer.data.train_batches)))
    after = trainer.network.parameters()
    squares = [(new.detach() - old).square().sum() for new, old in zip(after, before, strict=True)]
    norm = float(torch.stack(squares).sum().sqrt()) / 0.5
    if gradient_clip < 1:
        assert norm == pytest.approx(gradient_clip, rel=0.01)  # weights near one, moved by 5e-4 in float32
    else:
        assert norm > 0.1


@pytest.mark.parametrize(
    ("n_before", "late_ms", "taught_late_ms"), [(0, 0, 0), (4, 0, 0), (4, 60, 20), (0, 60, 60)]
)
@torch.no_grad()
def test_a_teacher_that_runs_each_window_is_asked_for_the_middle_answer(
    n_before: int, late_ms: float, taught_late_ms: float
) -> None:
    """Of five answers the third is learnt; the teacher hears its own window about the middle of that one's.

    Where words lie later than it knows them, it hears a window that is as much later.
    """
    torch.manual_seed(2)
    own = create_model(
        "gru", 4, 480 + (N_FRAMES + 2 * n_before - 1) * 160, channels=(2, 2), width=4, hidden=3
    ).eval()
    assert own.window_frames == N_FRAMES + 2 * n_before + 1  # its grid
    config = replace(BARE, n_steps=5, teacher_weight=1.0, augment=replace(PLAIN, late_ms=late_ms))
    step = BatchLoss(toy_network(), config, teacher=Teacher(own, NAMES, NAMES, taught_late_ms)).eval()
    batch = toy_batch(step.window_frames)
    loss, _ = step(batch._replace(spans=torch.full((6, 2), math.nan)))
    span = N_FRAMES + 4 * 4
    first = (step.window_frames - span) // 2 + 2 * 4
    student = step.network.classify(batch.log_mel[:, first : first + N_FRAMES])[:, 0]
    begin = first + (N_FRAMES - own.window_frames) // 2 + round((late_ms - taught_late_ms) / 10)
    taught = own.classify(batch.log_mel[:, begin : begin + own.window_frames])[:, 0]
    assert float(loss) == pytest.approx(
        float(distillation(student, taught, BARE.teacher_temperature)), rel=1e-4
    )
