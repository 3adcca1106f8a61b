"""Stores that have not all bands of a network: what estimates the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore, JoinedStores
from data_prep.task import SplitTask
from models.frontend import FrontEndConfig
from models.network import KeywordNetwork
from speechcmd.arrays import IntArray
from speechcmd.audio.samples import SAMPLE_RATE
from speechcmd.errors import StoreError
from speechcmd.training.augment.upper_bands import UpperBands
from speechcmd.training.batch import log_mel_of
from speechcmd.training.data.dataset import ClipDataset, make_loader
from speechcmd.training.data.sampler import FixedSampler
from speechcmd.training.settings.config import AugmentConfig

N_CLIPS = 2_000  # that are learnt from


def learn_upper_bands(source: JoinedStores, task: SplitTask, network: KeywordNetwork) -> UpperBands | None:
    """What estimates the bands that some store does not have, from clips of the others; None if all have all.

    Raises
    ------
    StoreError
        If there is no clip of a word with all bands.
    """
    frontend = network.frontend.config
    n_lower = count_stored_bands(source.stores, frontend)
    if n_lower == frontend.n_mels:
        return None
    clips = clips_with_all_bands(source.stores, task, frontend)
    if len(clips) == 0:
        raise StoreError(
            f"{n_lower} of {frontend.n_mels} bands, and no clip with all to learn the others from",
            path=source.path,
            advice=f"give a store of audio too, or set n_mels={n_lower}",
        )
    off = AugmentConfig.off()
    dataset = ClipDataset(source, task, SAMPLE_RATE, off, frontend=frontend)
    batches = make_loader(dataset, FixedSampler(clips, 128))
    frames = [log_mel_of(network, batch).flatten(0, 1) for batch in batches]
    return UpperBands.learn(torch.cat(frames), n_lower, math.log(frontend.log_floor))


def count_stored_bands(stores: Sequence[AnyStore], frontend: FrontEndConfig) -> int:
    """Bands that all stores have."""
    own = [int(store.front_end["n_mels"]) for store in stores if isinstance(store, FeatureStore)]
    return min([frontend.n_mels, *own])


def clips_with_all_bands(stores: Sequence[AnyStore], task: SplitTask, frontend: FrontEndConfig) -> IntArray:
    """Up to `N_CLIPS` clips of words, spread over those of which all bands are known."""
    is_whole = [count_stored_bands([store], frontend) == frontend.n_mels for store in stores]
    words = np.concatenate([task.words, task.unknown])
    whole: IntArray = words[np.array(is_whole)[task.examples.source[words]]]
    n_taken = min(N_CLIPS, len(whole))
    return whole[np.arange(n_taken) * len(whole) // max(1, n_taken)]
