"""What examples are drawn from: a store, a folder that was looked through, or several stores joined."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data_prep.feature_store import LOG_MEL, FeatureStore
from data_prep.store import INFO_FILE, Row, Store, content_of, read_info, resolve_length
from speechcmd.arrays import IntArray

AnyStore = Store | FeatureStore


def open_store(path: str | Path) -> Store | FeatureStore:
    """Open a store of audio or of features, by what it says it holds.

    Raises
    ------
    StoreError
        If there is no finished store, or it is damaged.
    """
    path = Path(path)
    return FeatureStore.open(path) if _holds_features(path) else Store.open(path)


def _holds_features(path: Path) -> bool:
    return (path / INFO_FILE).exists() and content_of(read_info(path)) == LOG_MEL


class RowSource(Protocol):
    """What is drawn from: a store, or a folder that was looked through."""

    @property
    def path(self) -> Path:
        """Where it is, for messages."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """All clips and recordings."""

    def select(self, kind: str, split: str | None = None) -> list[Row]:
        """Rows of a kind, and of a split if one is named."""


class JoinedStores:
    """Several stores, of audio and of features, as one source of examples.

    Positions in a row stay those of its own store; `source_of` tells which one that is.
    """

    def __init__(self, stores: Sequence[AnyStore]) -> None:
        self.stores = tuple(stores)
        self.rows: tuple[Row, ...] = tuple(row for store in stores for row in store.rows)
        # by identity: two stores may hold rows that are equal
        self._source = {id(row): number for number, store in enumerate(stores) for row in store.rows}

    @property
    def path(self) -> Path:
        """All folders, for messages."""
        return Path(" + ".join(str(store.path) for store in self.stores))

    def select(self, kind: str, split: str | None = None) -> list[Row]:
        """Rows of a kind, and of a split if one is named."""
        return [row for store in self.stores for row in store.select(kind, split)]

    def source_of(self, rows: Sequence[Row]) -> IntArray:
        """The number of the store that each row lies in. Shape: (n_rows,)."""
        return np.array([self._source[id(row)] for row in rows], dtype=np.int64)

    @property
    def digest(self) -> str:
        """Hash of the contents of all stores in their order; one store's own if it is alone."""
        digests = [store.digest for store in self.stores]
        return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Mean length over the words of all stores, and the longest of their 95th percentiles."""
        found = [store.info["statistics"] for store in self.stores]
        n_words = [each["n_words_measured"] for each in found]
        means = [each["mean_trimmed_samples"] for each in found]
        return {
            "mean_trimmed_samples": round(
                float(np.average(means, weights=n_words if any(n_words) else None))
            ),
            "p95_trimmed_samples": max(each["p95_trimmed_samples"] for each in found),
            "n_words_measured": sum(n_words),
        }

    def length_samples(self, length: str | float) -> int:
        """Samples of a length given as "mean", "p95" or seconds, before rounding to a model's grid.

        Raises
        ------
        StoreError
            If it is none of these or not between 0.1 and 10 seconds.
        """
        return resolve_length(length, self.statistics)
