"""Shifts the labels' logits so that clips are answered as often as they are said.

A network that was trained against much running speech says `_unknown_` too readily of clips. One number a
label, fitted on validation clips, gives the clips back (bias-corrected temperature scaling, Alexandari et al.
2020, arXiv 1901.06852; the temperature itself belongs to `speechcmd calibrate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.row_source import JoinedStores
from data_prep.task import draw_evaluation, make_split_task
from models.network import KeywordNetwork
from speechcmd.progress import Progress
from speechcmd.training.batch import answer_batches
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.folds import split_by_fold
from speechcmd.training.data.missing_bands import learn_upper_bands
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.export.run_clips import stores_of
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

_BATCH_SIZE = 256
_PENALTY = 1e-3  # of the squares: a label of few clips stays about where it is
_ROUNDS = 100
_LEAST_SCALE = 0.05  # a network that has learnt nothing has none


@dataclass(frozen=True)
class BalanceReport:
    """What the shift did to validation clips, audio and features together. Accuracies in percent."""

    n_clips: int
    before: float
    after: float


def balance_labels(
    network: KeywordNetwork,
    run: Path,
    config: TrainConfig,
    on_progress: Progress | None = None,
    places: Sequence[Path] = (),
) -> BalanceReport:
    """Shift the last layer of a run's network to fit the validation clips of the run, by the official rule.

    `on_progress(done, total)` counts the clips; `places` as in `run_clips.stores_of`.

    Raises
    ------
    TrainingError, StoreError
        If the run's description is damaged, or a store of it is gone.
    """
    logits, labels = _answer_validation(network, run, config, on_progress, places)
    shift = fit_shift(logits, labels)
    with torch.no_grad():
        network.head.bias.add_(shift)
    right = [100 * float((each.argmax(dim=1) == labels).float().mean()) for each in (logits, logits + shift)]
    return BalanceReport(len(labels), *right)


def fit_shift(logits: Tensor, labels: Tensor) -> Tensor:
    """The shift of each label under which the labels are likeliest, with the best temperature for it.

    A label without clips stays where it is.

    Shape: (n_clips, n_labels), (n_clips,) -> (n_labels,).
    """
    logits = logits.double()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    is_there = torch.zeros_like(shift).index_fill(0, labels, 1.0)
    optimizer = torch.optim.LBFGS([scale, shift], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(scale * logits + is_there * shift, labels)  # convex
        value = value + _PENALTY * shift.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (shift / scale.clamp_min(_LEAST_SCALE)).detach().float()


@torch.no_grad()
def _answer_validation(
    network: KeywordNetwork,
    run: Path,
    config: TrainConfig,
    on_progress: Progress | None,
    places: Sequence[Path],
) -> tuple[Tensor, Tensor]:
    source = JoinedStores(split_by_fold(stores_of(run, places), config.fold))
    task = make_split_task(source, config.task, "validation")
    upper = learn_upper_bands(source, make_split_task(source, config.task, "training"), network)
    dataset = ClipDataset(
        source,
        task,
        network.window_samples,
        AugmentConfig.off(),
        config.seed,
        None,
        network.frontend.config,
        upper=upper,
    )
    drawn = draw_evaluation(task, config.task)
    batches = make_loader(dataset, FixedSampler(drawn, _BATCH_SIZE))
    answers = []
    for number, answer in enumerate(answer_batches(network, batches, torch.device("cpu")), start=1):
        answers.append(answer)
        if on_progress:
            on_progress(min(number * _BATCH_SIZE, len(drawn)), len(drawn))
    logits, labels = zip(*answers, strict=True)
    return torch.cat(logits)[:, 0], torch.cat(labels)
