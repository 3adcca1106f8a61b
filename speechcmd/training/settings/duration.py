"""How long a training lasts where nobody says: batches and epochs follow the number of clips."""

from __future__ import annotations

from dataclasses import replace

from speechcmd.training.settings.config import TrainConfig

STANDARD_EPOCHS, MOST_EPOCHS = 40, 200
STANDARD_BATCH, LEAST_BATCH = 128, 16
BATCHES_AN_EPOCH = 16  # of a small set: fewer, and an epoch is hardly a step
LEAST_STEPS = 600  # of the optimiser, whatever the number of clips: docs/explanation/why-training.md
PATIENT_SHARE = 3 / 8  # of the epochs


def fill_duration(config: TrainConfig, n_clips: int) -> TrainConfig:
    """The configuration with batch size, epochs and patience that fit an epoch of `n_clips`; given ones stay.

    >>> few = fill_duration(TrainConfig(), 110)
    >>> few.batch_size, few.epochs, few.patience
    (16, 100, 38)
    >>> many = fill_duration(TrainConfig(), 30_000)
    >>> many.batch_size, many.epochs, many.patience
    (128, 40, 15)
    """
    batch_size = config.batch_size or _batch_size(n_clips)
    n_batches = max(1, n_clips // batch_size)
    wanted = max(STANDARD_EPOCHS, -(-LEAST_STEPS // n_batches))
    epochs = config.epochs or min(wanted, MOST_EPOCHS)
    patience = config.patience or -(-epochs * PATIENT_SHARE // 1)
    return replace(config, batch_size=batch_size, epochs=epochs, patience=int(patience))


def _batch_size(n_clips: int) -> int:
    """The power of two that gives an epoch about `BATCHES_AN_EPOCH` batches, within limits."""
    fitting = 1 << max(0, (n_clips // BATCHES_AN_EPOCH).bit_length() - 1)
    return min(max(fitting, LEAST_BATCH), STANDARD_BATCH)


def take_duration(config: TrainConfig, begun: TrainConfig) -> TrainConfig:
    """The configuration with what it leaves open as a run was `begun` with."""
    return replace(
        config,
        batch_size=config.batch_size or begun.batch_size,
        epochs=config.epochs or begun.epochs,
        patience=config.patience or begun.patience,
    )
