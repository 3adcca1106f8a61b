"""Which stores do not go together, or not with a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

from data_prep.feature_store import FeatureStore
from data_prep.row_source import AnyStore
from data_prep.split import SPLITS
from data_prep.voices import find_voices
from models.frontend import FrontEndConfig
from speechcmd.errors import StoreError


def check_together(stores: Sequence[AnyStore]) -> None:
    """Refuse a duplicate store, and a speaker who is in one split here and in another there.

    Raises
    ------
    StoreError
        Naming the stores, and one such speaker.
    """
    by_digest: dict[str, AnyStore] = {}
    heard: dict[tuple[str, str], AnyStore] = {}
    for store in stores:
        if store.digest in by_digest:
            raise StoreError(
                f"expected stores of different clips, got those of {by_digest[store.digest].path} again",
                path=store.path,
                advice="leave one of the two out",
            )
        words = [row for row in store.rows if row.kind == "word" and row.speaker]
        shared = set(find_voices(words).shared)  # of those nothing is claimed that another store could spoil
        own = {(row.speaker, row.split) for row in words if row.speaker not in shared}
        for speaker, split in sorted(own):
            _check_split(speaker, split, store, heard)
        by_digest[store.digest] = store
        heard = dict.fromkeys(own, store) | heard


def _check_split(speaker: str, split: str, store: AnyStore, heard: dict[tuple[str, str], AnyStore]) -> None:
    for other in SPLITS:
        if other != split and (speaker, other) in heard:
            raise StoreError(
                f"expected a speaker in the same split of all stores, got {speaker} in {split} here "
                f"and in {other} of {heard[speaker, other].path}",
                path=store.path,
                advice="leave one of the two out, or make them with the same splits",
            )


def check_front_end(store: AnyStore, frontend: FrontEndConfig) -> None:
    """Refuse features that another front end made. Another floor is no reason: it is exchanged.

    Nor is that bands are missing, if those that are there are the network's first.

    Raises
    ------
    StoreError
        Naming the first setting that differs.
    """
    if not isinstance(store, FeatureStore):
        return
    own, first = store.front_end, frontend.with_bands(int(store.front_end["n_mels"]))
    is_part = first.n_mels <= frontend.n_mels and math.isclose(own["f_max_hz"], first.f_max_hz)
    for name, value in asdict(first if is_part else frontend).items():
        if name != "log_floor" and not math.isclose(own[name], value):
            raise StoreError(
                f"features of a front end with {name} = {store.front_end.get(name)}, the network's has "
                f"{value}",
                path=store.path,
                advice="make the store again from audio, or leave it out",
            )
