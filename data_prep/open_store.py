"""Open a store of whatever content: audio or features."""

from __future__ import annotations

from pathlib import Path

from data_prep.feature_store import LOG_MEL, FeatureStore
from data_prep.store import INFO_FILE, Store, content_of, read_info


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
