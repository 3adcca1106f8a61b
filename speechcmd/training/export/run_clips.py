"""Clips of a finished run's own stores: to check an export, to calibrate it, to measure what it lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.row_source import AnyStore, JoinedStores, open_store
from data_prep.store import INFO_FILE, Store
from data_prep.task import draw_evaluation, make_split_task
from speechcmd.arrays import IntArray
from speechcmd.audio.samples import Waveform, int16_to_float32
from speechcmd.errors import StoreError
from speechcmd.labels import name_labels
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.folds import split_by_fold
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.data.shipped_negatives import reopen_shipped
from speechcmd.training.loop.run_folder import read_run_file
from speechcmd.training.settings.config import AugmentConfig, TrainConfig

_BATCH_SIZE = 50


@dataclass(frozen=True)
class RunClips:
    """Windows as a training saw them, without augmentation, in batches.

    `n_clips` of them; iterating gives waveforms float32 (batch, n_samples) with labels (batch,), each
    time the same ones. `missing_words` have no clip in any audio store, in this split.
    """

    n_clips: int
    missing_words: tuple[str, ...]
    _dataset: ClipDataset
    _drawn: IntArray

    def __iter__(self) -> Iterator[tuple[Waveform, IntArray]]:
        for batch in make_loader(self._dataset, FixedSampler(self._drawn, _BATCH_SIZE)):
            yield batch.waveform.numpy(), batch.labels.numpy()


def draw_run_clips(
    run: Path,
    config: TrainConfig,
    split: str,
    n_samples: int,
    n_clips: int | None = None,
    places: Sequence[Path] = (),
) -> RunClips:
    """Clips of a split by the official rule: words, `_unknown_` and `_silence_`.

    Only clips of audio stores are taken: a model file takes waveforms.

    Parameters
    ----------
    n_samples
        Length of a window.
    n_clips
        Draw that many of them, the same for the same run; None for all.
    places
        Where the run's stores are now: see `stores_of`.

    Raises
    ------
    TrainingError
        If the run's description is missing or damaged.
    StoreError
        If a store of the run is gone, or none of audio has a clip of any of its words.
    """
    stores = split_by_fold(stores_of(run, places), config.fold)
    audio = _only_audio(run, stores)
    spoken = {row.word for store in audio for row in store.select("word", split)}
    missing = tuple(word for word in config.words if word not in spoken)
    source = JoinedStores(stores)
    task_config = config.task
    task = make_split_task(source, task_config, split)
    drawn = draw_evaluation(task, task_config)
    drawn = drawn[np.isin(task.examples.source[drawn], [stores.index(store) for store in audio])]
    if n_clips is not None:
        rng = np.random.Generator(np.random.PCG64(config.seed))
        drawn = rng.permutation(drawn)[:n_clips]
    if len(missing) == len(config.words):
        raise StoreError(
            f"expected {split} clips of {name_labels(config.words)} in a store of audio, found none",
            path=source.path,
            advice="add such a store to the training, or export without --int8",
        )
    dataset = ClipDataset(source, task, n_samples, AugmentConfig.off(), config.seed)
    return RunClips(len(drawn), missing, dataset, drawn)


def real_waveforms(run: Path, n_clips: int, n_samples: int, places: Sequence[Path] = ()) -> list[Waveform]:
    """A few validation clips, where their store still is, repeated to at least `n_samples` samples each."""
    try:
        store = _only_audio(run, stores_of(run, places))[0]
    except (OSError, ValueError, StoreError):
        return []
    rows = store.select("word", "validation")
    chosen = rows[:: max(1, len(rows) // n_clips)][:n_clips]
    return [
        int16_to_float32(np.tile(store.samples_of(row), -(-n_samples // row.n_samples))) for row in chosen
    ]


def stores_of(run: Path, places: Sequence[Path] = ()) -> list[AnyStore]:
    """The stores that a run was trained on, the shipped negatives last.

    Parameters
    ----------
    places
        Where they are now, in the order of the training. By default they are looked for where they lay from
        the run's folder, which finds them in a project that was moved or copied, and then where they were.

    Raises
    ------
    TrainingError
        If the run's description is missing or damaged.
    StoreError
        If one is not there, or they hold something else than the run was trained on.
    """
    described = read_run_file(run)
    problems = []
    for paths in [list(places)] if places else _places_of(run, described):
        try:
            return _open_same(run, paths, described)
        except StoreError as error:
            problems.append(error)
    raise StoreError(problems[0].without_path, path=run, advice="say where it is now with --store DIR")


def _places_of(run: Path, described: dict[str, Any]) -> list[list[Path]]:
    """Under which paths the stores may be; an older run has one list of absolute paths, or a single one."""
    found = [described.get("stores") or [described.get("store", "")], described.get("stores_absolute")]
    return [[run / path for path in paths] for paths in found if paths]


def _open_same(run: Path, paths: Sequence[Path], described: dict[str, Any]) -> list[AnyStore]:
    n_expected = len(described.get("stores") or [""])
    if len(paths) != n_expected:
        raise StoreError(
            f"trained on {n_expected} stores, got {len(paths)}",
            path=run,
            advice="give all, in the order of the training",
        )
    for path in paths:
        if not (path / INFO_FILE).exists():
            raise StoreError(f"the store that it was trained on is not at {path}", path=run)
    stores = [*(open_store(path) for path in paths), *reopen_shipped(described.get("shipped", {}))]
    source = JoinedStores(stores)
    begun = described.get("data_digest", source.digest)
    if source.digest != begun:
        raise StoreError(
            f"trained on a store with digest {begun[:12]}, {source.path} has {source.digest[:12]}: "
            "it is another, or was changed since",
            path=run,
        )
    return stores


def _only_audio(run: Path, given: Sequence[AnyStore]) -> list[Store]:
    stores = [store for store in given if isinstance(store, Store)]
    if not stores:
        raise StoreError("trained on features alone; expected a store of audio among its stores", path=run)
    return stores
